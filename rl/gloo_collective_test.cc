#include "rl/gloo_collective.h"

#include <cmath>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "ATen/ATen.h"
#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rl/learner.h"
#include "rl/tiny_policy_for_test.h"

namespace ponder {
namespace {

// Runs `work` as each of `size` processes, which here are threads. Returns what
// process 0 made of it.
template <typename Work>
auto InEach(int size, Work work) {
  std::promise<int> port;
  std::shared_future<int> known = port.get_future().share();
  const auto run = [&](int rank) {
    GlooCollective::Options options;
    options.rank = rank;
    options.size = size;
    if (rank == 0) {
      options.on_listening = [&](int listening) {
        port.set_value(listening);
        return absl::OkStatus();
      };
    } else {
      options.port = known.get();
    }
    auto collective = GlooCollective::Create(options);
    EXPECT_TRUE(collective.ok()) << collective.status();
    return work(collective->get());
  };
  std::vector<std::thread> others;
  for (int rank = 1; rank < size; ++rank) {
    others.emplace_back([&run, rank] { run(rank); });
  }
  auto result = run(0);
  for (std::thread& other : others) other.join();
  return result;
}

TEST(GlooCollectiveTest, SumsAndBroadcasts) {
  const double sum = InEach(3, [](Collective* all) {
    EXPECT_EQ(all->size(), 3);
    const at::Tensor mine = at::full({2}, 1.0 + all->rank(), at::kDouble);
    all->Sum(mine);
    EXPECT_EQ(mine[1].item<double>(), 6);
    const at::Tensor from_first = at::full({4}, all->rank() + 5, at::kLong);
    all->Broadcast(from_first);
    EXPECT_EQ(from_first[3].item<int64_t>(), 5);
    return mine[0].item<double>();
  });
  EXPECT_EQ(sum, 6);
}

std::vector<TrainSequence> MakeBatch() {
  RandomStream random(StreamKey().Add("gloo").key());
  std::vector<TrainSequence> batch(10);
  for (TrainSequence& sequence : batch) {
    const int64_t length = random.Int(6, 40);
    for (int64_t i = 0; i < length; ++i) {
      sequence.ids.push_back(static_cast<int32_t>(random.Int(0, 258)));
      if (i < length / 2) continue;
      sequence.targets.push_back(static_cast<int32_t>(i));
      sequence.behavior_logprobs.push_back(
          static_cast<float>(-6 + random.Double()));
    }
    sequence.advantages.assign(sequence.targets.size(),
                               static_cast<float>(2 * random.Double() - 1));
  }
  batch[3].advantages.assign(batch[3].advantages.size(), 0.0f);
  return batch;
}

struct Outcome {
  UpdateStats stats;
  TensorMap weights, moments;
};

// Two updates by as many processes; null is one alone.
Outcome Learn(Collective* all) {
  Learner::Options options;
  options.learner.set_micro_batch_tokens(100);
  options.max_tokens = 100;
  options.collective = all;
  const auto learner =
      *Learner::Create(TinyModelConfig(), TinyCheckpoint().weights, options);
  const std::vector<TrainSequence> batch = MakeBatch();
  LossScale scale;
  scale.aggregation = Aggregation::kSeqMeanTokenMean;
  scale.sequences = static_cast<int64_t>(batch.size());
  Outcome outcome;
  outcome.stats = learner->PolicyUpdate(batch, scale, 1, {}, 1e-3);
  learner->SupervisedUpdate(batch, 1e-3);
  outcome.weights = CopyTensors(learner->weights(), at::kFloat, at::kCPU);
  outcome.moments =
      CopyTensors(learner->optimizer().State(), at::kFloat, at::kCPU);
  return outcome;
}

double Difference(const TensorMap& a, const TensorMap& b) {
  double squares = 0, difference = 0;
  for (const auto& [name, tensor] : a) {
    squares += tensor.square().sum().item<double>();
    difference += (tensor - b.at(name)).square().sum().item<double>();
  }
  EXPECT_GT(squares, 0);
  return std::sqrt(difference / squares);
}

TEST(GlooCollectiveTest, UpdatesDoNotDependOnTheNumberOfProcesses) {
  const Outcome alone = Learn(nullptr);
  for (const int size : {1, 2, 3}) {
    SCOPED_TRACE(size);
    const Outcome together = InEach(size, Learn);
    EXPECT_LT(Difference(alone.moments, together.moments), 1e-5);
    EXPECT_LT(Difference(alone.weights, together.weights), 1e-5);
    EXPECT_NEAR(together.stats.loss, alone.stats.loss, 1e-6);
    EXPECT_NEAR(together.stats.entropy, alone.stats.entropy, 1e-5);
    EXPECT_NEAR(together.stats.clip_fraction, alone.stats.clip_fraction, 1e-12);
    EXPECT_NEAR(together.stats.grad_norm, alone.stats.grad_norm,
                1e-5 * alone.stats.grad_norm);
    EXPECT_EQ(together.stats.tokens, alone.stats.tokens);
    ASSERT_EQ(together.stats.logprobs.size(), alone.stats.logprobs.size());
    for (size_t i = 0; i < alone.stats.logprobs.size(); ++i) {
      EXPECT_EQ(together.stats.logprobs[i], alone.stats.logprobs[i]) << i;
    }
  }
}

// The others end with the weights of process 0.
TEST(GlooCollectiveTest, AllProcessesHoldTheSameWeights) {
  InEach(2, [](Collective* all) {
    const Outcome mine = Learn(all);
    for (const auto& [name, weight] : mine.weights) {
      const at::Tensor first = weight.clone();
      all->Broadcast(first);
      EXPECT_TRUE(at::equal(first, weight)) << name;
    }
    return 0;
  });
}

}  // namespace
}  // namespace ponder
