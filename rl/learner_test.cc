#include "rl/learner.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "ATen/ATen.h"
#include "base/philox.h"
#include "gtest/gtest.h"
#include "policy/checkpoint.h"
#include "policy/ops.h"
#include "rl/mismatch.h"
#include "rl/packing.h"
#include "rl/tiny_policy_for_test.h"

namespace ponder {
namespace {

using at::Tensor;

constexpr int64_t kMaxTokens = 100;

std::unique_ptr<Learner> MakeLearner(const LearnerConfig& config = {},
                                     at::ScalarType dtype = at::kFloat) {
  Learner::Options options;
  options.learner = config;
  options.dtype = dtype;
  options.max_tokens = kMaxTokens;
  options.optimizer.set_max_grad_norm(0);
  auto learner =
      Learner::Create(TinyModelConfig(), TinyCheckpoint().weights, options);
  EXPECT_TRUE(learner.ok()) << learner.status();
  return *std::move(learner);
}

LearnerConfig MicroBatches(int64_t tokens) {
  LearnerConfig config;
  config.set_micro_batch_tokens(tokens);
  return config;
}

// The same for every target.
void SetAdvantage(double advantage, TrainSequence* sequence) {
  sequence->advantages.assign(sequence->targets.size(),
                              static_cast<float>(advantage));
}

LossScale TokenMean(int64_t tokens) { return {.tokens = tokens}; }

// Sequences of 6 to 40 tokens, half of each a response.
std::vector<TrainSequence> MakeBatch(int n = 9) {
  RandomStream random(StreamKey().Add("learner").key());
  std::vector<TrainSequence> batch(static_cast<size_t>(n));
  for (TrainSequence& sequence : batch) {
    const int64_t length = random.Int(6, 40);
    for (int64_t i = 0; i < length; ++i) {
      sequence.ids.push_back(static_cast<int32_t>(random.Int(0, 258)));
      if (i >= length / 2) sequence.targets.push_back(static_cast<int32_t>(i));
    }
    SetAdvantage(2 * random.Double() - 1, &sequence);
  }
  return batch;
}

int64_t CountTargets(const std::vector<TrainSequence>& batch) {
  int64_t count = 0;
  for (const TrainSequence& sequence : batch) {
    count += static_cast<int64_t>(sequence.targets.size());
  }
  return count;
}

// Log-probabilities of the targets from a forward pass over one sequence
// alone, as a sampler would have them.
std::vector<float> OwnLogprobs(const Learner& learner, at::ScalarType dtype,
                               const TrainSequence& sequence,
                               double temperature = 1) {
  const at::NoGradGuard no_grad;
  const auto decoder =
      *Decoder::Create(TinyModelConfig(), learner.weights(), dtype, kMaxTokens);
  const std::vector<int64_t> ids(sequence.ids.begin(), sequence.ids.end());
  std::vector<int64_t> rows, targets;
  for (const int32_t target : sequence.targets) {
    rows.push_back(target - 1);
    targets.push_back(ids[target]);
  }
  const Tensor hidden = decoder->PackedHidden(
      at::tensor(ids, at::kLong), {0, static_cast<int64_t>(ids.size())}, false);
  const Tensor logprobs =
      ChunkedTokenLogprobs(hidden.index_select(0, at::tensor(rows, at::kLong)),
                           decoder->output_weight(),
                           at::tensor(targets, at::kLong), temperature, 7,
                           false)
          .logprobs;
  const float* p = logprobs.const_data_ptr<float>();
  return std::vector<float>(p, p + logprobs.numel());
}

// Behavior somewhat off the policy, so that some ratios are clipped.
std::vector<TrainSequence> OffPolicyBatch(int n = 9) {
  std::vector<TrainSequence> batch = MakeBatch(n);
  const auto learner = MakeLearner();
  for (TrainSequence& sequence : batch) {
    sequence.behavior_logprobs = OwnLogprobs(*learner, at::kFloat, sequence);
    for (size_t i = 0; i < sequence.behavior_logprobs.size(); ++i) {
      sequence.behavior_logprobs[i] +=
          0.3f * std::sin(static_cast<float>(3 * i));
    }
  }
  return batch;
}

// The first moments after one update: a tenth of the gradient.
TensorMap GradsOf(Learner& learner) {
  TensorMap grads;
  for (const auto& [name, tensor] : learner.optimizer().State()) {
    if (name.starts_with("m.")) grads[name] = tensor.clone();
  }
  return grads;
}

void AddReference(const Learner& learner, double temperature,
                  std::vector<TrainSequence>* batch) {
  const auto logprobs = learner.ReferenceLogprobs(*batch, temperature);
  for (size_t i = 0; i < batch->size(); ++i) {
    (*batch)[i].reference_logprobs = logprobs[i];
  }
}

LogprobMismatch Compare(const std::vector<TrainSequence>& batch,
                        const std::vector<std::vector<float>>& logprobs) {
  MismatchMeter meter;
  for (size_t i = 0; i < batch.size(); ++i) {
    meter.Add(at::tensor(logprobs[i]), at::tensor(batch[i].behavior_logprobs));
  }
  return meter.Result();
}

TensorMap PolicyGrads(const LearnerConfig& config,
                      const std::vector<TrainSequence>& sequences,
                      int64_t token_count, const PolicyLossOptions& options,
                      UpdateStats* stats = nullptr) {
  const auto learner = MakeLearner(config);
  std::vector<TrainSequence> batch = sequences;
  if (options.kl_coef != 0) {
    learner->FreezeReference(TinyCheckpoint(/*seed=*/6).weights);
    AddReference(*learner, 0.9, &batch);
  }
  const UpdateStats got =
      learner->PolicyUpdate(batch, TokenMean(token_count), 0.9, options, 1e-3);
  EXPECT_TRUE(got.applied);
  if (stats != nullptr) *stats = got;
  return GradsOf(*learner);
}

// |a - b| / |a| over all tensors together.
double Difference(const TensorMap& a, const TensorMap& b) {
  double squares = 0, diff = 0;
  for (const auto& [name, tensor] : a) {
    const Tensor x = tensor.to(at::kDouble);
    squares += x.square().sum().item<double>();
    diff += (x - b.at(name).to(at::kDouble)).square().sum().item<double>();
  }
  EXPECT_GT(squares, 0);
  return std::sqrt(diff / squares);
}

// The largest budget under which the batch is cut into `cuts` micro-batches.
int64_t BudgetFor(const std::vector<TrainSequence>& batch, size_t cuts) {
  std::vector<int64_t> lengths;
  int64_t total = 0;
  for (const TrainSequence& sequence : batch) {
    lengths.push_back(static_cast<int64_t>(sequence.ids.size()));
    total += lengths.back();
  }
  for (int64_t budget = total; budget > 0; --budget) {
    if (PackByTokens(lengths, budget).size() == cuts) return budget;
  }
  ADD_FAILURE() << "cannot be cut into " << cuts;
  return 1;
}

TEST(LearnerTest, GradientsDoNotDependOnTheCut) {
  const std::vector<TrainSequence> batch = OffPolicyBatch();
  const int64_t count = CountTargets(batch) + 11;  // A part of an update.
  const PolicyLossOptions options = {.kl_coef = 0.01};
  UpdateStats whole_stats;
  const TensorMap whole = PolicyGrads(MicroBatches(BudgetFor(batch, 1)), batch,
                                      count, options, &whole_stats);
  for (const size_t cuts : {2, 3, 9}) {
    SCOPED_TRACE(cuts);
    UpdateStats stats;
    const TensorMap cut = PolicyGrads(MicroBatches(BudgetFor(batch, cuts)),
                                      batch, count, options, &stats);
    EXPECT_LT(Difference(whole, cut), 1e-5);
    EXPECT_NEAR(stats.loss, whole_stats.loss, 1e-6);
    EXPECT_NEAR(stats.entropy, whole_stats.entropy, 1e-5);
    EXPECT_NEAR(stats.clip_fraction, whole_stats.clip_fraction, 1e-12);
    EXPECT_NEAR(stats.approx_kl, whole_stats.approx_kl, 1e-6);
    EXPECT_NEAR(stats.reference_kl, whole_stats.reference_kl, 1e-5);
    EXPECT_NEAR(stats.grad_norm, whole_stats.grad_norm,
                1e-5 * whole_stats.grad_norm);
  }
}

TEST(LearnerTest, NoObjectiveAndNoAggregationDependsOnTheCut) {
  const std::vector<TrainSequence> batch = OffPolicyBatch();
  for (const Objective objective :
       {Objective::kClipped, Objective::kGspo, Objective::kCispo}) {
    for (const Aggregation aggregation :
         {Aggregation::kTokenMean, Aggregation::kSeqMeanTokenMean,
          Aggregation::kSeqMeanTokenSum, Aggregation::kSeqMeanTokenSumNorm}) {
      const PolicyLossOptions options = {
          .objective = objective, .clip_low = 0.05, .entropy_coef = 0.01};
      LossScale scale = TokenMean(CountTargets(batch));
      scale.aggregation = aggregation;
      scale.sequences = static_cast<int64_t>(batch.size());
      scale.norm_tokens = 64;
      const auto grads = [&](size_t cuts) {
        const auto learner = MakeLearner(MicroBatches(BudgetFor(batch, cuts)));
        EXPECT_TRUE(
            learner->PolicyUpdate(batch, scale, 0.9, options, 1e-3).applied);
        return GradsOf(*learner);
      };
      const TensorMap whole = grads(1);
      for (const size_t cuts : {2, 3}) {
        EXPECT_LT(Difference(whole, grads(cuts)), 1e-5)
            << static_cast<int>(objective) << " "
            << static_cast<int>(aggregation) << " " << cuts;
      }
    }
  }
}

TEST(LearnerTest, AnEntropyBonusRaisesTheEntropy) {
  const auto learner = MakeLearner();
  std::vector<TrainSequence> batch = OffPolicyBatch();
  for (TrainSequence& sequence : batch) SetAdvantage(0, &sequence);
  const LossScale scale = TokenMean(CountTargets(batch));
  const PolicyLossOptions options = {.entropy_coef = 1};
  const double first =
      learner->PolicyUpdate(batch, scale, 1, options, 1e-2).entropy;
  double last = first;
  for (int i = 0; i < 5; ++i) {
    last = learner->PolicyUpdate(batch, scale, 1, options, 1e-2).entropy;
  }
  EXPECT_GT(last, first + 0.1);
}

TEST(LearnerTest, SupervisedGradientsDoNotDependOnTheCut) {
  const std::vector<TrainSequence> batch = MakeBatch();
  const auto grads = [&](size_t cuts) {
    const auto learner = MakeLearner(MicroBatches(BudgetFor(batch, cuts)));
    EXPECT_TRUE(learner->SupervisedUpdate(batch, 1e-3).applied);
    return GradsOf(*learner);
  };
  const TensorMap whole = grads(1);
  for (const size_t cuts : {2, 3}) {
    EXPECT_LT(Difference(whole, grads(cuts)), 1e-5) << cuts;
  }
}

TEST(LearnerTest, GradientsDoNotDependOnTheOrderOfTheBatch) {
  std::vector<TrainSequence> batch = OffPolicyBatch();
  const int64_t count = CountTargets(batch);
  const TensorMap forward = PolicyGrads(MicroBatches(64), batch, count, {});
  std::reverse(batch.begin(), batch.end());
  std::swap(batch[2], batch[5]);
  const TensorMap turned = PolicyGrads(MicroBatches(64), batch, count, {});
  EXPECT_LT(Difference(forward, turned), 1e-5);
}

TEST(LearnerTest, ActivationCheckpointingGivesTheSameGradients) {
  const std::vector<TrainSequence> batch = OffPolicyBatch();
  const int64_t count = CountTargets(batch);
  LearnerConfig config = MicroBatches(128);
  const TensorMap plain = PolicyGrads(config, batch, count, {});
  config.set_activation_checkpointing(true);
  EXPECT_LT(Difference(plain, PolicyGrads(config, batch, count, {})), 1e-6);
}

TEST(LearnerTest, ChunksOfLogitsDoNotChangeTheGradients) {
  const std::vector<TrainSequence> batch = OffPolicyBatch();
  const int64_t count = CountTargets(batch);
  LearnerConfig config = MicroBatches(128);
  const TensorMap whole = PolicyGrads(config, batch, count, {});
  for (const int64_t chunk : {1, 5, 64}) {
    config.set_logits_chunk_tokens(chunk);
    EXPECT_LT(Difference(whole, PolicyGrads(config, batch, count, {})), 1e-5)
        << chunk;
  }
}

TEST(LearnerTest, TokenCountScalesTheGradient) {
  const std::vector<TrainSequence> batch = OffPolicyBatch();
  const int64_t count = CountTargets(batch);
  TensorMap once = PolicyGrads(MicroBatches(64), batch, count, {});
  const TensorMap half = PolicyGrads(MicroBatches(64), batch, 2 * count, {});
  for (auto& [name, tensor] : once) tensor = tensor / 2;
  EXPECT_LT(Difference(once, half), 1e-6);
}

TEST(LearnerTest, SequencesWithoutAdvantageHaveNoGradientButCount) {
  std::vector<TrainSequence> batch = OffPolicyBatch();
  const int64_t count = CountTargets(batch);  // Those without one included.
  std::vector<TrainSequence> some;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (i % 3 == 0) SetAdvantage(0, &batch[i]);
    if (i % 3 != 0) some.push_back(batch[i]);
  }
  UpdateStats with_stats, without_stats;
  const TensorMap with =
      PolicyGrads(MicroBatches(64), batch, count, {}, &with_stats);
  const TensorMap without =
      PolicyGrads(MicroBatches(64), some, count, {}, &without_stats);
  EXPECT_EQ(Difference(with, without), 0);
  // They were not even run through the policy.
  EXPECT_EQ(with_stats.tokens, without_stats.tokens);
  EXPECT_EQ(with_stats.loss, without_stats.loss);
}

TEST(LearnerTest, AKlTermNeedsEverySequence) {
  std::vector<TrainSequence> batch = OffPolicyBatch();
  for (TrainSequence& sequence : batch) SetAdvantage(0, &sequence);
  UpdateStats stats;
  PolicyGrads(MicroBatches(64), batch, CountTargets(batch), {.kl_coef = 0.1},
              &stats);
  EXPECT_GT(stats.reference_kl, 0);
  EXPECT_GT(stats.grad_norm, 0);
}

TEST(LearnerTest, TheReferenceStaysWhereItWas) {
  const auto learner = MakeLearner();
  learner->FreezeReference(learner->weights());
  std::vector<TrainSequence> batch = OffPolicyBatch();
  const LossScale scale = TokenMean(CountTargets(batch));
  AddReference(*learner, 1, &batch);
  const auto before = batch[0].reference_logprobs;
  const UpdateStats first =
      learner->PolicyUpdate(batch, scale, 1, {.kl_coef = 0.1}, 1e-2);
  EXPECT_EQ(first.reference_kl, 0);
  AddReference(*learner, 1, &batch);
  EXPECT_EQ(batch[0].reference_logprobs, before);
  const UpdateStats second =
      learner->PolicyUpdate(batch, scale, 1, {.kl_coef = 0.1}, 1e-2);
  EXPECT_GT(second.reference_kl, 1e-6);
}

TEST(LearnerTest, NoAdvantageAtAllChangesNothing) {
  std::vector<TrainSequence> batch = OffPolicyBatch();
  for (TrainSequence& sequence : batch) SetAdvantage(0, &sequence);
  const auto learner = MakeLearner();
  const TensorMap before =
      CopyTensors(learner->weights(), at::kFloat, at::kCPU);
  const UpdateStats stats =
      learner->PolicyUpdate(batch, TokenMean(CountTargets(batch)), 1, {}, 1e-2);
  EXPECT_FALSE(stats.applied);
  EXPECT_EQ(stats.loss, 0);
  EXPECT_EQ(learner->optimizer().step(), 0);
  EXPECT_EQ(Difference(before, learner->weights()), 0);
}

TEST(LearnerTest, LearningRateZeroChangesNoWeight) {
  const std::vector<TrainSequence> batch = OffPolicyBatch();
  const auto learner = MakeLearner();
  const TensorMap before =
      CopyTensors(learner->weights(), at::kFloat, at::kCPU);
  EXPECT_TRUE(
      learner->PolicyUpdate(batch, TokenMean(CountTargets(batch)), 1, {}, 0)
          .applied);
  EXPECT_EQ(Difference(before, learner->weights()), 0);
}

// The gate of step 0: a sequence alone and packed with others has the same
// log-probabilities, bit for bit.
TEST(LearnerTest, OwnLogprobsDifferByExactlyNothing) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    SCOPED_TRACE(at::toString(dtype));
    LearnerConfig config = MicroBatches(80);
    config.set_logits_chunk_tokens(16);
    const auto learner = MakeLearner(config, dtype);
    std::vector<TrainSequence> batch = MakeBatch();
    for (TrainSequence& sequence : batch) {
      sequence.behavior_logprobs = OwnLogprobs(*learner, dtype, sequence, 0.8);
    }
    const LogprobMismatch compared =
        Compare(batch, learner->Logprobs(batch, 0.8));
    EXPECT_EQ(compared.max_abs, 0);
    EXPECT_EQ(compared.k3_kl, 0);
    EXPECT_EQ(compared.tokens, CountTargets(batch));
    const UpdateStats stats = learner->PolicyUpdate(
        batch, TokenMean(CountTargets(batch)), 0.8, {}, 1e-2);
    const LogprobMismatch mismatch = Compare(batch, stats.logprobs);
    EXPECT_EQ(mismatch.max_abs, 0);
    EXPECT_EQ(mismatch.prob_diff_max, 0);
    EXPECT_EQ(mismatch.tokens, CountTargets(batch));
    EXPECT_EQ(stats.approx_kl, 0);
    EXPECT_EQ(stats.clip_fraction, 0);
    // The update moved the policy, and the comparison sees it.
    EXPECT_GT(Compare(batch, learner->Logprobs(batch, 0.8)).max_abs, 1e-3);
  }
}

TEST(LearnerTest, MismatchIsMeasuredInTheDirectionItSays) {
  const auto learner = MakeLearner();
  std::vector<TrainSequence> batch = MakeBatch(3);
  for (TrainSequence& sequence : batch) {
    sequence.behavior_logprobs = OwnLogprobs(*learner, at::kFloat, sequence);
    for (float& logprob : sequence.behavior_logprobs) logprob += 0.125f;
  }
  const LogprobMismatch m = Compare(batch, learner->Logprobs(batch, 1));
  EXPECT_NEAR(m.max_abs, 0.125, 1e-6);
  EXPECT_NEAR(m.mean_abs, 0.125, 1e-6);
  EXPECT_NEAR(m.kl, 0.125, 1e-6);  // Sampler - learner.
  EXPECT_NEAR(m.k3_kl, std::exp(-0.125) + 0.125 - 1, 1e-6);
}

TEST(LearnerTest, GoodResponsesBecomeLikelierAndBadOnesLessSo) {
  const auto learner = MakeLearner();
  std::vector<TrainSequence> batch = MakeBatch(2);
  const auto sum = [&](const TrainSequence& sequence) {
    double total = 0;
    for (const float p : OwnLogprobs(*learner, at::kFloat, sequence)) {
      total += p;
    }
    return total;
  };
  const double good = sum(batch[0]), bad = sum(batch[1]);
  for (TrainSequence& sequence : batch) {
    sequence.behavior_logprobs = OwnLogprobs(*learner, at::kFloat, sequence);
  }
  SetAdvantage(1, &batch[0]);
  SetAdvantage(-1, &batch[1]);
  learner->PolicyUpdate(batch, TokenMean(CountTargets(batch)), 1, {}, 1e-3);
  EXPECT_GT(sum(batch[0]), good + 0.1);
  EXPECT_LT(sum(batch[1]), bad - 0.1);
}

TEST(LearnerTest, SupervisedUpdatesLearnTheirBatch) {
  const auto learner = MakeLearner(MicroBatches(96));
  const std::vector<TrainSequence> batch = MakeBatch();
  const double first = learner->SupervisedUpdate(batch, 1e-2).loss;
  EXPECT_GT(first, 4);
  UpdateStats last;
  for (int i = 0; i < 30; ++i) last = learner->SupervisedUpdate(batch, 1e-2);
  EXPECT_LT(last.loss, first / 2);
  EXPECT_GT(last.entropy, 0);
  int64_t tokens = 0;
  for (const TrainSequence& sequence : batch) {
    tokens += static_cast<int64_t>(sequence.ids.size());
  }
  EXPECT_EQ(last.tokens, tokens);
}

TEST(LearnerTest, NothingToLearnFromIsNoUpdate) {
  const auto learner = MakeLearner();
  std::vector<TrainSequence> batch = MakeBatch(2);
  for (TrainSequence& sequence : batch) sequence.targets.clear();
  EXPECT_FALSE(learner->SupervisedUpdate(batch, 1e-2).applied);
  EXPECT_FALSE(learner->SupervisedUpdate({}, 1e-2).applied);
  EXPECT_EQ(learner->optimizer().step(), 0);
}

// DeepSeek-V3: sigmoid scores, groups, a bias for the choice.
absl::StatusOr<std::unique_ptr<Learner>> ExpertLearner(
    const LearnerConfig& config) {
  Checkpoint checkpoint =
      *LoadCheckpoint("tests/parity/golden/models/deepseek3", at::kFloat);
  Learner::Options options;
  options.learner = config;
  options.max_tokens = kMaxTokens;
  options.optimizer.set_max_grad_norm(0);
  return Learner::Create(checkpoint.config, std::move(checkpoint.weights),
                         options);
}

std::vector<TrainSequence> ExpertBatch() {
  std::vector<TrainSequence> batch = MakeBatch();
  for (TrainSequence& sequence : batch) {
    for (int32_t& id : sequence.ids) id %= 256;
  }
  return batch;
}

TEST(LearnerTest, BalanceOfExpertsDoesNotDependOnTheCut) {
  std::vector<UpdateStats> stats;
  std::vector<TensorMap> grads;
  for (const int64_t tokens : {10000, 45}) {
    LearnerConfig config = MicroBatches(tokens);
    config.set_expert_balance_loss_coef(10);
    config.set_activation_checkpointing(tokens == 45);
    const auto learner = *ExpertLearner(config);
    stats.push_back(learner->SupervisedUpdate(ExpertBatch(), 1e-3));
    grads.push_back(GradsOf(*learner));
  }
  EXPECT_GT(stats[0].expert_balance_loss, 10);
  EXPECT_NEAR(stats[0].expert_balance_loss, stats[1].expert_balance_loss, 1e-3);
  EXPECT_TRUE(at::equal(stats[0].expert_tokens, stats[1].expert_tokens));
  // 3 experts for each token in each of the two layers that have some.
  EXPECT_EQ(stats[0].expert_tokens.sum().item<int64_t>(),
            stats[0].tokens * 3 * 2);
  EXPECT_LT(Difference(grads[0], grads[1]), 1e-5);
}

TEST(LearnerTest, TheBiasOfExpertsFollowsTheLoadIfAsked) {
  const std::string name = "model.layers.2.mlp.gate.e_score_correction_bias";
  for (const double rate : {0.0, 0.125}) {
    LearnerConfig config;
    config.set_expert_bias_update_rate(rate);
    const auto learner = *ExpertLearner(config);
    const Tensor before = learner->weights().at(name).clone();
    const UpdateStats stats = learner->SupervisedUpdate(ExpertBatch(), 1e-3);
    const Tensor load = stats.expert_tokens[2].to(at::kDouble);
    const Tensor want = (load.mean() - load).sign() * rate;
    const Tensor moved = (learner->weights().at(name) - before).to(at::kDouble);
    EXPECT_LT((moved - want).abs().max().item<double>(), 1e-6) << rate;
  }
}

// The bias alone, with a learning rate of 0, evens the load.
TEST(LearnerTest, TheBiasOfExpertsEvensTheirLoad) {
  LearnerConfig config;
  config.set_expert_bias_update_rate(0.01);
  const auto learner = *ExpertLearner(config);
  const auto violation = [](const UpdateStats& stats) {
    const Tensor load = stats.expert_tokens[1].to(at::kDouble);
    return (load.max() / load.mean()).item<double>() - 1;
  };
  const double first = violation(learner->SupervisedUpdate(ExpertBatch(), 0));
  double last = first;
  for (int i = 0; i < 40; ++i) {
    last = violation(learner->SupervisedUpdate(ExpertBatch(), 0));
  }
  EXPECT_GT(first, 0.5);
  EXPECT_LT(last, first / 2);
}

TEST(LearnerTest, ADensePolicyHasNoExpertsToBalance) {
  for (const bool bias : {false, true}) {
    Learner::Options options;
    options.max_tokens = kMaxTokens;
    if (bias) {
      options.learner.set_expert_bias_update_rate(0.001);
    } else {
      options.learner.set_expert_balance_loss_coef(0.001);
    }
    const auto learner =
        Learner::Create(TinyModelConfig(), TinyCheckpoint().weights, options);
    ASSERT_FALSE(learner.ok());
    EXPECT_NE(std::string(learner.status().message()).find("leave it out"),
              std::string::npos)
        << learner.status();
  }
}

TEST(LearnerTest, CopiesDoNotFollowTheWeights) {
  const auto learner = MakeLearner();
  const TensorMap copy =
      CopyTensors(learner->weights(), at::kBFloat16, at::kCPU);
  const TensorMap same = CopyTensors(learner->weights(), at::kFloat, at::kCPU);
  EXPECT_EQ(copy.begin()->second.scalar_type(), at::kBFloat16);
  EXPECT_FALSE(same.begin()->second.requires_grad());
  learner->SupervisedUpdate(MakeBatch(2), 1e-2);
  EXPECT_GT(Difference(same, learner->weights()), 0);
}

// DPPO-TV holds the policy near the sampler where there is no advantage, too.
TEST(LearnerTest, DppoLearnsFromSequencesWithoutAdvantage) {
  std::vector<TrainSequence> batch = OffPolicyBatch(3);
  for (TrainSequence& sequence : batch) SetAdvantage(0, &sequence);
  for (const Objective objective : {Objective::kClipped, Objective::kDppoTv}) {
    const auto learner = MakeLearner();
    PolicyLossOptions options;
    options.objective = objective;
    const UpdateStats stats = learner->PolicyUpdate(
        batch, TokenMean(CountTargets(batch)), 1.0, options, 1e-3);
    EXPECT_EQ(stats.grad_norm > 0, objective == Objective::kDppoTv);
  }
}

// A reference that has not the positions for the sequences is refused.
TEST(LearnerTest, AReferenceHasToBeLongEnough) {
  const auto learner = MakeLearner();
  ModelConfig config = TinyModelConfig();
  config.max_position_embeddings = kMaxTokens - 1;
  const absl::Status status =
      learner->FreezeReference(config, TinyCheckpoint().weights);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("max_position_embeddings"),
            std::string::npos);
}

}  // namespace
}  // namespace ponder
