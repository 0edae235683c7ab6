#include "rl/data/pass_rates.h"

#include <algorithm>

namespace ponder {

void PassRates::Observe(const std::string& problem, double pass_rate) {
  const auto [it, is_new] = pass_rates_.emplace(problem, pass_rate);
  if (!is_new) it->second += options_.newest * (pass_rate - it->second);
}

bool PassRates::Accepts(const std::string& problem, double uniform) const {
  const auto it = pass_rates_.find(problem);
  if (it == pass_rates_.end()) return true;
  const double p = it->second;
  return uniform < std::max(options_.floor, 4 * p * (1 - p));
}

nlohmann::ordered_json PassRates::ToJson() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [problem, rate] : pass_rates_) json[problem] = rate;
  return json;
}

void PassRates::FromJson(const nlohmann::ordered_json& json) {
  for (const auto& [problem, rate] : json.items()) {
    if (rate.is_number()) pass_rates_[problem] = rate.get<double>();
  }
}

}  // namespace ponder
