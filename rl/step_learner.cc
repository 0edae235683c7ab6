#include "rl/step_learner.h"

#include <algorithm>
#include <utility>

#include "ATen/ATen.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

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

// `logprobs` of the policy; sequences without any are left out.
void AddMismatch(const std::vector<TrainSequence>& batch,
                 const std::vector<std::vector<float>>& logprobs,
                 MismatchMeter* meter) {
  for (size_t i = 0; i < batch.size(); ++i) {
    if (logprobs[i].empty()) continue;
    meter->Add(at::tensor(logprobs[i]), at::tensor(batch[i].behavior_logprobs));
  }
}

void AddShare(const CriticStats& stats, double share, CriticStats* total) {
  total->loss += share * stats.loss;
  total->clip_fraction += share * stats.clip_fraction;
  total->grad_norm = std::max(total->grad_norm, stats.grad_norm);
  total->tokens += stats.tokens;
}

void AddShare(const UpdateStats& stats, double share, UpdateStats* total) {
  total->loss += share * stats.loss;
  total->entropy += share * stats.entropy;
  total->clip_fraction += share * stats.clip_fraction;
  total->dual_clip_fraction += share * stats.dual_clip_fraction;
  total->approx_kl += share * stats.approx_kl;
  total->reference_kl += share * stats.reference_kl;
  total->grad_norm = std::max(total->grad_norm, stats.grad_norm);
  total->learning_rate = stats.learning_rate;
  total->applied = total->applied || stats.applied;
  total->tokens += stats.tokens;
  total->expert_balance_loss += share * stats.expert_balance_loss;
  if (stats.expert_tokens.defined()) {
    total->expert_tokens = total->expert_tokens.defined()
                               ? total->expert_tokens + stats.expert_tokens
                               : stats.expert_tokens;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<StepLearner>> StepLearner::Create(
    Run& run, const GrpoStage& stage) {
  auto made = std::unique_ptr<StepLearner>(new StepLearner(run, stage));
  PONDER_ASSIGN_OR_RETURN(made->learner_, run.CreateLearner(stage.optimizer()));
  if (HasReference(stage)) PONDER_RETURN_IF_ERROR(made->FreezeReference());
  PONDER_RETURN_IF_ERROR(made->CreateCritic());
  if (run.state.stage_step > 0) PONDER_RETURN_IF_ERROR(made->RestoreState());
  return made;
}

// The teacher, or the stage's first policy, also where the stage is resumed;
// with reference_every the checkpoint has the one that came last.
absl::Status StepLearner::FreezeReference() {
  if (stage_.has_teacher()) {
    PONDER_ASSIGN_OR_RETURN(
        const Checkpoint teacher,
        LoadCheckpoint(
            run_.folder.File(run_.state.stage_checkpoints.at(stage_.teacher())),
            run_.dtype()));
    if (teacher.files.at("tokenizer.json") != run_.files.at("tokenizer.json")) {
      return absl::InvalidArgumentError(absl::StrCat(
          "teacher ", stage_.teacher(),
          ": its tokenizer.json is another one "
          "than the policy's, so its log-probabilities would be of other "
          "tokens; a teacher needs the same tokenizer"));
    }
    learner_->FreezeReference(teacher.config, teacher.weights);
    return absl::OkStatus();
  }
  if (run_.state.stage_step == 0 || run_.stage_start_folder.empty()) {
    learner_->FreezeReference(learner_->weights());
    return absl::OkStatus();
  }
  PONDER_ASSIGN_OR_RETURN(
      const Checkpoint start,
      LoadCheckpoint(run_.stage_start_folder, run_.dtype()));
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
  MismatchMeter meter;
  AddMismatch(all, learner_->Logprobs(all, stage_.temperature()), &meter);
  return meter.Result();
}

StepLearner::Result StepLearner::Learn(std::vector<TrainGroup> groups) {
  const int64_t step = run_.state.stage_step;
  if (stage_.reference_every() > 0 && step > 0 &&
      step % stage_.reference_every() == 0) {
    learner_->FreezeReference(learner_->weights());
  }
  Result result;
  MismatchMeter mismatch;
  PassOver(&groups, &mismatch);
  AssignAdvantages(stage_, &groups);
  for (const TrainGroup& group : groups) result.learning.Add(group);
  if (stage_.kl_in_reward()) result.reward_kl = MeanKl(stage_, groups);
  if (stage_.advantage() == GrpoStage::REVERSE_KL) {
    result.reverse_kl = MeanReverseKl(groups);
  }
  Update(groups, &mismatch, &result);
  result.mismatch = mismatch.Result();
  return result;
}

// Passes over the step's samples before the first update: of the reference,
// of the critic, and of the policy as it is.
void StepLearner::PassOver(std::vector<TrainGroup>* groups,
                           MismatchMeter* meter) const {
  const std::vector<TrainSequence> all =
      SequencesOf(*groups, 0, groups->size());
  std::vector<std::vector<float>> reference, old, values;
  if (HasReference(stage_)) {
    reference = learner_->ReferenceLogprobs(all, stage_.temperature());
  }
  if (critic_ != nullptr) values = critic_->Values(all);
  const ImportanceOptions importance = ImportanceOptionsOf(stage_);
  if (IsDecoupled(stage_)) {
    old = learner_->Logprobs(all, stage_.temperature());
    AddMismatch(all, old, meter);
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
                         MismatchMeter* meter, Result* result) {
  const size_t num_updates = static_cast<size_t>(stage_.updates_per_step());
  const bool only_critic =
      critic_ != nullptr &&
      run_.state.stage_step < stage_.critic().warmup_steps();
  for (size_t u = 0; u < num_updates; ++u) {
    const std::vector<TrainSequence> batch =
        SequencesOf(groups, groups.size() * u / num_updates,
                    groups.size() * (u + 1) / num_updates);
    const LossScale scale =
        LossScaleOf(stage_, run_.config.prompt().max_response_tokens(), batch);
    if (scale.tokens == 0) continue;
    const double share = 1.0 / static_cast<double>(num_updates);
    if (critic_ != nullptr) {
      AddShare(
          critic_->Update(batch, scale, RateOf(stage_.critic().optimizer(), u)),
          share, &result->critic);
    }
    if (only_critic) continue;
    const UpdateStats stats = learner_->PolicyUpdate(
        batch, scale, stage_.temperature(), PolicyLossOptionsOf(stage_),
        RateOf(stage_.optimizer(), u));
    if (u == 0 && !IsDecoupled(stage_)) {
      AddMismatch(batch, stats.logprobs, meter);
    }
    AddShare(stats, share, &result->update);
  }
}

// The learning rate of a step's update `u`.
double StepLearner::RateOf(const OptimizerConfig& optimizer, size_t u) const {
  return LearningRate(optimizer,
                      run_.state.stage_step * stage_.updates_per_step() +
                          static_cast<int64_t>(u) + 1,
                      stage_.steps() * stage_.updates_per_step());
}

}  // namespace ponder
