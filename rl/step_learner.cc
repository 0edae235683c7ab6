#include "rl/step_learner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/ATen.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "proto/text_config.h"

namespace ponder {
namespace {

// Of the reference's weights among the trainer's tensors.
constexpr char kReferencePrefix[] = "reference.";

std::vector<TrainSequence> SequencesOf(const std::vector<TrainGroup>& groups,
                                       size_t begin, size_t end) {
  std::vector<TrainSequence> all;
  for (size_t g = begin; g < end; ++g) {
    all.insert(all.end(), groups[g].sequences.begin(),
               groups[g].sequences.end());
  }
  return all;
}

// Adds the time of its life to `*seconds`.
class Timer {
 public:
  explicit Timer(double* seconds) : seconds_(seconds) {}
  ~Timer() { *seconds_ += absl::ToDoubleSeconds(absl::Now() - start_); }

  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  double* const seconds_;
  const absl::Time start_ = absl::Now();
};

// Means over the updates that had something to learn from; what is a count is
// summed, and of the norms the largest is kept.
CriticStats MeanOf(const std::vector<CriticStats>& updates) {
  CriticStats mean;
  const double share = 1.0 / static_cast<double>(updates.size());
  for (const CriticStats& stats : updates) {
    mean.loss += share * stats.loss;
    mean.clip_fraction += share * stats.clip_fraction;
    mean.grad_norm = std::max(mean.grad_norm, stats.grad_norm);
    mean.tokens += stats.tokens;
  }
  return mean;
}

UpdateStats MeanOf(const std::vector<UpdateStats>& updates) {
  UpdateStats mean;
  const double share = 1.0 / static_cast<double>(updates.size());
  for (const UpdateStats& stats : updates) {
    mean.loss += share * stats.loss;
    mean.entropy += share * stats.entropy;
    mean.clip_fraction += share * stats.clip_fraction;
    mean.dual_clip_fraction += share * stats.dual_clip_fraction;
    mean.masked_fraction += share * stats.masked_fraction;
    mean.approx_kl += share * stats.approx_kl;
    mean.reference_kl += share * stats.reference_kl;
    mean.grad_norm = std::max(mean.grad_norm, stats.grad_norm);
    mean.learning_rate = stats.learning_rate;
    mean.applied = mean.applied || stats.applied;
    mean.tokens += stats.tokens;
    mean.flops += stats.flops;
    mean.expert_balance_loss += share * stats.expert_balance_loss;
    if (stats.expert_tokens.defined()) {
      mean.expert_tokens = mean.expert_tokens.defined()
                               ? mean.expert_tokens + stats.expert_tokens
                               : stats.expert_tokens;
    }
  }
  return mean;
}

}  // namespace

void StepLearner::MismatchMeters::Add(
    const std::vector<TrainSequence>& batch,
    const std::vector<std::vector<float>>& logprobs) {
  for (size_t i = 0; i < batch.size(); ++i) {
    if (logprobs[i].empty()) continue;
    const std::vector<float>& sampler = batch[i].behavior_logprobs;
    all.Add(at::tensor(logprobs[i]), at::tensor(sampler));
    if (batch[i].stale) continue;
    for (size_t t = 0; t < sampler.size(); ++t) {
      fresh_abs += std::abs(double{sampler[t]} - double{logprobs[i][t]});
    }
    fresh_tokens += static_cast<int64_t>(sampler.size());
  }
}

absl::StatusOr<std::unique_ptr<StepLearner>> StepLearner::Create(
    Run& run, const GrpoStage& stage) {
  auto made = std::unique_ptr<StepLearner>(new StepLearner(run, stage));
  PONDER_ASSIGN_OR_RETURN(made->learner_, run.CreateLearner(stage.optimizer()));
  if (HasReference(stage)) PONDER_RETURN_IF_ERROR(made->FreezeReference());
  PONDER_RETURN_IF_ERROR(made->CreateCritic());
  if (run.state.stage_step > 0) PONDER_RETURN_IF_ERROR(made->RestoreState());
  return made;
}

// The teacher, or else the stage's first policy, also where the stage is
// resumed; with reference_every the checkpoint has the one that came last.
absl::Status StepLearner::FreezeReference() {
  if (HasTeacher(stage_)) {
    const std::string folder =
        stage_.has_teacher_path()
            ? stage_.teacher_path()
            : run_.folder.File(
                  run_.state.stage_checkpoints.at(stage_.teacher()));
    PONDER_ASSIGN_OR_RETURN(const Checkpoint teacher,
                            LoadCheckpoint(folder, run_.dtype()));
    const auto tokenizer = teacher.files.find("tokenizer.json");
    if (tokenizer == teacher.files.end() ||
        tokenizer->second != run_.files.at("tokenizer.json")) {
      return absl::InvalidArgumentError(absl::StrCat(
          "teacher ", folder,
          ": its tokenizer.json is another one than the policy's, so its "
          "log-probabilities would be of other tokens; a teacher needs the "
          "same tokenizer"));
    }
    if (teacher.config.vocab_size < run_.model.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "teacher ", folder, ": its vocab_size is ", teacher.config.vocab_size,
          ", the policy's ", run_.model.vocab_size,
          ", so the policy may sample tokens that the teacher does not have; "
          "wanted at least as many"));
    }
    return learner_->FreezeReference(teacher.config, teacher.weights);
  }
  if (run_.state.stage_step == 0) {
    learner_->FreezeReference(learner_->weights());
    return absl::OkStatus();
  }
  PONDER_ASSIGN_OR_RETURN(const Checkpoint start, run_.StageStart());
  learner_->FreezeReference(start.weights);
  return absl::OkStatus();
}

absl::Status StepLearner::CreateCritic() {
  if (stage_.advantage() != GrpoStage::GAE) return absl::OkStatus();
  Critic::Options options;
  options.learner = run_.config.learner();
  options.critic = stage_.critic();
  options.dtype = run_.dtype();
  options.max_tokens = run_.max_tokens();
  PONDER_ASSIGN_OR_RETURN(
      critic_, Critic::Create(run_.model, learner_->weights(), options));
  return absl::OkStatus();
}

absl::Status StepLearner::RestoreState() {
  PONDER_ASSIGN_OR_RETURN(const TensorMap state, run_.LoadTrainerTensors());
  PONDER_RETURN_IF_ERROR(
      learner_->optimizer().SetState(state, run_.state.optimizer_step));
  TensorMap reference;
  for (const auto& [name, tensor] : state) {
    if (name.starts_with(kReferencePrefix)) {
      reference[name.substr(sizeof(kReferencePrefix) - 1)] = tensor;
    }
  }
  if (!reference.empty()) learner_->FreezeReference(reference);
  if (critic_ == nullptr) return absl::OkStatus();
  return critic_->SetState(state, run_.state.critic_step);
}

absl::StatusOr<std::string> StepLearner::Save() {
  TensorMap more;
  if (critic_ != nullptr) {
    more = critic_->State();
    run_.state.critic_step = critic_->step();
  }
  if (stage_.reference_every() > 0 && stage_.kl_coef() != 0) {
    for (const auto& [name, weight] : learner_->reference_weights()) {
      more[kReferencePrefix + name] = weight.to(at::kFloat);
    }
  }
  return run_.SaveCheckpoint(learner_.get(), more);
}

LogprobMismatch StepLearner::CompareWithSampler(
    const std::vector<TrainGroup>& groups) const {
  const std::vector<TrainSequence> all = SequencesOf(groups, 0, groups.size());
  MismatchMeters meters;
  meters.Add(all, learner_->Logprobs(all, stage_.temperature()));
  return meters.all.Result();
}

StepLearner::Result StepLearner::Learn(std::vector<TrainGroup> groups) {
  const int64_t step = run_.state.stage_step;
  if (stage_.reference_every() > 0 && step > 0 &&
      step % stage_.reference_every() == 0) {
    learner_->FreezeReference(learner_->weights());
  }
  Result result;
  MismatchMeters mismatch;
  PassOver(&groups, &mismatch, &result);
  {
    const Timer timer(&result.seconds.advantages);
    AssignAdvantages(stage_, &groups);
  }
  for (const TrainGroup& group : groups) result.learning.Add(group);
  if (stage_.kl_in_reward()) result.reward_kl = MeanKl(stage_, groups);
  if (stage_.advantage() == GrpoStage::REVERSE_KL) {
    result.reverse_kl = MeanReverseKl(groups);
  }
  Update(groups, &mismatch, &result);
  result.mismatch = mismatch.all.Result();
  if (mismatch.fresh_tokens > 0) {
    result.fresh_abs_diff =
        mismatch.fresh_abs / static_cast<double>(mismatch.fresh_tokens);
  }
  return result;
}

// Passes over the step's samples before the first update: of the reference,
// of the critic, and of the policy as it is.
void StepLearner::PassOver(std::vector<TrainGroup>* groups,
                           MismatchMeters* meters, Result* result) const {
  const std::vector<TrainSequence> all =
      SequencesOf(*groups, 0, groups->size());
  std::vector<std::vector<float>> reference, old, values;
  if (HasReference(stage_)) {
    const Timer timer(&result->seconds.reference);
    reference = learner_->ReferenceLogprobs(all, stage_.temperature());
  }
  if (critic_ != nullptr) {
    const Timer timer(&result->seconds.values);
    values = critic_->Values(all);
  }
  const ImportanceOptions importance = ImportanceOptionsOf(stage_);
  if (IsDecoupled(stage_)) {
    const Timer timer(&result->seconds.old_logprobs);
    result->pass_flops =
        ForwardFlops(run_.model, all, SequencesWithTargets(all));
    old = learner_->Logprobs(all, stage_.temperature());
    meters->Add(all, old);
  }
  size_t i = 0;
  for (TrainGroup& group : *groups) {
    for (TrainSequence& sequence : group.sequences) {
      if (!reference.empty()) sequence.reference_logprobs = reference[i];
      if (!values.empty()) sequence.values = values[i];
      if (!old.empty()) {
        sequence.old_logprobs = old[i];
        AssignImportance(importance, &sequence);
      }
      ++i;
    }
  }
}

// All optimizer updates of a step. Prompts are spread over them in order.
// Where no pass of its own has measured the mismatch, the first update does.
void StepLearner::Update(const std::vector<TrainGroup>& groups,
                         MismatchMeters* meters, Result* result) {
  const size_t num_updates = static_cast<size_t>(stage_.updates_per_step());
  const bool only_critic =
      critic_ != nullptr &&
      run_.state.stage_step < stage_.critic().warmup_steps();
  std::vector<UpdateStats> updates;
  std::vector<CriticStats> critic_updates;
  for (size_t u = 0; u < num_updates; ++u) {
    const std::vector<TrainSequence> batch =
        SequencesOf(groups, groups.size() * u / num_updates,
                    groups.size() * (u + 1) / num_updates);
    const LossScale scale =
        LossScaleOf(stage_, run_.config.prompt().max_response_tokens(), batch);
    if (scale.tokens == 0) continue;
    if (critic_ != nullptr) {
      const Timer timer(&result->seconds.update_critic);
      critic_updates.push_back(critic_->Update(
          batch, scale, RateOf(stage_.critic().optimizer(), u)));
    }
    if (only_critic) continue;
    const Timer timer(&result->seconds.update_policy);
    UpdateStats stats = learner_->PolicyUpdate(
        batch, scale, stage_.temperature(), PolicyLossOptionsOf(stage_),
        RateOf(stage_.optimizer(), u));
    result->update.learning_rate = stats.learning_rate;
    if (u == 0 && !IsDecoupled(stage_)) {
      meters->Add(batch, stats.logprobs);
    }
    if (stats.tokens > 0) updates.push_back(std::move(stats));
  }
  if (!updates.empty()) result->update = MeanOf(updates);
  if (!critic_updates.empty()) result->critic = MeanOf(critic_updates);
}

// The learning rate of a step's update `u`.
double StepLearner::RateOf(const OptimizerConfig& optimizer, size_t u) const {
  return LearningRate(optimizer,
                      run_.state.stage_step * stage_.updates_per_step() +
                          static_cast<int64_t>(u) + 1,
                      stage_.steps() * stage_.updates_per_step());
}

}  // namespace ponder
