#include "rollout/sampler.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/tensor.h"
#include "base/philox.h"
#include "policy/device_kernels.h"
#include "policy/kernels.h"

namespace ponder {
namespace {

// Sets the probability of every token to zero that top_k and top_p leave out;
// of equals the lower id is likelier.
void Restrict(const SamplingParams& params, std::vector<float>& p) {
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&p](int32_t a, int32_t b) { return p[a] > p[b]; });
  size_t keep = p.size();
  if (params.top_k > 0) {
    keep = std::min(keep, static_cast<size_t>(params.top_k));
  }
  double mass = 0;
  for (size_t i = 0; i < keep; ++i) {
    mass += p[order[i]];
    // The token that crosses the bound is kept.
    if (params.top_p < 1 && mass >= params.top_p) keep = i + 1;
  }
  for (size_t i = keep; i < order.size(); ++i) p[order[i]] = 0;
}

// Draws one token that top_k and top_p leave in; logits [V] on the CPU.
template <typename E>
SampledToken SampleRestricted(const E* logits, int64_t vocab_size,
                              const SamplingParams& params, int64_t position) {
  float lse;
  kernels::LogSumExp(logits, params.temperature, 1, vocab_size, &lse, nullptr);
  std::vector<float> p(vocab_size);
  kernels::Probabilities(logits, params.temperature, lse, vocab_size, p.data());
  Restrict(params, p);
  const int64_t id = kernels::InverseCdf(
      p.data(), UniformDouble(params.key, static_cast<uint64_t>(position)),
      vocab_size);
  return {static_cast<int32_t>(id),
          kernels::TokenLogprob(logits, id, params.temperature, lse)};
}

bool IsRestricted(const SamplingParams& params) {
  return params.temperature > 0 && (params.top_k > 0 || params.top_p < 1);
}

SampledToken SampleRestrictedRow(const at::Tensor& row,
                                 const SamplingParams& params,
                                 int64_t position) {
  const at::Tensor logits = row.to(at::kCPU).contiguous();
  if (logits.scalar_type() == at::kFloat) {
    return SampleRestricted(logits.const_data_ptr<float>(), logits.size(0),
                            params, position);
  }
  return SampleRestricted(logits.const_data_ptr<at::BFloat16>(), logits.size(0),
                          params, position);
}

}  // namespace

std::vector<SampledToken> SampleTokens(
    const at::Tensor& logits, const std::vector<SamplingParams>& params,
    const std::vector<int64_t>& positions) {
  const int64_t n = logits.size(0);
  std::vector<double> temperatures(n), uniform(n);
  for (int64_t i = 0; i < n; ++i) {
    temperatures[i] = params[i].temperature;
    uniform[i] =
        UniformDouble(params[i].key, static_cast<uint64_t>(positions[i]));
  }
  const auto on_device = [&](const std::vector<double>& values) {
    return at::tensor(values, at::kDouble).to(logits.device());
  };
  const at::Tensor ids = at::empty({n}, logits.options().dtype(at::kLong));
  const at::Tensor logprobs =
      at::empty({n}, logits.options().dtype(at::kFloat));
  KernelsFor(logits).DrawTokens(logits, on_device(temperatures),
                                on_device(uniform), ids, logprobs);
  const at::Tensor cpu_ids = ids.to(at::kCPU);
  const at::Tensor cpu_logprobs = logprobs.to(at::kCPU);
  std::vector<SampledToken> tokens(n);
  for (int64_t i = 0; i < n; ++i) {
    tokens[i] =
        IsRestricted(params[i])
            ? SampleRestrictedRow(logits[i], params[i], positions[i])
            : SampledToken{
                  static_cast<int32_t>(cpu_ids.const_data_ptr<int64_t>()[i]),
                  cpu_logprobs.const_data_ptr<float>()[i]};
  }
  return tokens;
}

}  // namespace ponder
