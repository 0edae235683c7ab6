#include "rl/critic.h"

#include <cmath>
#include <memory>
#include <vector>

#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rl/tiny_policy_for_test.h"

namespace ponder {
namespace {

using ::testing::Each;

std::unique_ptr<Critic> MakeCritic(int64_t micro_batch_tokens = 1000) {
  Critic::Options options;
  options.learner.set_micro_batch_tokens(micro_batch_tokens);
  options.critic.mutable_optimizer()->set_max_grad_norm(0);
  options.max_tokens = 100;
  auto critic =
      Critic::Create(TinyModelConfig(), TinyCheckpoint().weights, options);
  EXPECT_TRUE(critic.ok()) << critic.status();
  return *std::move(critic);
}

// Sequences whose first token says what they are worth.
std::vector<TrainSequence> MakeBatch() {
  RandomStream random(StreamKey().Add("critic").key());
  std::vector<TrainSequence> batch(8);
  for (size_t i = 0; i < batch.size(); ++i) {
    TrainSequence& sequence = batch[i];
    sequence.ids = {static_cast<int32_t>(i % 2), 5, 6};
    const int64_t length = random.Int(2, 12);
    for (int64_t t = 0; t < length; ++t) {
      sequence.targets.push_back(static_cast<int32_t>(sequence.ids.size()));
      sequence.ids.push_back(static_cast<int32_t>(random.Int(0, 258)));
    }
    sequence.returns.assign(sequence.targets.size(), i % 2 == 0 ? 1.0f : 0.0f);
  }
  return batch;
}

void TakeValues(const Critic& critic, std::vector<TrainSequence>* batch) {
  const auto values = critic.Values(*batch);
  for (size_t i = 0; i < batch->size(); ++i) (*batch)[i].values = values[i];
}

LossScale ScaleOf(const std::vector<TrainSequence>& batch) {
  LossScale scale;
  scale.tokens = 0;
  for (const TrainSequence& sequence : batch) {
    scale.tokens += static_cast<int64_t>(sequence.targets.size());
  }
  return scale;
}

TEST(CriticTest, StartsAtZero) {
  const auto critic = MakeCritic();
  for (const auto& values : critic->Values(MakeBatch())) {
    EXPECT_THAT(values, Each(0));
  }
}

TEST(CriticTest, LearnsWhatResponsesAreWorth) {
  const auto critic = MakeCritic();
  std::vector<TrainSequence> batch = MakeBatch();
  double first = 0, last = 0;
  for (int step = 0; step < 40; ++step) {
    TakeValues(*critic, &batch);
    last = critic->Update(batch, ScaleOf(batch), 1e-2).loss;
    if (step == 0) first = last;
  }
  EXPECT_NEAR(first, 0.25, 0.05);  // Half of the squares of 0 or 1.
  EXPECT_LT(last, first / 10);
  TakeValues(*critic, &batch);
  EXPECT_GT(batch[0].values[0], 0.7);
  EXPECT_LT(batch[1].values[0], 0.3);
}

TEST(CriticTest, GradientsDoNotDependOnTheCut) {
  std::vector<TensorMap> states;
  for (const int64_t tokens : {1000, 60, 20}) {
    const auto critic = MakeCritic(tokens);
    std::vector<TrainSequence> batch = MakeBatch();
    for (int step = 0; step < 2; ++step) {
      TakeValues(*critic, &batch);
      critic->Update(batch, ScaleOf(batch), 1e-3);
    }
    TensorMap state;
    for (const auto& [name, tensor] : critic->State()) {
      if (name.starts_with("critic.m.")) state[name] = tensor.clone();
    }
    states.push_back(std::move(state));
  }
  for (const TensorMap& other : {states[1], states[2]}) {
    double squares = 0, difference = 0;
    for (const auto& [name, tensor] : states[0]) {
      squares += tensor.square().sum().item<double>();
      difference += (tensor - other.at(name)).square().sum().item<double>();
    }
    EXPECT_GT(squares, 0);
    EXPECT_LT(std::sqrt(difference / squares), 1e-5);
  }
}

TEST(CriticTest, GoesOnFromItsState) {
  const auto one = MakeCritic();
  std::vector<TrainSequence> batch = MakeBatch();
  TakeValues(*one, &batch);
  one->Update(batch, ScaleOf(batch), 1e-2);
  const auto two = MakeCritic();
  ASSERT_TRUE(two->SetState(one->State(), one->step()).ok());
  EXPECT_EQ(two->Values(batch), one->Values(batch));
  one->Update(batch, ScaleOf(batch), 1e-2);
  two->Update(batch, ScaleOf(batch), 1e-2);
  EXPECT_EQ(two->Values(batch), one->Values(batch));
}

}  // namespace
}  // namespace ponder
