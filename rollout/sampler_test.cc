#include "rollout/sampler.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace ponder {
namespace {

using at::Tensor;

SampledToken SampleToken(const Tensor& logits, const SamplingParams& params,
                         int64_t position) {
  return SampleTokens(logits.unsqueeze(0), {params}, {position})[0];
}

std::vector<double> Frequencies(const Tensor& logits, SamplingParams params,
                                int draws) {
  std::vector<double> counts(logits.size(0), 0);
  for (int i = 0; i < draws; ++i) {
    params.key = 77;
    counts[SampleToken(logits, params, i).id] += 1.0 / draws;
  }
  return counts;
}

TEST(SamplerTest, DrawsWithTheProbabilitiesOfTheSoftmax) {
  const Tensor logits = at::tensor({0.5f, -1.0f, 2.0f, 0.0f, -30.0f});
  for (const double temperature : {1.0, 0.6}) {
    const Tensor p = at::softmax(logits.to(at::kDouble) / temperature, -1);
    SamplingParams params;
    params.temperature = temperature;
    const std::vector<double> got = Frequencies(logits, params, 20000);
    for (int i = 0; i < 5; ++i) {
      EXPECT_NEAR(got[i], p[i].item<double>(), 0.012) << i;
    }
  }
}

TEST(SamplerTest, LogprobIsOverTheFullVocabularyAfterTemperature) {
  const Tensor logits = at::randn({100}) * 3;
  SamplingParams params;
  params.temperature = 0.7;
  params.top_k = 3;
  params.key = 5;
  const Tensor want = at::log_softmax(logits / 0.7, -1);
  for (int i = 0; i < 20; ++i) {
    const SampledToken token = SampleToken(logits, params, i);
    EXPECT_NEAR(token.logprob, want[token.id].item<float>(), 1e-5);
  }
}

TEST(SamplerTest, GreedyTakesTheLowestIdOfEquals) {
  SamplingParams greedy;
  greedy.temperature = 0;
  EXPECT_EQ(SampleToken(at::tensor({1.0f, 3.0f, 3.0f, 2.0f}), greedy, 0).id, 1);
}

TEST(SamplerTest, TopKAndTopPKeepTheLikeliest) {
  const Tensor logits = at::tensor({3.0f, 1.0f, 2.0f, 0.0f});
  SamplingParams params;
  params.top_k = 2;
  std::vector<double> got = Frequencies(logits, params, 2000);
  EXPECT_EQ(got[1], 0);
  EXPECT_EQ(got[3], 0);
  EXPECT_NEAR(got[0], 1 / (1 + std::exp(-1.0)), 0.04);
  params.top_k = 0;
  params.top_p = 0.6;  // The likeliest has 0.64.
  got = Frequencies(logits, params, 100);
  EXPECT_NEAR(got[0], 1, 1e-9);
}

TEST(SamplerTest, ADrawDependsOnKeyAndPositionOnly) {
  const Tensor logits = at::randn({500});
  SamplingParams params;
  params.key = 3;
  const int32_t id = SampleToken(logits, params, 9).id;
  EXPECT_EQ(SampleToken(logits, params, 9).id, id);
  int same = 0;
  for (int i = 10; i < 60; ++i) same += SampleToken(logits, params, i).id == id;
  EXPECT_LT(same, 10);
}

}  // namespace
}  // namespace ponder
