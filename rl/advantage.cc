#include "rl/advantage.h"

#include <cmath>
#include <cstddef>

namespace ponder {
namespace {

constexpr double kEpsilon = 1e-6;

}  // namespace

GroupAdvantages GrpoAdvantages(
    const std::vector<std::optional<double>>& rewards) {
  GroupAdvantages result;
  result.advantages.assign(rewards.size(), 0.0);
  double sum = 0;
  double count = 0;
  for (const std::optional<double>& reward : rewards) {
    if (!reward) continue;
    sum += *reward;
    count += 1;
  }
  double squares = 0;
  const double mean = count > 0 ? sum / count : 0;
  bool equal = true;
  std::optional<double> first;
  for (const std::optional<double>& reward : rewards) {
    if (!reward) continue;
    if (!first) first = reward;
    equal = equal && *reward == *first;
    squares += (*reward - mean) * (*reward - mean);
  }
  result.zero_spread = count < 2 || equal;
  if (result.zero_spread) return result;
  const double deviation = std::sqrt(squares / (count - 1));
  for (size_t i = 0; i < rewards.size(); ++i) {
    if (!rewards[i]) continue;
    result.advantages[i] = (*rewards[i] - mean) / (deviation + kEpsilon);
  }
  return result;
}

}  // namespace ponder
