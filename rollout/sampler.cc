#include "rollout/sampler.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "ATen/Dispatch.h"
#include "base/philox.h"
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

int32_t InverseCdf(const std::vector<float>& p, double u) {
  double total = 0;
  for (const float probability : p) total += probability;
  double sum = 0;
  int32_t last = 0;
  for (size_t id = 0; id < p.size(); ++id) {
    if (p[id] <= 0) continue;
    sum += p[id];
    last = static_cast<int32_t>(id);
    if (sum > u * total) break;
  }
  return last;
}

template <typename E>
SampledToken Sample(const E* logits, int64_t vocab_size,
                    const SamplingParams& params, int64_t position) {
  const bool greedy = params.temperature == 0;
  const double temperature = greedy ? 1.0 : params.temperature;
  float lse;
  kernels::LogSumExp(logits, temperature, 1, vocab_size, &lse, nullptr);
  int32_t id;
  if (greedy) {
    id = static_cast<int32_t>(std::max_element(logits, logits + vocab_size) -
                              logits);
  } else {
    std::vector<float> p(vocab_size);
    kernels::Probabilities(logits, temperature, lse, vocab_size, p.data());
    if (params.top_k > 0 || params.top_p < 1) Restrict(params, p);
    id = InverseCdf(p,
                    UniformDouble(params.key, static_cast<uint64_t>(position)));
  }
  return {id, kernels::TokenLogprob(logits, id, temperature, lse)};
}

}  // namespace

SampledToken SampleToken(const at::Tensor& logits, const SamplingParams& params,
                         int64_t position) {
  SampledToken token;
  AT_DISPATCH_SWITCH(logits.scalar_type(), "SampleToken",
                     AT_DISPATCH_CASE(at::kFloat, [&] {
                       token = Sample(logits.const_data_ptr<scalar_t>(),
                                      logits.size(0), params, position);
                     }) AT_DISPATCH_CASE(at::kBFloat16, [&] {
                       token = Sample(logits.const_data_ptr<scalar_t>(),
                                      logits.size(0), params, position);
                     }));
  return token;
}

}  // namespace ponder
