#include "rl/expert_metrics.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "absl/strings/str_format.h"

namespace ponder {

void AddExpertMetrics(const UpdateStats& stats, const LearnerConfig& config,
                      Metrics* metrics) {
  const at::Tensor& tokens = stats.expert_tokens;
  if (!tokens.defined()) return;
  if (config.expert_balance_loss_coef() > 0) {
    metrics->push_back({"experts/balance_loss", stats.expert_balance_loss});
  }
  for (int64_t layer = 0; layer < tokens.size(0); ++layer) {
    const int64_t* const begin = tokens[layer].const_data_ptr<int64_t>();
    const std::vector<int64_t> counts(begin, begin + tokens.size(1));
    const auto sum = static_cast<double>(
        std::accumulate(counts.begin(), counts.end(), int64_t{0}));
    if (sum == 0) continue;
    const double mean = sum / static_cast<double>(counts.size());
    for (size_t e = 0; e < counts.size(); ++e) {
      metrics->push_back(
          {absl::StrFormat("experts/load/layer_%02d/expert_%03d", layer, e),
           static_cast<double>(counts[e]) / mean});
    }
    const int64_t most = *std::max_element(counts.begin(), counts.end());
    metrics->push_back(
        {absl::StrFormat("experts/max_violation/layer_%02d", layer),
         static_cast<double>(most) / mean - 1});
    metrics->push_back(
        {absl::StrFormat("experts/idle/layer_%02d", layer),
         static_cast<double>(std::count(counts.begin(), counts.end(), 0))});
  }
}

}  // namespace ponder
