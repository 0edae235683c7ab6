#include "rl/train_group.h"

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rl/golden_for_test.h"

namespace ponder {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::IsEmpty;
using ::testing::Pointwise;

// Samples of 1, 2, 3, ... tokens with these rewards.
FinishedGroup Group(const std::vector<std::optional<double>>& rewards) {
  FinishedGroup group;
  group.lease.add_prompt_ids(7);
  group.lease.add_prompt_ids(8);
  for (size_t i = 0; i < rewards.size(); ++i) {
    Sample& sample = group.samples.emplace_back();
    for (size_t t = 0; t <= i; ++t) {
      sample.add_response_ids(static_cast<int32_t>(10 + t));
      sample.add_logprobs(-0.5f * static_cast<float>(t + 1));
    }
    sample.set_finish_reason("stop");
    if (!rewards[i]) {
      sample.mutable_score()->set_verdict(UNSCORABLE);
      continue;
    }
    sample.mutable_score()->set_reward(*rewards[i]);
    sample.mutable_score()->set_verdict(*rewards[i] > 0 ? CORRECT : WRONG);
  }
  return group;
}

std::vector<TrainGroup> Assigned(
    const GrpoStage& stage,
    const std::vector<std::vector<std::optional<double>>>& rewards) {
  std::vector<TrainGroup> groups;
  for (const auto& group : rewards) {
    groups.push_back(ToTrainGroup(Group(group), stage.mask_truncated()));
  }
  AssignAdvantages(stage, &groups);
  return groups;
}

GrpoStage Stage(GrpoStage::Advantage advantage) {
  GrpoStage stage;
  stage.set_advantage(advantage);
  return stage;
}

TEST(TrainGroupTest, SequencesArePromptAndResponse) {
  FinishedGroup finished = Group({1.0, std::nullopt, 0.0});
  finished.samples[2].set_finish_reason("length");
  TrainGroup group = ToTrainGroup(finished, /*mask_truncated=*/false);
  EXPECT_THAT(group.sequences[0].ids, ElementsAre(7, 8, 10));
  EXPECT_THAT(group.sequences[0].targets, ElementsAre(2));
  EXPECT_THAT(group.sequences[1].targets, IsEmpty());
  EXPECT_THAT(group.sequences[2].targets, ElementsAre(2, 3, 4));
  EXPECT_THAT(group.sequences[2].behavior_logprobs,
              ElementsAre(-0.5f, -1, -1.5f));
  EXPECT_TRUE(HasSpread(group.rewards));
  PassCount count;
  count.Add(finished);
  EXPECT_EQ(count.rate(), 0.5);
  EXPECT_EQ(PassCount().rate(), std::nullopt);

  group = ToTrainGroup(finished, /*mask_truncated=*/true);
  EXPECT_THAT(group.sequences[2].targets, IsEmpty());
  EXPECT_FALSE(HasSpread(group.rewards));
}

TEST(TrainGroupTest, GroupRelativeAdvantagesAreTheSameForEachToken) {
  for (const auto advantage :
       {GrpoStage::GRPO, GrpoStage::DR_GRPO, GrpoStage::RLOO}) {
    const auto groups = Assigned(Stage(advantage), {{1.0, std::nullopt, 0.0}});
    const double a = advantage == GrpoStage::GRPO
                         ? 0.5 / (std::sqrt(0.5) + 1e-6)
                     : advantage == GrpoStage::RLOO ? 1
                                                    : 0.5;
    const float wanted = static_cast<float>(a);
    EXPECT_THAT(groups[0].sequences[0].advantages, ElementsAre(wanted));
    EXPECT_THAT(groups[0].sequences[2].advantages,
                ElementsAre(-wanted, -wanted, -wanted));
  }
}

// Whatever the advantage: no signal from a group of one, from one without
// spread, and from what could not be scored.
TEST(TrainGroupTest, NoSignalIsNoAdvantage) {
  for (const auto advantage :
       {GrpoStage::GRPO, GrpoStage::DR_GRPO, GrpoStage::RLOO,
        GrpoStage::REINFORCE_PLUS_PLUS_BASELINE}) {
    const auto groups =
        Assigned(Stage(advantage), {{1.0},
                                    {0.0, 0.0, 0.0},
                                    {std::nullopt, 1.0},
                                    {1.0, 0.0, 0.0, std::nullopt}});
    for (int g = 0; g < 3; ++g) {
      EXPECT_TRUE(groups[g].zero_spread) << g;
      for (const TrainSequence& sequence : groups[g].sequences) {
        EXPECT_THAT(sequence.advantages, Each(0)) << g;
      }
    }
    EXPECT_FALSE(groups[3].zero_spread);
    EXPECT_GT(groups[3].sequences[0].advantages[0], 0);
    EXPECT_THAT(groups[3].sequences[3].advantages, IsEmpty());
  }
}

// Mean and deviation of all tokens' advantages.
std::pair<double, double> Moments(const std::vector<TrainGroup>& groups) {
  double sum = 0, squares = 0, n = 0;
  for (const TrainGroup& group : groups) {
    if (group.zero_spread) continue;
    for (const TrainSequence& sequence : group.sequences) {
      for (const double a : sequence.advantages) {
        sum += a;
        squares += a * a;
        n += 1;
      }
    }
  }
  return {sum / n, std::sqrt((squares - sum * sum / n) / (n - 1))};
}

TEST(TrainGroupTest, WhitenedOverTheStep) {
  for (const auto advantage : {GrpoStage::REINFORCE_PLUS_PLUS,
                               GrpoStage::REINFORCE_PLUS_PLUS_BASELINE}) {
    GrpoStage stage = Stage(advantage);
    stage.set_gamma(0.9);
    const auto groups = Assigned(
        stage, {{1.0, 0.0, 0.0}, {0.0, 1.0, 1.0}, {1.0, 0.5, std::nullopt}});
    const auto [mean, deviation] = Moments(groups);
    EXPECT_NEAR(mean, 0, 1e-6);
    EXPECT_NEAR(deviation, 1, 1e-6);
  }
}

// Wanted values: tests/parity/make_rl_golden.py.
TEST(TrainGroupTest, ReinforcePlusPlusWithBaselineMatchesPython) {
  for (const auto& c : GoldenCases("reinforce_plus_plus_baseline")) {
    std::vector<std::vector<std::optional<double>>> rewards;
    for (const auto& group : c["rewards"]) {
      auto& of_group = rewards.emplace_back();
      for (const auto& reward : group) {
        of_group.push_back(reward.is_null()
                               ? std::nullopt
                               : std::optional<double>(reward.get<double>()));
      }
    }
    const auto groups =
        Assigned(Stage(GrpoStage::REINFORCE_PLUS_PLUS_BASELINE), rewards);
    for (size_t g = 0; g < groups.size(); ++g) {
      for (size_t i = 0; i < groups[g].sequences.size(); ++i) {
        EXPECT_THAT(groups[g].sequences[i].advantages,
                    Each(FloatNear(c["advantages"][g][i], 1e-5f)))
            << g << " " << i;
      }
    }
  }
}

TEST(TrainGroupTest, ReinforcePlusPlusDiscounts) {
  GrpoStage stage = Stage(GrpoStage::REINFORCE_PLUS_PLUS);
  stage.set_gamma(0.5);
  const auto groups = Assigned(stage, {{0.0, 0.0, 1.0}});
  // Returns 0; 0 0; 0.25 0.5 1, whitened: order and ratios of differences stay.
  const auto& a = groups[0].sequences[2].advantages;
  const float zero = groups[0].sequences[0].advantages[0];
  EXPECT_NEAR((a[2] - zero) / (a[0] - zero), 4, 1e-4);
  EXPECT_NEAR((a[1] - zero) / (a[0] - zero), 2, 1e-4);
}

TEST(TrainGroupTest, KlInTheRewardIsTakenFromIt) {
  GrpoStage stage = Stage(GrpoStage::DR_GRPO);
  stage.set_kl_coef(0.1);
  stage.set_kl_in_reward(true);
  stage.set_kl_estimator(GrpoStage::K1);
  std::vector<TrainGroup> groups = {
      ToTrainGroup(Group({1.0, 0.0}), /*mask_truncated=*/false)};
  for (TrainSequence& sequence : groups[0].sequences) {
    for (const float logprob : sequence.behavior_logprobs) {
      sequence.reference_logprobs.push_back(logprob - 2);  // k1 = 2 a token.
    }
  }
  AssignAdvantages(stage, &groups);
  // Rewards 1 - 0.2 and 0 - 0.4.
  EXPECT_THAT(groups[0].sequences[0].advantages,
              ElementsAre(FloatNear(0.6f, 1e-6f)));
  EXPECT_THAT(groups[0].sequences[1].advantages,
              ElementsAre(FloatNear(-0.6f, 1e-6f), FloatNear(-0.6f, 1e-6f)));
  EXPECT_EQ(PolicyLossOptionsOf(stage).kl_coef, 0);  // Not in the loss too.
}

TEST(TrainGroupTest, ATeacherJudgesEachTokenWhateverTheReward) {
  GrpoStage stage = Stage(GrpoStage::REVERSE_KL);
  stage.set_teacher("teacher");
  EXPECT_TRUE(HasReference(stage));
  EXPECT_FALSE(HasReference(Stage(GrpoStage::GRPO)));
  std::vector<TrainGroup> groups = {
      ToTrainGroup(Group({1.0, 0.0, std::nullopt}), false)};
  groups[0].sequences[0].reference_logprobs = {-0.25f};
  groups[0].sequences[1].reference_logprobs = {-1.5f, -1.0f};
  AssignAdvantages(stage, &groups);
  // The policy's are -0.5, and -0.5 and -1.
  EXPECT_THAT(groups[0].sequences[0].advantages, ElementsAre(0.25f));
  EXPECT_THAT(groups[0].sequences[1].advantages, ElementsAre(-1.0f, 0.0f));
  EXPECT_THAT(groups[0].sequences[2].advantages, IsEmpty());
  EXPECT_NEAR(MeanReverseKl(groups), (-0.25 + 1 + 0) / 3, 1e-7);
  // Against the policy at the start of the step, where samples are older.
  groups[0].sequences[1].old_logprobs = {-1.5f, -2.0f};
  AssignAdvantages(stage, &groups);
  EXPECT_THAT(groups[0].sequences[1].advantages, ElementsAre(0.0f, 1.0f));
  EXPECT_EQ(MeanReverseKl({}), 0);
}

TEST(TrainGroupTest, GaeFillsInReturnsToo) {
  GrpoStage stage = Stage(GrpoStage::GAE);
  std::vector<TrainGroup> groups = {
      ToTrainGroup(Group({1.0, 0.0, std::nullopt}), false)};
  groups[0].sequences[0].values = {0.25f};
  groups[0].sequences[1].values = {0.5f, 0.75f};
  AssignAdvantages(stage, &groups);
  EXPECT_THAT(groups[0].sequences[0].returns, ElementsAre(1.0f));
  EXPECT_THAT(groups[0].sequences[1].returns, ElementsAre(0.0f, 0.0f));
  // Advantages 0.75, -0.5, -0.75 before whitening.
  EXPECT_NEAR(Moments(groups).first, 0, 1e-6);
  EXPECT_GT(groups[0].sequences[0].advantages[0], 0);
  EXPECT_LT(groups[0].sequences[1].advantages[1],
            groups[0].sequences[1].advantages[0]);
}

TEST(TrainGroupTest, CorrectionIsOnWhereSamplesAreOld) {
  GrpoStage stage;
  EXPECT_FALSE(IsDecoupled(stage));
  EXPECT_EQ(ImportanceOptionsOf(stage).mode, ImportanceMode::kNone);
  stage.set_max_staleness(1);
  EXPECT_TRUE(IsDecoupled(stage));
  EXPECT_EQ(ImportanceOptionsOf(stage).mode, ImportanceMode::kTokenTruncate);
  EXPECT_EQ(ImportanceOptionsOf(stage).high, 2);
  stage.set_decoupled(false);
  EXPECT_EQ(ImportanceOptionsOf(stage).mode, ImportanceMode::kNone);
  stage.set_decoupled(true);
  stage.mutable_importance()->set_mode(ImportanceConfig::SEQUENCE_MASK);
  EXPECT_EQ(ImportanceOptionsOf(stage).low, 0.999);
  stage.mutable_importance()->set_high(1.5);
  EXPECT_EQ(ImportanceOptionsOf(stage).high, 1.5);
}

TEST(TrainGroupTest, ScaleCountsWhatHasAReward) {
  const TrainGroup group =
      ToTrainGroup(Group({1.0, std::nullopt, 0.0}), /*mask_truncated=*/false);
  GrpoStage stage;
  stage.set_aggregation(GrpoStage::SEQ_MEAN_TOKEN_SUM_NORM);
  const LossScale scale = LossScaleOf(stage, 512, group.sequences);
  EXPECT_EQ(scale.tokens, 4);
  EXPECT_EQ(scale.sequences, 2);
  EXPECT_EQ(scale.norm_tokens, 512);
  EXPECT_DOUBLE_EQ(TokenWeight(scale, 3), 1.0 / (2 * 512));
}

// Each choice of the configuration is the one that its name says.
TEST(TrainGroupTest, ChoicesOfTheConfiguration) {
  GrpoStage stage;
  for (const auto& [chosen, wanted] :
       {std::pair<GrpoStage::Objective, Objective>{GrpoStage::CLIPPED,
                                                   Objective::kClipped},
        {GrpoStage::GSPO, Objective::kGspo},
        {GrpoStage::CISPO, Objective::kCispo},
        {GrpoStage::SAPO, Objective::kSapo},
        {GrpoStage::DPPO_TV, Objective::kDppoTv}}) {
    stage.set_objective(chosen);
    EXPECT_EQ(PolicyLossOptionsOf(stage).objective, wanted) << chosen;
  }
  for (const auto& [chosen, wanted] :
       {std::pair<GrpoStage::KlEstimator, KlEstimator>{GrpoStage::K1,
                                                       KlEstimator::kK1},
        {GrpoStage::K2, KlEstimator::kK2},
        {GrpoStage::K3, KlEstimator::kK3},
        {GrpoStage::K3_K2_GRADIENT, KlEstimator::kK3WithK2Gradient}}) {
    stage.set_kl_estimator(chosen);
    EXPECT_EQ(PolicyLossOptionsOf(stage).kl_estimator, wanted) << chosen;
  }
  for (const auto& [chosen, wanted] :
       {std::pair<GrpoStage::Aggregation, Aggregation>{GrpoStage::TOKEN_MEAN,
                                                       Aggregation::kTokenMean},
        {GrpoStage::SEQ_MEAN_TOKEN_MEAN, Aggregation::kSeqMeanTokenMean},
        {GrpoStage::SEQ_MEAN_TOKEN_SUM, Aggregation::kSeqMeanTokenSum},
        {GrpoStage::SEQ_MEAN_TOKEN_SUM_NORM, Aggregation::kSeqMeanTokenSumNorm},
        {GrpoStage::TOKEN_SUM, Aggregation::kTokenSum}}) {
    stage.set_aggregation(chosen);
    EXPECT_EQ(LossScaleOf(stage, 9, {}).aggregation, wanted) << chosen;
  }
  stage.set_aggregation_tokens(77);
  EXPECT_EQ(LossScaleOf(stage, 9, {}).norm_tokens, 77);
  stage.set_decoupled(true);
  for (const auto& [chosen, wanted] :
       {std::pair<ImportanceConfig::Mode, ImportanceMode>{
            ImportanceConfig::AUTO, ImportanceMode::kTokenTruncate},
        {ImportanceConfig::NONE, ImportanceMode::kNone},
        {ImportanceConfig::TOKEN_TRUNCATE, ImportanceMode::kTokenTruncate},
        {ImportanceConfig::TOKEN_MASK, ImportanceMode::kTokenMask},
        {ImportanceConfig::SEQUENCE_TRUNCATE,
         ImportanceMode::kSequenceTruncate},
        {ImportanceConfig::SEQUENCE_MASK, ImportanceMode::kSequenceMask}}) {
    stage.mutable_importance()->set_mode(chosen);
    EXPECT_EQ(ImportanceOptionsOf(stage).mode, wanted) << chosen;
  }
  stage.set_clip_low(0.1);
  stage.set_clip_high(0.3);
  stage.set_dual_clip(4);
  stage.set_kl_coef(0.5);
  stage.set_entropy_coef(0.6);
  stage.set_sapo_positive_temperature(0.7);
  stage.set_sapo_negative_temperature(0.8);
  stage.set_tv_bound(0.9);
  stage.set_off_policy_mask(1.1);
  const PolicyLossOptions options = PolicyLossOptionsOf(stage);
  EXPECT_EQ(options.clip_low, 0.1);
  EXPECT_EQ(options.clip_high, 0.3);
  EXPECT_EQ(options.dual_clip, 4);
  EXPECT_EQ(options.kl_coef, 0.5);
  EXPECT_EQ(options.entropy_coef, 0.6);
  EXPECT_EQ(options.sapo_positive_temperature, 0.7);
  EXPECT_EQ(options.sapo_negative_temperature, 0.8);
  EXPECT_EQ(options.tv_bound, 0.9);
  EXPECT_EQ(options.off_policy_mask, 1.1);
}

}  // namespace
}  // namespace ponder
