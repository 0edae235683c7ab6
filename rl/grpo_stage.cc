// Group relative policy optimisation: sample, score, learn, publish.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "ATen/ops/tensor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/philox.h"
#include "base/process_memory.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "monitor/health.h"
#include "rl/critic.h"
#include "rl/data/pass_rates.h"
#include "rl/expert_metrics.h"
#include "rl/gold_check.h"
#include "rl/group_feeder.h"
#include "rl/grpo_metrics.h"
#include "rl/stages.h"
#include "rl/train_group.h"

namespace ponder {
namespace {

// Groups whose samples are written to samples/STAGE.jsonl in each step.
constexpr size_t kGroupsToShow = 2;
// Of the reference's weights among the trainer's tensors.
constexpr char kReferencePrefix[] = "reference.";
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
    run_.progress->Start(name_, stage_.steps());
    if (run_.state.evaluation_due) {
      PONDER_RETURN_IF_ERROR(SaveIfStopped(AfterStep()));
    }
    while (run_.state.stage_step < stage_.steps()) {
      // A step that is stopped is given up and will be run again.
      PONDER_RETURN_IF_ERROR(SaveIfStopped(Step()));
      PONDER_RETURN_IF_ERROR(SaveIfStopped(AfterStep()));
    }
    run_.progress->Finish();
    return absl::OkStatus();
  }

 private:
  absl::Status Prepare() {
    PONDER_RETURN_IF_ERROR(run_.NeedFleet());
    PONDER_ASSIGN_OR_RETURN(data_, run_.LoadStageData(stage_.data(), name_,
                                                      /*sampled=*/true));
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
    PONDER_ASSIGN_OR_RETURN(learner_, run_.CreateLearner(stage_.optimizer()));
    if (stage_.kl_coef() != 0) {
      PONDER_RETURN_IF_ERROR(FreezeReference());
    }
    PONDER_RETURN_IF_ERROR(PrepareCritic());
    if (run_.state.stage_step > 0) {
      PONDER_RETURN_IF_ERROR(RestoreState());
    }
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
    return run_.metrics->Log(run_.state.step, metrics);
  }

  // The stage's first policy, also where the stage is resumed; with
  // reference_every the checkpoint has the one that came last.
  absl::Status FreezeReference() {
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

  absl::Status PrepareCritic() {
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

  absl::Status RestoreState() {
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

  // Writes a checkpoint with all that the stage needs to go on.
  absl::StatusOr<std::string> Save() {
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
    if (curriculum_ != nullptr) run_.state.curriculum = curriculum_->ToJson();
    return run_.SaveCheckpoint(learner_.get(), more);
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
    const std::optional<double> rate = PassRate(group);
    if (!rate) return;
    curriculum_->Observe(
        ProblemKey(group.lease.data_set(), group.lease.problem().id()), *rate);
  }

  bool MayTeach(const FinishedGroup& group) {
    Observe(group);
    return HasSpread(ToTrainGroup(group, stage_.mask_truncated()));
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

  absl::Status Step() {
    const absl::Time start = absl::Now();
    const double core_start = CoreSecondsOfProcessTree();
    PONDER_ASSIGN_OR_RETURN(const StepGroups step, feeder_->Next(version_));
    if (step.too_few) {
      run_.progress->Print(absl::StrFormat(
          "warning: step %d: after %d groups without spread only %d of %d "
          "prompts are left to learn from; it trains on these. Other data, or "
          "more dynamic_sampling.max_rounds, would fill the step",
          run_.state.stage_step + 1, step.without_spread, step.groups.size(),
          stage_.prompts_per_step()));
    }
    const double sample_seconds = absl::ToDoubleSeconds(absl::Now() - start);

    BatchStats stats;
    std::vector<TrainGroup> groups;
    for (const FinishedGroup& group : step.groups) {
      stats.Add(group, version_);
      if (stage_.dynamic_sampling().max_rounds() == 0) Observe(group);
      groups.push_back(ToTrainGroup(group, stage_.mask_truncated()));
    }
    if (run_.state.stage_step == 0) {
      PONDER_RETURN_IF_ERROR(Gate(groups));
    }

    const absl::Time learn_start = absl::Now();
    if (stage_.reference_every() > 0 && run_.state.stage_step > 0 &&
        run_.state.stage_step % stage_.reference_every() == 0) {
      learner_->FreezeReference(learner_->weights());
    }
    MismatchMeter mismatch_meter;
    PassOver(&groups, &mismatch_meter);
    AssignAdvantages(stage_, &groups);
    LearningStats learning;
    for (const TrainGroup& group : groups) learning.Add(group);
    CriticStats critic;
    UpdateStats update = Update(groups, &critic, &mismatch_meter);
    const LogprobMismatch mismatch = mismatch_meter.Result();
    const double learn_seconds =
        absl::ToDoubleSeconds(absl::Now() - learn_start);
    const absl::Time publish_start = absl::Now();
    version_ = run_.PublishWeights(learner_->weights());
    const double publish_seconds =
        absl::ToDoubleSeconds(absl::Now() - publish_start);

    ++run_.state.stage_step;
    ++run_.state.step;
    run_.state.drawn = feeder_->cursor();
    run_.state.stage_tokens += stats.tokens + update.tokens + critic.tokens;
    run_.state.stage_samples += static_cast<int64_t>(stats.samples);
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    run_.state.stage_seconds += seconds;

    Metrics metrics;
    LogBatch(stats, &metrics);
    LogLearning(learning, &metrics);
    LogFeeding(step, &metrics);
    LogUpdate(update, critic, mismatch.tokens > 0, &metrics);
    LogMismatch(mismatch, &metrics);
    metrics.push_back({"timing_s/sample", sample_seconds});
    metrics.push_back({"timing_s/update_actor", learn_seconds});
    metrics.push_back({"timing_s/update_weights", publish_seconds});
    metrics.push_back({"timing_s/step", seconds});
    metrics.push_back({"sync/version", static_cast<double>(version_)});
    metrics.push_back({"sync/seconds", publish_seconds});
    metrics.push_back({"sync/bytes", static_cast<double>(
                                         run_.model.NumParameters() *
                                         static_cast<int64_t>(
                                             c10::elementSize(run_.dtype())))});
    metrics.push_back({"perf/cpu_memory_used_gb",
                       static_cast<double>(PeakRssBytes(getpid())) / 1e9});
    metrics.push_back({"perf/time_per_step", seconds});
    metrics.push_back(
        {"perf/rollout_idle_frac", 1 - run_.fleet->BusyShare(seconds)});
    metrics.push_back({"perf/learner_idle_frac", sample_seconds / seconds});
    const double all_tokens = static_cast<double>(stats.tokens + update.tokens);
    metrics.push_back({"perf/total_num_tokens", all_tokens});
    metrics.push_back({"perf/throughput", all_tokens / seconds});
    const Cost total = run_.cost.Total();
    metrics.push_back(
        {"cost/core_seconds", CoreSecondsOfProcessTree() - core_start});
    metrics.push_back({"cost/total_core_seconds", total.core_seconds});
    metrics.push_back({"cost/money", total.money});
    metrics.push_back(
        {"training/global_step", static_cast<double>(run_.state.step)});

    const HealthReport report = CheckHealth(stats, learning, update, mismatch);
    metrics.insert(metrics.end(), report.metrics.begin(), report.metrics.end());
    PONDER_RETURN_IF_ERROR(run_.metrics->Log(run_.state.step, metrics));
    PONDER_RETURN_IF_ERROR(run_.metrics->LogHistogram(
        run_.state.step, "response_length", stats.lengths));
    PONDER_RETURN_IF_ERROR(WriteSamples(step.groups));
    run_.progress->Update(
        run_.state.stage_step,
        absl::StrFormat("reward %.3f  length %.1f  %s", stats.score.mean(),
                        stats.response_length.mean(), report.line));
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

  // Step 0 of every stage: the sampler's numbers are the learner's.
  absl::Status Gate(const std::vector<TrainGroup>& groups) {
    const std::vector<TrainSequence> all =
        SequencesOf(groups, 0, groups.size());
    MismatchMeter meter;
    AddMismatch(all, learner_->Logprobs(all, stage_.temperature()), &meter);
    const LogprobMismatch mismatch = meter.Result();
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

  static std::vector<TrainSequence> SequencesOf(
      const std::vector<TrainGroup>& groups, size_t begin, size_t end) {
    std::vector<TrainSequence> all;
    for (size_t g = begin; g < end; ++g) {
      all.insert(all.end(), groups[g].sequences.begin(),
                 groups[g].sequences.end());
    }
    return all;
  }

  // `logprobs` of the policy; sequences without any are left out.
  static void AddMismatch(const std::vector<TrainSequence>& batch,
                          const std::vector<std::vector<float>>& logprobs,
                          MismatchMeter* meter) {
    for (size_t i = 0; i < batch.size(); ++i) {
      if (logprobs[i].empty()) continue;
      meter->Add(at::tensor(logprobs[i]),
                 at::tensor(batch[i].behavior_logprobs));
    }
  }

  // Passes over the step's samples before the first update: of the reference,
  // of the critic, and of the policy as it is.
  void PassOver(std::vector<TrainGroup>* groups, MismatchMeter* meter) {
    const std::vector<TrainSequence> all =
        SequencesOf(*groups, 0, groups->size());
    std::vector<std::vector<float>> reference, old, values;
    if (stage_.kl_coef() != 0) {
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
  UpdateStats Update(const std::vector<TrainGroup>& groups, CriticStats* critic,
                     MismatchMeter* meter) {
    const size_t num_updates = static_cast<size_t>(stage_.updates_per_step());
    const bool only_critic =
        critic_ != nullptr &&
        run_.state.stage_step < stage_.critic().warmup_steps();
    UpdateStats total;
    for (size_t u = 0; u < num_updates; ++u) {
      const std::vector<TrainSequence> batch =
          SequencesOf(groups, groups.size() * u / num_updates,
                      groups.size() * (u + 1) / num_updates);
      const LossScale scale = LossScaleOf(
          stage_, run_.config.prompt().max_response_tokens(), batch);
      if (scale.tokens == 0) continue;
      const double share = 1.0 / static_cast<double>(num_updates);
      if (critic_ != nullptr) {
        AddShare(critic_->Update(batch, scale,
                                 RateOf(stage_.critic().optimizer(), u)),
                 share, critic);
      }
      if (only_critic) continue;
      const UpdateStats stats = learner_->PolicyUpdate(
          batch, scale, stage_.temperature(), PolicyLossOptionsOf(stage_),
          RateOf(stage_.optimizer(), u));
      if (u == 0 && !IsDecoupled(stage_)) {
        AddMismatch(batch, stats.logprobs, meter);
      }
      AddShare(stats, share, &total);
    }
    return total;
  }

  // The learning rate of a step's update `u`.
  double RateOf(const OptimizerConfig& optimizer, size_t u) const {
    return LearningRate(optimizer,
                        run_.state.stage_step * stage_.updates_per_step() +
                            static_cast<int64_t>(u) + 1,
                        stage_.steps() * stage_.updates_per_step());
  }

  static void AddShare(const CriticStats& stats, double share,
                       CriticStats* total) {
    total->loss += share * stats.loss;
    total->clip_fraction += share * stats.clip_fraction;
    total->grad_norm = std::max(total->grad_norm, stats.grad_norm);
    total->tokens += stats.tokens;
  }

  static void AddShare(const UpdateStats& stats, double share,
                       UpdateStats* total) {
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

  // `measured`: there was a gradient, so that entropy says something.
  void LogUpdate(const UpdateStats& u, const CriticStats& c, bool measured,
                 Metrics* metrics) {
    metrics->push_back({"actor/pg_loss", u.loss});
    metrics->push_back({"actor/pg_clipfrac", u.clip_fraction});
    metrics->push_back({"actor/pg_clipfrac_lower", u.dual_clip_fraction});
    metrics->push_back({"actor/ppo_kl", u.approx_kl});
    metrics->push_back({"actor/grad_norm", u.grad_norm});
    metrics->push_back({"actor/lr", u.learning_rate});
    AddExpertMetrics(u, run_.config.learner(), metrics);
    if (measured) metrics->push_back({"actor/entropy", u.entropy});
    if (stage_.kl_coef() != 0) {
      if (!stage_.kl_in_reward()) {
        metrics->push_back({"actor/kl_loss", u.reference_kl});
      }
      metrics->push_back({"actor/kl_coef", stage_.kl_coef()});
    }
    if (critic_ == nullptr) return;
    metrics->push_back({"critic/vf_loss", c.loss});
    metrics->push_back({"critic/vf_clipfrac", c.clip_fraction});
    metrics->push_back({"critic/grad_norm", c.grad_norm});
  }

  HealthReport CheckHealth(const BatchStats& s, const LearningStats& l,
                           const UpdateStats& u, const LogprobMismatch& m) {
    StepHealth health;
    health.unscorable_fraction = s.scores.unscorable_fraction();
    health.clip_ratio = s.truncated_fraction();
    // Without a gradient nothing was measured: not a sign of collapse.
    health.entropy = u.applied ? u.entropy : 1.0;
    // Samples of an older policy differ because the policy moved.
    health.logprob_diff_mean = s.staleness.max > 0 ? 0 : m.mean_abs;
    health.zero_signal_fraction = l.zero_spread_fraction();
    health.grad_norm = u.grad_norm;
    return health_.Check(run_.state.stage_step, health);
  }

  std::string SamplesPath() const {
    return run_.folder.File(absl::StrCat("samples/", name_, ".jsonl"));
  }

  absl::Status WriteSamples(const std::vector<FinishedGroup>& groups) {
    const std::string path = SamplesPath();
    std::ofstream out(path, std::ios::app);
    for (size_t g = 0; g < std::min(kGroupsToShow, groups.size()); ++g) {
      for (const Sample& sample : groups[g].samples) {
        nlohmann::ordered_json line;
        line["step"] = run_.state.step;
        line["problem"] = groups[g].lease.problem().id();
        line["prompt"] = groups[g].lease.problem().prompt();
        line["response"] = sample.text();
        line["finish_reason"] = sample.finish_reason();
        line["verdict"] = Verdict_Name(sample.score().verdict());
        line["reward"] = sample.score().has_reward()
                             ? nlohmann::ordered_json(sample.score().reward())
                             : nlohmann::ordered_json(nullptr);
        line["extracted"] = sample.score().extracted();
        line["reason"] = sample.score().reason();
        for (const ComponentScore& part : sample.score().components()) {
          line["components"][part.name()] =
              part.has_value() ? nlohmann::ordered_json(part.value())
                               : nlohmann::ordered_json(nullptr);
        }
        out << line.dump(-1, ' ', false,
                         nlohmann::ordered_json::error_handler_t::replace)
            << "\n";
      }
    }
    out.flush();
    if (!out) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": cannot be written; the disk may be full"));
    }
    if (groups.empty() || groups[0].samples.empty()) return absl::OkStatus();
    const Sample& shown = groups[0].samples[0];
    return run_.metrics->LogText(
        run_.state.step, "samples",
        absl::StrCat("**prompt**\n\n```\n", groups[0].lease.problem().prompt(),
                     "\n```\n\n**response**, ",
                     Verdict_Name(shown.score().verdict()), "\n\n```\n",
                     shown.text(), "\n```\n"));
  }

  // Returns `status`, with a checkpoint written if a stop was requested.
  absl::Status SaveIfStopped(const absl::Status& status) {
    if (!absl::IsCancelled(status)) return status;
    PONDER_ASSIGN_OR_RETURN(const std::string saved, Save());
    run_.progress->Print(absl::StrCat("stopped; saved ", saved));
    return status;
  }

  absl::Status AfterStep() {
    const bool last = run_.state.stage_step == stage_.steps();
    const int64_t eval_every = stage_.eval_every();
    if (!last && eval_every > 0 && run_.state.stage_step % eval_every == 0) {
      run_.state.evaluation_due = true;
      PONDER_ASSIGN_OR_RETURN(
          const Evaluation evaluation,
          Evaluate(
              run_, name_,
              absl::StrCat(name_, "/", run_.state.stage_step, "/", attempt_)));
      PONDER_RETURN_IF_ERROR(
          run_.metrics->Log(run_.state.step, EvaluationMetrics(evaluation)));
      run_.evaluation_seconds += evaluation.seconds;
      run_.state.evaluation_due = false;
      run_.progress->Start(name_, stage_.steps());
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
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Critic> critic_;         // Null without GAE.
  std::unique_ptr<PassRates> curriculum_;  // Null without one.
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
