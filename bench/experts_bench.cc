// What a mixture of experts costs: forward and backward pass of one layer whose
// tokens go to 4 experts each, out of ever more. The cost should grow with the
// active parameters, which stay the same, and not with all of them.
//
//   build/release/bench/experts_bench

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "policy/experts.h"
#include "policy/model_config.h"
#include "policy/weights.h"
#include "torch/csrc/autograd/autograd.h"

int main(int argc, char** argv) {
  CLI::App app{"What a mixture of experts costs."};
  int64_t tokens = 2048;
  int threads = 1;
  app.add_option("--tokens", tokens)->capture_default_str();
  app.add_option("--threads", threads)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(threads);
  constexpr int64_t kHidden = 512, kFeedForward = 256;
  for (const int64_t experts : {4, 8, 16, 32, 64}) {
    ponder::MoeConfig config;
    config.num_experts = experts;
    config.experts_per_token = 4;
    config.intermediate_size = kFeedForward;
    config.normalize_weights = true;
    ponder::TensorMap weights;
    weights["gate.weight"] = at::randn({experts, kHidden});
    for (int64_t e = 0; e < experts; ++e) {
      const std::string prefix = absl::StrCat("experts.", e, ".");
      weights[prefix + "gate_proj.weight"] = at::randn({kFeedForward, kHidden});
      weights[prefix + "up_proj.weight"] = at::randn({kFeedForward, kHidden});
      weights[prefix + "down_proj.weight"] = at::randn({kHidden, kFeedForward});
    }
    for (auto& [name, weight] : weights) weight.set_requires_grad(true);
    const ponder::Experts layer(config, weights, "");
    const at::Tensor x = at::randn({tokens, kHidden});
    double forward = 1e9, both = 1e9;
    for (int round = 0; round < 4; ++round) {
      const absl::Time start = absl::Now();
      const at::Tensor y = layer.Apply(x);
      forward = std::min(forward, absl::ToDoubleSeconds(absl::Now() - start));
      torch::autograd::backward({y.sum()}, {});
      both = std::min(both, absl::ToDoubleSeconds(absl::Now() - start));
    }
    const int64_t all = experts * 3 * kHidden * kFeedForward;
    std::printf(
        "%3d experts, %5.1f M parameters of which %3.1f M for a token: forward "
        "%6.1f ms, with backward %6.1f ms\n",
        static_cast<int>(experts), 1e-6 * static_cast<double>(all),
        1e-6 * static_cast<double>(4 * 3 * kHidden * kFeedForward),
        1e3 * forward, 1e3 * both);
  }
}
