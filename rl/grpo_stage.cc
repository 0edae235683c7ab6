// Group relative policy optimisation: sample, score, learn, publish.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/philox.h"
#include "base/process_memory.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "monitor/health.h"
#include "monitor/score_metrics.h"
#include "rl/advantage.h"
#include "rl/expert_metrics.h"
#include "rl/gold_check.h"
#include "rl/stages.h"

namespace ponder {
namespace {

// Groups whose samples are written to samples/STAGE.jsonl in each step.
constexpr size_t kGroupsToShow = 2;
// Where all workers run on this machine's CPU, sampler and learner must agree
// exactly; elsewhere by this much, and so with latent attention, whose products
// are taken in another order by the one than by the other. In bfloat16 that may
// even send a token to other experts, so there only the mean says something.
constexpr double kGateTolerance = 1e-4;
constexpr double kGateMeanTolerance = 0.05;

struct Range {
  double sum = 0, count = 0;
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();

  void Add(double x) {
    sum += x;
    count += 1;
    min = std::min(min, x);
    max = std::max(max, x);
  }
  double mean() const { return count > 0 ? sum / count : 0; }
  void Log(const std::string& prefix, Metrics* metrics) const {
    if (count == 0) return;
    metrics->push_back({prefix + "/mean", mean()});
    metrics->push_back({prefix + "/max", max});
    metrics->push_back({prefix + "/min", min});
  }
};

// What one step's samples looked like.
struct BatchStats {
  Range score, advantage, response_length, prompt_length;
  Range terminated_length;  // Of samples that ended by themselves.
  double samples = 0, truncated = 0;
  double groups = 0, zero_spread = 0, thinking = 0;
  ScoreMetrics scores;
  std::map<std::string, Range> set_rewards;  // By data set.
  std::vector<float> lengths;  // Of the responses, for the histogram.
  Range sampling_seconds, reward_wait_seconds;
  int64_t tokens = 0;  // Sampled.
};

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
    PONDER_ASSIGN_OR_RETURN(data_, run_.LoadStageData(stage_.data(), name_));
    for (const DataRows& rows : data_.sets) {
      PONDER_RETURN_IF_ERROR(CheckPromptLengths(run_, rows));
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
    Learner::Options options;
    options.learner = run_.config.learner();
    options.optimizer = stage_.optimizer();
    options.dtype = run_.dtype();
    options.max_tokens = run_.max_tokens();
    PONDER_ASSIGN_OR_RETURN(learner_,
                            Learner::Create(run_.model, run_.weights, options));
    if (stage_.kl_coef() != 0) {
      // The stage's first policy, also where the stage is resumed.
      PONDER_RETURN_IF_ERROR(FreezeStageStart());
    }
    if (run_.state.stage_step > 0) {
      PONDER_RETURN_IF_ERROR(run_.RestoreOptimizer(learner_.get()));
    }
    PONDER_RETURN_IF_ERROR(DropLaterLines(SamplesPath(), run_.state.step));
    run_.PublishWeights(learner_->weights());
    if (run_.state.stage_step == 0) return EvaluateStart();
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

  absl::Status FreezeStageStart() {
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

  // Leases for the next step's prompts, with their data set's name.
  absl::StatusOr<std::vector<Lease>> DrawLeases() {
    std::vector<Lease> leases;
    for (int p = 0; p < stage_.prompts_per_step(); ++p) {
      const Draw draw = data_.source->Next();
      const DataRow& row = data_.Row(draw);
      const std::string& set = data_.sets[draw.data_set].name;
      PONDER_ASSIGN_OR_RETURN(
          Lease lease, MakeLease(run_, row, "train", name_, run_.state.step));
      lease.set_group_id(absl::StrCat(name_, "/", run_.state.stage_step + 1,
                                      "/", p, "/", attempt_));
      for (int s = 0; s < stage_.samples_per_prompt(); ++s) {
        SampleSpec* spec = lease.add_samples();
        spec->set_index(s);
        spec->set_temperature(stage_.temperature());
        spec->set_top_p(1);
        spec->set_key(StreamKey()
                          .Add(run_.config.seed())
                          .Add(name_)
                          .Add("train")
                          .Add(set)
                          .Add(row.id)
                          .Add(static_cast<uint64_t>(draw.epoch))
                          .Add(static_cast<uint64_t>(s))
                          .key());
      }
      set_of_lease_.push_back(set);
      leases.push_back(std::move(lease));
    }
    return leases;
  }

  absl::Status Step() {
    const absl::Time start = absl::Now();
    const double core_start = CoreSecondsOfProcessTree();
    set_of_lease_.clear();
    PONDER_ASSIGN_OR_RETURN(std::vector<Lease> leases, DrawLeases());
    PONDER_ASSIGN_OR_RETURN(
        const std::vector<FinishedGroup> groups,
        run_.fleet->Sample(std::move(leases), [](int64_t) {}));
    const double sample_seconds = absl::ToDoubleSeconds(absl::Now() - start);

    BatchStats stats;
    std::vector<std::vector<TrainSequence>> by_group;
    for (size_t g = 0; g < groups.size(); ++g) {
      by_group.push_back(ToSequences(groups[g], set_of_lease_[g], &stats));
    }
    if (run_.state.stage_step == 0) {
      PONDER_RETURN_IF_ERROR(Gate(by_group));
    }

    const absl::Time learn_start = absl::Now();
    LogprobMismatch mismatch;
    PONDER_ASSIGN_OR_RETURN(const UpdateStats update,
                            Update(by_group, &mismatch));
    const double learn_seconds =
        absl::ToDoubleSeconds(absl::Now() - learn_start);
    const absl::Time publish_start = absl::Now();
    const int64_t published = run_.PublishWeights(learner_->weights());
    const double publish_seconds =
        absl::ToDoubleSeconds(absl::Now() - publish_start);

    ++run_.state.stage_step;
    ++run_.state.step;
    run_.state.drawn = data_.source->drawn();
    run_.state.stage_tokens += stats.tokens + update.tokens;
    run_.state.stage_samples += static_cast<int64_t>(stats.samples);
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    run_.state.stage_seconds += seconds;

    Metrics metrics;
    LogBatch(stats, &metrics);
    LogUpdate(update, mismatch, &metrics);
    metrics.push_back({"timing_s/gen", stats.sampling_seconds.mean()});
    metrics.push_back({"timing_s/reward", stats.reward_wait_seconds.mean()});
    metrics.push_back({"timing_s/sample", sample_seconds});
    metrics.push_back({"timing_s/update_actor", learn_seconds});
    metrics.push_back({"timing_s/update_weights", publish_seconds});
    metrics.push_back({"timing_s/step", seconds});
    metrics.push_back({"sync/version", static_cast<double>(published)});
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

    const HealthReport report = CheckHealth(stats, update, mismatch);
    metrics.insert(metrics.end(), report.metrics.begin(), report.metrics.end());
    PONDER_RETURN_IF_ERROR(run_.metrics->Log(run_.state.step, metrics));
    PONDER_RETURN_IF_ERROR(run_.metrics->LogHistogram(
        run_.state.step, "response_length", stats.lengths));
    PONDER_RETURN_IF_ERROR(WriteSamples(groups));
    run_.progress->Update(
        run_.state.stage_step,
        absl::StrFormat("reward %.3f  length %.1f  %s", stats.score.mean(),
                        stats.response_length.mean(), report.line));
    if (report.verdict == HealthReport::kWarn) {
      run_.progress->Print(absl::StrCat("warning: ", report.advice));
    }
    if (report.verdict == HealthReport::kStop) {
      PONDER_ASSIGN_OR_RETURN(const std::string saved,
                              run_.SaveCheckpoint(learner_.get()));
      return absl::FailedPreconditionError(
          absl::StrCat("the run was stopped by a health rule: ", report.advice,
                       "; saved ", saved));
    }
    return absl::OkStatus();
  }

  // The group's samples as sequences; counts them in `stats`. Samples that are
  // left out of the loss have no targets.
  std::vector<TrainSequence> ToSequences(const FinishedGroup& group,
                                         const std::string& set,
                                         BatchStats* stats) {
    std::vector<std::optional<double>> rewards;
    for (const Sample& sample : group.samples) {
      const ScoredResponse& score = sample.score();
      const bool truncated = sample.finish_reason() == "length";
      const bool masked = truncated && stage_.mask_truncated();
      std::optional<double> reward;
      if (score.has_reward() && !masked) reward = score.reward();
      rewards.push_back(reward);

      const double length = sample.response_ids_size();
      stats->samples += 1;
      stats->tokens += sample.response_ids_size();
      stats->response_length.Add(length);
      stats->lengths.push_back(static_cast<float>(length));
      if (!truncated) stats->terminated_length.Add(length);
      stats->truncated += truncated;
      stats->scores.Add(score);
      stats->thinking +=
          HasThought(sample.text(), group.lease.thought_opened());
      if (score.has_reward()) {
        stats->score.Add(score.reward());
        stats->set_rewards[set].Add(score.reward());
      }
    }
    const GroupAdvantages advantages = GrpoAdvantages(rewards);
    stats->groups += 1;
    stats->zero_spread += advantages.zero_spread;
    stats->prompt_length.Add(group.lease.prompt_ids_size());
    stats->sampling_seconds.Add(group.timing.sampling_seconds());
    stats->reward_wait_seconds.Add(group.timing.reward_wait_seconds());

    std::vector<TrainSequence> sequences;
    for (size_t i = 0; i < group.samples.size(); ++i) {
      const Sample& sample = group.samples[i];
      TrainSequence& sequence = sequences.emplace_back();
      if (!rewards[i]) continue;  // Neither gradient nor denominator.
      stats->advantage.Add(advantages.advantages[i]);
      sequence.ids.assign(group.lease.prompt_ids().begin(),
                          group.lease.prompt_ids().end());
      for (const int32_t id : sample.response_ids()) {
        sequence.targets.push_back(static_cast<int32_t>(sequence.ids.size()));
        sequence.ids.push_back(id);
      }
      sequence.behavior_logprobs.assign(sample.logprobs().begin(),
                                        sample.logprobs().end());
      sequence.advantage = advantages.advantages[i];
    }
    return sequences;
  }

  // Step 0 of every stage: the sampler's numbers are the learner's.
  absl::Status Gate(const std::vector<std::vector<TrainSequence>>& by_group) {
    std::vector<TrainSequence> all;
    for (const auto& group : by_group) {
      all.insert(all.end(), group.begin(), group.end());
    }
    const LogprobMismatch mismatch =
        learner_->CompareLogprobs(all, stage_.temperature());
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
        mismatch.tokens, mismatch.max_abs, mismatch.mean_kl));
    if (found <= limit) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrFormat(
        "the sampler's log-probabilities differ from the learner's by %s "
        "%.3g, at most %.3g is allowed before the first update; workers on "
        "other kinds of processors than the trainer's can cause this",
        by_mean ? "a mean of" : "up to", found, limit));
  }

  // All optimizer updates of a step. Prompts are spread over them in order.
  absl::StatusOr<UpdateStats> Update(
      const std::vector<std::vector<TrainSequence>>& by_group,
      LogprobMismatch* mismatch) {
    PolicyLossOptions options;
    options.clip_low = stage_.clip_low();
    options.clip_high = stage_.clip_high();
    options.dual_clip = stage_.dual_clip();
    options.kl_coef = stage_.kl_coef();
    const size_t num_updates = static_cast<size_t>(stage_.updates_per_step());
    UpdateStats total;
    for (size_t u = 0; u < num_updates; ++u) {
      std::vector<TrainSequence> batch;
      int64_t token_count = 0;
      const size_t end = by_group.size() * (u + 1) / num_updates;
      for (size_t g = by_group.size() * u / num_updates; g < end; ++g) {
        for (const TrainSequence& sequence : by_group[g]) {
          token_count += static_cast<int64_t>(sequence.targets.size());
          batch.push_back(sequence);
        }
      }
      if (token_count == 0) continue;
      const double learning_rate =
          LearningRate(stage_.optimizer(),
                       run_.state.stage_step * stage_.updates_per_step() +
                           static_cast<int64_t>(u) + 1,
                       stage_.steps() * stage_.updates_per_step());
      const UpdateStats stats = learner_->PolicyUpdate(
          batch, token_count, stage_.temperature(), options, learning_rate,
          u == 0 ? mismatch : nullptr);
      const double share = 1.0 / static_cast<double>(num_updates);
      total.loss += share * stats.loss;
      total.entropy += share * stats.entropy;
      total.clip_fraction += share * stats.clip_fraction;
      total.dual_clip_fraction += share * stats.dual_clip_fraction;
      total.approx_kl += share * stats.approx_kl;
      total.reference_kl += share * stats.reference_kl;
      total.grad_norm = std::max(total.grad_norm, stats.grad_norm);
      total.learning_rate = stats.learning_rate;
      total.applied = total.applied || stats.applied;
      total.tokens += stats.tokens;
      total.expert_balance_loss += share * stats.expert_balance_loss;
      if (stats.expert_tokens.defined()) {
        total.expert_tokens = total.expert_tokens.defined()
                                  ? total.expert_tokens + stats.expert_tokens
                                  : stats.expert_tokens;
      }
    }
    return total;
  }

  void LogBatch(const BatchStats& s, Metrics* metrics) {
    const double samples = std::max(1.0, s.samples);
    s.score.Log("critic/score", metrics);
    s.score.Log("critic/rewards", metrics);
    s.advantage.Log("critic/advantages", metrics);
    s.response_length.Log("response_length", metrics);
    s.prompt_length.Log("prompt_length", metrics);
    s.terminated_length.Log("completions/terminated_length", metrics);
    metrics->push_back({"response_length/clip_ratio", s.truncated / samples});
    metrics->push_back(
        {"frac_reward_zero_std", s.zero_spread / std::max(1.0, s.groups)});
    metrics->push_back({"response/thinking_frac", s.thinking / samples});
    s.scores.Log(metrics);
    for (const auto& [name, range] : s.set_rewards) {
      metrics->push_back({"reward/" + name + "/mean", range.mean()});
    }
  }

  void LogUpdate(const UpdateStats& u, const LogprobMismatch& m,
                 Metrics* metrics) {
    metrics->push_back({"actor/pg_loss", u.loss});
    metrics->push_back({"actor/pg_clipfrac", u.clip_fraction});
    metrics->push_back({"actor/pg_clipfrac_lower", u.dual_clip_fraction});
    metrics->push_back({"actor/ppo_kl", u.approx_kl});
    metrics->push_back({"actor/grad_norm", u.grad_norm});
    metrics->push_back({"actor/lr", u.learning_rate});
    AddExpertMetrics(u, run_.config.learner(), metrics);
    if (m.tokens > 0) metrics->push_back({"actor/entropy", u.entropy});
    if (stage_.kl_coef() != 0) {
      metrics->push_back({"actor/kl_loss", u.reference_kl});
      metrics->push_back({"actor/kl_coef", stage_.kl_coef()});
    }
    metrics->push_back({"rollout_corr/max_abs_diff", m.max_abs});
    metrics->push_back({"rollout_corr/log_ppl_abs_diff", m.mean_abs});
    metrics->push_back({"rollout_corr/kl", m.mean_kl});
    metrics->push_back({"rollout_corr/k3_kl", m.mean_k3});
    metrics->push_back({"training/rollout_probs_diff_mean", m.mean_prob_diff});
    metrics->push_back({"training/rollout_probs_diff_max", m.max_prob_diff});
  }

  HealthReport CheckHealth(const BatchStats& s, const UpdateStats& u,
                           const LogprobMismatch& m) {
    const double samples = std::max(1.0, s.samples);
    StepHealth health;
    health.unscorable_fraction = s.scores.unscorable_fraction();
    health.clip_ratio = s.truncated / samples;
    // Without a gradient nothing was measured: not a sign of collapse.
    health.entropy = m.tokens > 0 ? u.entropy : 1.0;
    health.logprob_diff_mean = m.mean_abs;
    health.zero_signal_fraction = s.zero_spread / std::max(1.0, s.groups);
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
    PONDER_ASSIGN_OR_RETURN(const std::string saved,
                            run_.SaveCheckpoint(learner_.get()));
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
      return run_.SaveCheckpoint(learner_.get()).status();
    }
    return absl::OkStatus();
  }

  Run& run_;
  const GrpoStage& stage_;
  const std::string name_;
  HealthRules health_;
  StageData data_;
  std::unique_ptr<Learner> learner_;
  std::vector<std::string> set_of_lease_;
  // Tells the groups of a resumed run from those before.
  const int64_t attempt_ = run_.state.stage_step;
};

}  // namespace

absl::Status RunGrpoStage(Run& run, const GrpoStage& stage,
                          const std::string& name) {
  return GrpoRunner(run, stage, name).RunAll();
}

}  // namespace ponder
