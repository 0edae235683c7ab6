// Group relative policy optimisation: sample, score, learn, publish.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/philox.h"
#include "base/process_memory.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "monitor/health.h"
#include "rl/data/pass_rates.h"
#include "rl/expert_metrics.h"
#include "rl/gold_check.h"
#include "rl/group_feeder.h"
#include "rl/grpo_metrics.h"
#include "rl/sample_lines.h"
#include "rl/stages.h"
#include "rl/step_learner.h"
#include "rl/train_group.h"

namespace ponder {
namespace {

// Where all workers run on this machine's CPU, sampler and learner must agree
// exactly; elsewhere by this much, and so with latent attention, whose products
// are taken in another order by the one than by the other. In bfloat16 that may
// even send a token to other experts, so there only the mean says something.
constexpr double kGateTolerance = 1e-4;
constexpr double kGateMeanTolerance = 0.05;

class GrpoRunner {
 public:
  GrpoRunner(Run& run, const GrpoStage& stage, const std::string& name)
      : run_(run), stage_(stage), name_(name), health_(run.config.health()) {}

  absl::Status RunAll() {
    PONDER_RETURN_IF_ERROR(Prepare());
    StartProgress();
    if (run_.state.evaluation_due) {
      PONDER_RETURN_IF_ERROR(SaveIfStopped(AfterStep()));
    }
    while (!IsDone()) {
      // A step that is stopped is given up and will be run again.
      PONDER_RETURN_IF_ERROR(SaveIfStopped(Step()));
      PONDER_RETURN_IF_ERROR(SaveIfStopped(AfterStep()));
    }
    run_.progress->Finish();
    return absl::OkStatus();
  }

 private:
  // All steps are done, or what other stages took is used up.
  bool IsDone() {
    if (run_.state.stage_step >= stage_.steps()) return true;
    return !stage_.core_seconds_of_stages().empty() &&
           run_.TrainingCoreSeconds() >= core_seconds_limit_;
  }

  void StartProgress() {
    run_.progress->Start(name_, stage_.steps(), Progress::Unit::kStep,
                         run_.state.stage_step);
  }

  absl::Status Prepare() {
    health_.FromJson(run_.state.health);
    run_.MeasurePeak();  // Before workers are started, who need the cores.
    for (const std::string& other : stage_.core_seconds_of_stages()) {
      PONDER_ASSIGN_OR_RETURN(const double used, run_.CoreSecondsOf(other));
      core_seconds_limit_ += used;
    }
    PONDER_RETURN_IF_ERROR(run_.NeedFleet());
    PONDER_ASSIGN_OR_RETURN(
        data_, run_.LoadStageData(stage_.data(), name_, ApplyPromptLimit));
    for (const DataRows& rows : data_.sets) {
      PONDER_ASSIGN_OR_RETURN(const GoldCheck check,
                              CheckGoldAnswers(run_.fleet->rewards(), rows));
      run_.progress->Print(check.Line(rows.name));
      PONDER_RETURN_IF_ERROR(check.status);
    }
    if (run_.state.stage_step == 0) {
      PONDER_ASSIGN_OR_RETURN(const RenderedPrompt first,
                              run_.renderer->Render(data_.sets[0].rows[0]));
      run_.progress->Print(absl::StrCat("first prompt, ", first.ids.size(),
                                        " tokens:\n", first.text));
    }
    PONDER_ASSIGN_OR_RETURN(learner_, StepLearner::Create(run_, stage_));
    if (stage_.curriculum().floor() < 1) PrepareCurriculum();
    PONDER_RETURN_IF_ERROR(DropLaterLines(SamplesPath(), run_.state.step));
    version_ = run_.PublishWeights(learner_->weights());
    if (run_.state.stage_step == 0) PONDER_RETURN_IF_ERROR(EvaluateStart());
    feeder_ = std::make_unique<GroupFeeder>(
        run_.fleet.get(), FeederOptions(), [this] { return DrawLease(); },
        [this] { return data_.source->drawn(); },
        [this](const FinishedGroup& group) { return MayTeach(group); });
    return absl::OkStatus();
  }

  // Step 0: what the stage starts from, unless it was evaluated just before.
  absl::Status EvaluateStart() {
    Metrics metrics = run_.evaluated_metrics;
    if (run_.stage_start_folder.empty() ||
        run_.evaluated_folder != run_.stage_start_folder) {
      PONDER_ASSIGN_OR_RETURN(const Evaluation evaluation,
                              Evaluate(run_, name_, absl::StrCat(name_, "/0")));
      metrics = EvaluationMetrics(evaluation);
      run_.evaluation_seconds += evaluation.seconds;
    }
    if (metrics.empty()) return absl::OkStatus();
    run_.state.stage_start_accuracy = MeanAccuracy(metrics);
    NoteAccuracy(metrics);
    return run_.metrics->Log(run_.state.step, metrics);
  }

  void NoteAccuracy(const Metrics& metrics) {
    const std::optional<double> accuracy = MeanAccuracy(metrics);
    if (accuracy) health_.Evaluated(*accuracy);
  }

  // Writes a checkpoint with all that the stage needs to go on.
  absl::StatusOr<std::string> Save() {
    if (curriculum_ != nullptr) run_.state.curriculum = curriculum_->ToJson();
    run_.state.health = health_.ToJson();
    return learner_->Save();
  }

  void PrepareCurriculum() {
    curriculum_ = std::make_unique<PassRates>(
        PassRates::Options{.floor = stage_.curriculum().floor(),
                           .newest = stage_.curriculum().newest()});
    for (const DataRows& set : data_.sets) {
      for (const DataRow& row : set.rows) {
        if (!row.pass_rate) continue;
        curriculum_->Observe(ProblemKey(set.name, row.id), *row.pass_rate);
      }
    }
    curriculum_->FromJson(run_.state.curriculum);
  }

  // A lease for the next prompt that the curriculum lets pass.
  absl::StatusOr<Lease> DrawLease() {
    Draw draw = data_.source->Next();
    while (!IsWanted(draw)) draw = data_.source->Next();
    const DataRow& row = data_.Row(draw);
    const std::string& set = data_.sets[draw.data_set].name;
    PONDER_ASSIGN_OR_RETURN(
        Lease lease, MakeLease(run_, row, "train", name_, run_.state.step));
    lease.set_group_id(
        absl::StrCat(name_, "/", data_.source->drawn(), "/", attempt_));
    for (RewardComponent& component :
         *lease.mutable_problem()->mutable_components()) {
      if (!Counts(component.name())) component.set_weight(0);
    }
    for (int s = 0; s < stage_.samples_per_prompt(); ++s) {
      SampleSpec* spec = lease.add_samples();
      spec->set_index(s);
      spec->set_temperature(stage_.temperature());
      spec->set_top_p(1);
      spec->set_key(KeyOf("train", draw).Add(static_cast<uint64_t>(s)).key());
    }
    lease.set_data_set(set);
    return lease;
  }

  // Whether the reward component counts in this stage.
  bool Counts(const std::string& component) const {
    return stage_.reward().empty() ||
           std::count(stage_.reward().begin(), stage_.reward().end(),
                      component) > 0;
  }

  StreamKey KeyOf(const std::string& purpose, const Draw& draw) const {
    return StreamKey()
        .Add(run_.config.seed())
        .Add(name_)
        .Add(purpose)
        .Add(data_.sets[draw.data_set].name)
        .Add(data_.Row(draw).id)
        .Add(static_cast<uint64_t>(draw.epoch));
  }

  static std::string ProblemKey(const std::string& set, const std::string& id) {
    return absl::StrCat(set, "/", id);
  }

  bool IsWanted(const Draw& draw) const {
    if (curriculum_ == nullptr) return true;
    return curriculum_->Accepts(
        ProblemKey(data_.sets[draw.data_set].name, data_.Row(draw).id),
        RandomStream(KeyOf("curriculum", draw).key()).Double());
  }

  // Tells the curriculum how many of the group's samples were right.
  void Observe(const FinishedGroup& group) {
    if (curriculum_ == nullptr) return;
    PassCount count;
    count.Add(group);
    const std::optional<double> rate = count.rate();
    if (!rate) return;
    curriculum_->Observe(
        ProblemKey(group.lease.data_set(), group.lease.problem().id()), *rate);
  }

  bool MayTeach(const FinishedGroup& group) {
    Observe(group);
    return HasSpread(RewardsOf(group, stage_.mask_truncated()));
  }

  GroupFeeder::Options FeederOptions() const {
    GroupFeeder::Options options;
    options.prompts_per_step = stage_.prompts_per_step();
    options.extra_prompts = stage_.extra_prompts();
    options.max_staleness = stage_.max_staleness();
    options.steps_done = run_.state.stage_step;
    const DynamicSampling& dynamic = stage_.dynamic_sampling();
    options.max_rounds = dynamic.max_rounds();
    options.round_prompts = dynamic.has_round_prompts()
                                ? dynamic.round_prompts()
                                : stage_.prompts_per_step();
    return options;
  }

  // A step from its samples to its metrics.
  struct StepRecord {
    StepGroups step;
    BatchStats batch;
    StepLearner::Result learnt;
    double sample_seconds = 0;
    double publish_seconds = 0;
    double seconds = 0;  // All in all.
    double core_seconds = 0;
  };

  absl::Status Step() {
    const absl::Time start = absl::Now();
    const double core_start = CoreSecondsOfProcessTree();
    StepRecord record;
    PONDER_ASSIGN_OR_RETURN(record.step, feeder_->Next(version_));
    WarnOfTooFew(record.step);
    record.sample_seconds = absl::ToDoubleSeconds(absl::Now() - start);

    std::vector<TrainGroup> groups;
    for (const FinishedGroup& group : record.step.groups) {
      record.batch.Add(group, version_, stage_.mask_truncated());
      if (stage_.dynamic_sampling().max_rounds() == 0) Observe(group);
      groups.push_back(ToTrainGroup(group, stage_.mask_truncated()));
      for (TrainSequence& sequence : groups.back().sequences) {
        sequence.stale = group.lease.policy_version() != version_;
      }
    }
    for (const FinishedGroup& group : record.step.without_spread) {
      record.batch.Add(group, version_, stage_.mask_truncated());
    }
    if (run_.state.stage_step == 0) PONDER_RETURN_IF_ERROR(Gate(groups));

    record.learnt = learner_->Learn(std::move(groups));
    const absl::Time publish_start = absl::Now();
    version_ = run_.PublishWeights(learner_->weights());
    const absl::Time end = absl::Now();
    record.publish_seconds = absl::ToDoubleSeconds(end - publish_start);
    record.seconds = absl::ToDoubleSeconds(end - start);
    record.core_seconds = CoreSecondsOfProcessTree() - core_start;

    ++run_.state.stage_step;
    ++run_.state.step;
    run_.state.drawn = feeder_->cursor();
    run_.state.stage_tokens += TokensOf(record);
    run_.state.stage_samples += static_cast<int64_t>(record.batch.samples);
    run_.state.stage_seconds += record.seconds;
    return Report(record);
  }

  static int64_t TokensOf(const StepRecord& record) {
    return record.batch.tokens + record.learnt.update.tokens +
           record.learnt.critic.tokens;
  }

  void WarnOfTooFew(const StepGroups& step) {
    if (!step.too_few) return;
    run_.progress->Print(absl::StrFormat(
        "warning: step %d: after %d groups without spread only %d of %d "
        "prompts are left to learn from; it trains on these. Other data, or "
        "more dynamic_sampling.max_rounds, would fill the step",
        run_.state.stage_step + 1, step.without_spread.size(),
        step.groups.size(), stage_.prompts_per_step()));
  }

  // Metrics, samples, health, the progress bar.
  absl::Status Report(const StepRecord& record) {
    Metrics metrics;
    LogBatch(record.batch, &metrics);
    LogLearning(record.learnt.learning, &metrics);
    LogFeeding(record.step, &metrics);
    LogUpdate(record.learnt, &metrics);
    LogMismatch(record.learnt.mismatch, &metrics);
    LogTimes(record, &metrics);
    const HealthReport report = CheckHealth(record);
    run_.status.warnings = report.warnings;
    metrics.insert(metrics.end(), report.metrics.begin(), report.metrics.end());
    PONDER_RETURN_IF_ERROR(run_.metrics->Log(run_.state.step, metrics));
    PONDER_RETURN_IF_ERROR(run_.metrics->LogHistogram(
        run_.state.step, "response_length", record.batch.lengths));
    PONDER_RETURN_IF_ERROR(WriteSamples(record.step));
    run_.progress->Update(
        run_.state.stage_step,
        absl::StrFormat("reward %.3f  length %.1f  %s",
                        record.batch.score.mean(),
                        record.batch.response_length.mean(), report.line));
    if (report.verdict == HealthReport::kWarn) {
      run_.progress->Print(absl::StrCat("warning: ", report.advice));
    }
    if (report.verdict == HealthReport::kStop) {
      PONDER_ASSIGN_OR_RETURN(const std::string saved, Save());
      return absl::FailedPreconditionError(
          absl::StrCat("the run was stopped by a health rule: ", report.advice,
                       "; saved ", saved));
    }
    return absl::OkStatus();
  }

  void LogTimes(const StepRecord& record, Metrics* metrics) {
    const double seconds = record.seconds;
    const double tokens = static_cast<double>(TokensOf(record));
    const int64_t sync_bytes =
        run_.model.NumParameters() *
        static_cast<int64_t>(c10::elementSize(run_.dtype()));
    run_.ChargeTime(/*evaluating=*/false);
    const Metrics costs = run_.CostMetrics(std::nullopt);
    metrics->insert(metrics->end(), costs.begin(), costs.end());
    for (const auto& [name, value] :
         {std::pair<const char*, double>{"timing_s/sample",
                                         record.sample_seconds},
          {"timing_s/update_weights", record.publish_seconds},
          {"timing_s/step", seconds},
          {"sync/version", static_cast<double>(version_)},
          {"sync/seconds", record.publish_seconds},
          {"sync/bytes", static_cast<double>(sync_bytes)},
          {"perf/cpu_memory_used_gb",
           static_cast<double>(PeakRssBytes(getpid())) / 1e9},
          {"perf/time_per_step", seconds},
          {"perf/rollout_idle_frac", 1 - run_.fleet->BusyShare(seconds)},
          {"perf/learner_idle_frac", record.sample_seconds / seconds},
          {"perf/total_num_tokens", tokens},
          {"perf/throughput", tokens / seconds},
          {"cost/core_seconds", record.core_seconds},
          {"training/global_step", static_cast<double>(run_.state.step)},
          {"training/epoch", data_.Epoch()}}) {
      metrics->emplace_back(name, value);
    }
    if (record.batch.tokens > 0) {
      metrics->emplace_back("timing_per_token_ms/gen",
                            1000 * record.sample_seconds /
                                static_cast<double>(record.batch.tokens));
    }
    LogLearningTimes(record.learnt, metrics);
    run_.AddSaveTime(metrics);
  }

  // Of the parts that the step has.
  void LogLearningTimes(const StepLearner::Result& learnt, Metrics* metrics) {
    const StepLearner::Seconds& s = learnt.seconds;
    for (const auto& [name, seconds] :
         {std::pair<const char*, double>{"timing_s/ref", s.reference},
          {"timing_s/values", s.values},
          {"timing_s/old_log_prob", s.old_logprobs},
          {"timing_s/adv", s.advantages},
          {"timing_s/update_critic", s.update_critic},
          {"timing_s/update_actor", s.update_policy}}) {
      if (seconds > 0) metrics->emplace_back(name, seconds);
    }
    if (learnt.update.tokens > 0) {
      metrics->emplace_back(
          "timing_per_token_ms/update_actor",
          1000 * s.update_policy / static_cast<double>(learnt.update.tokens));
    }
    if (s.update_policy > 0) {
      metrics->emplace_back(
          "perf/mfu/actor",
          run_.Utilisation(learnt.update.flops, s.update_policy));
    }
    if (s.old_logprobs > 0) {
      metrics->emplace_back(
          "perf/mfu/actor_infer",
          run_.Utilisation(learnt.pass_flops, s.old_logprobs));
    }
  }

  // Step 0 of every stage: the sampler's numbers are the learner's.
  absl::Status Gate(const std::vector<TrainGroup>& groups) {
    const LogprobMismatch mismatch = learner_->CompareWithSampler(groups);
    // Where both sides take their sums in the same order.
    const bool exact = !run_.model.has_mla() && run_.device.is_cpu();
    const bool by_mean = !exact && run_.dtype() != at::kFloat;
    const double limit = by_mean                            ? kGateMeanTolerance
                         : run_.fleet->all_local() && exact ? 0.0
                                                            : kGateTolerance;
    const double found = by_mean ? mismatch.mean_abs : mismatch.max_abs;
    run_.progress->Print(absl::StrFormat(
        "step 0: sampler against learner over %d tokens: largest difference "
        "%.3g, KL %.3g",
        mismatch.tokens, mismatch.max_abs, mismatch.kl));
    if (found <= limit) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrFormat(
        "the sampler's log-probabilities differ from the learner's by %s "
        "%.3g, at most %.3g is allowed before the first update; workers on "
        "other kinds of processors than the trainer's can cause this",
        by_mean ? "a mean of" : "up to", found, limit));
  }

  void LogUpdate(const StepLearner::Result& learnt, Metrics* metrics) {
    const UpdateStats& u = learnt.update;
    metrics->push_back({"actor/pg_loss", u.loss});
    metrics->push_back({"actor/pg_clipfrac", u.clip_fraction});
    metrics->push_back({"actor/pg_clipfrac_lower", u.dual_clip_fraction});
    if (stage_.off_policy_mask() > 0) {
      metrics->emplace_back("actor/off_policy_masked_frac", u.masked_fraction);
    }
    metrics->push_back({"actor/ppo_kl", u.approx_kl});
    metrics->push_back({"actor/grad_norm", u.grad_norm});
    metrics->push_back({"actor/lr", u.learning_rate});
    AddExpertMetrics(u, run_.config.learner(), metrics);
    // Without a gradient entropy was not measured.
    if (u.applied) metrics->push_back({"actor/entropy", u.entropy});
    if (stage_.kl_coef() != 0) {
      metrics->emplace_back(
          stage_.kl_in_reward() ? "actor/reward_kl_penalty" : "actor/kl_loss",
          stage_.kl_in_reward() ? learnt.reward_kl : u.reference_kl);
      metrics->push_back({"actor/kl_coef", stage_.kl_coef()});
    }
    if (stage_.advantage() == GrpoStage::REVERSE_KL) {
      metrics->push_back({"actor/reverse_kl", learnt.reverse_kl});
    }
    if (stage_.advantage() != GrpoStage::GAE) return;
    metrics->push_back({"critic/vf_loss", learnt.critic.loss});
    metrics->push_back({"critic/vf_clipfrac", learnt.critic.clip_fraction});
    metrics->push_back({"critic/grad_norm", learnt.critic.grad_norm});
  }

  HealthReport CheckHealth(const StepRecord& record) {
    const BatchStats& batch = record.batch;
    const UpdateStats& update = record.learnt.update;
    StepHealth health;
    health.unscorable_fraction = batch.scores.unscorable_fraction();
    health.correct_fraction = batch.scores.correct_fraction();
    health.reward = batch.score.mean();
    health.response_length = batch.response_length.mean();
    health.clip_ratio = batch.truncated_fraction();
    // Without a gradient nothing was measured: not a sign of collapse.
    health.entropy.reset();
    if (update.applied) health.entropy = update.entropy;
    health.logprob_diff_mean = record.learnt.fresh_abs_diff;
    health.zero_signal_fraction = batch.zero_signal_fraction(stage_);
    health.grad_norm = update.grad_norm;
    return health_.Check(run_.state.stage_step, health);
  }

  std::string SamplesPath() const {
    return run_.folder.File(absl::StrCat("samples/", name_, ".jsonl"));
  }

  // Those that are learned from first.
  absl::Status WriteSamples(const StepGroups& step) {
    const std::string path = SamplesPath();
    std::ofstream out(path, std::ios::app);
    int64_t index = 0;
    const FinishedGroup* first = nullptr;
    for (const auto* groups : {&step.groups, &step.without_spread}) {
      for (const FinishedGroup& group : *groups) {
        if (first == nullptr) first = &group;
        out << SampleLines(group, run_.state.step, index++, *run_.tokenizer);
      }
    }
    out.flush();
    if (!out) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": cannot be written; the disk may be full"));
    }
    if (first == nullptr || first->samples.empty()) return absl::OkStatus();
    const Sample& shown = first->samples[0];
    return run_.metrics->LogText(
        run_.state.step, "samples",
        absl::StrCat("**prompt**\n\n```\n", first->lease.problem().prompt(),
                     "\n```\n\n**response**, ",
                     Verdict_Name(shown.score().verdict()), "\n\n```\n",
                     shown.text(), "\n```\n"));
  }

  // Returns `status`, with a checkpoint written if a stop was requested.
  absl::Status SaveIfStopped(const absl::Status& status) {
    if (!absl::IsCancelled(status)) return status;
    run_.progress->Print(kSaving);
    PONDER_ASSIGN_OR_RETURN(const std::string saved, Save());
    run_.progress->Print(absl::StrCat("stopped; saved ", saved));
    return status;
  }

  absl::Status LogEvaluation(const Evaluation& evaluation) {
    Metrics metrics = EvaluationMetrics(evaluation);
    NoteAccuracy(metrics);
    metrics.emplace_back("timing_s/testing", evaluation.seconds);
    const Metrics costs = run_.CostMetrics(MeanAccuracy(metrics));
    metrics.insert(metrics.end(), costs.begin(), costs.end());
    return run_.metrics->Log(run_.state.step, metrics);
  }

  absl::Status AfterStep() {
    const bool last = IsDone();
    const int64_t eval_every = stage_.eval_every();
    if (!last && eval_every > 0 && run_.state.stage_step % eval_every == 0) {
      run_.state.evaluation_due = true;
      PONDER_ASSIGN_OR_RETURN(
          const Evaluation evaluation,
          Evaluate(
              run_, name_,
              absl::StrCat(name_, "/", run_.state.stage_step, "/", attempt_)));
      PONDER_RETURN_IF_ERROR(LogEvaluation(evaluation));
      run_.evaluation_seconds += evaluation.seconds;
      run_.state.evaluation_due = false;
      StartProgress();
    }
    const int64_t every = run_.config.checkpoint().every_steps();
    if (!last && every > 0 && run_.state.stage_step % every == 0) {
      return Save().status();
    }
    return absl::OkStatus();
  }

  Run& run_;
  const GrpoStage& stage_;
  const std::string name_;
  HealthRules health_;
  StageData data_;
  std::unique_ptr<StepLearner> learner_;
  std::unique_ptr<PassRates> curriculum_;  // Null without one.
  double core_seconds_limit_ = 0;          // With core_seconds_of_stages.
  int64_t version_ = 0;  // Of the policy that was published last.
  // Tells the groups of a resumed run from those before.
  const int64_t attempt_ = run_.state.stage_step;
  std::unique_ptr<GroupFeeder> feeder_;  // Uses the above.
};

}  // namespace

absl::Status RunGrpoStage(Run& run, const GrpoStage& stage,
                          const std::string& name) {
  return GrpoRunner(run, stage, name).RunAll();
}

}  // namespace ponder
