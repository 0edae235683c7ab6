#include "rl/trainer.h"

#include <filesystem>
#include <set>

#include "ATen/Parallel.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/program_name.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "monitor/hparams.h"
#include "policy/device.h"
#include "proto/text_config.h"
#include "rl/input_check.h"
#include "rl/memory_plan.h"
#include "rl/stage_manifest.h"
#include "rl/stages.h"
#include "rl/summary.h"

namespace ponder {
namespace {

absl::Status MakeTools(Run& run) {
  const auto it = run.files.find("tokenizer.json");
  if (it == run.files.end()) {
    return absl::NotFoundError(
        absl::StrCat(run.config.policy().path(),
                     ": has no tokenizer.json, which prompts need"));
  }
  PONDER_ASSIGN_OR_RETURN(run.tokenizer,
                          Tokenizer::FromJson(it->second, "tokenizer.json"));
  const PromptConfig& prompt = run.config.prompt();
  // A random policy's chat template is the configuration's, as Jinja.
  if (run.config.policy().init() != PolicyConfig::RANDOM &&
      !prompt.has_template_()) {
    PONDER_ASSIGN_OR_RETURN(run.chat_template,
                            ChatTemplate::FromFiles(run.files));
  }
  if (run.chat_template == nullptr && !prompt.has_template_() &&
      !prompt.system().empty()) {
    return absl::InvalidArgumentError(
        "prompt.system is given, and the policy has no chat template that "
        "would take it; give a prompt.template with \"{system}\"");
  }
  run.renderer = std::make_unique<PromptRenderer>(
      prompt, run.tokenizer.get(), run.chat_template.get(), run.end_id());
  if (run.model.eos_token_ids.empty()) {
    return absl::InvalidArgumentError(
        "the policy's config.json names no eos_token_id, so no response would "
        "ever end; add it");
  }
  return absl::OkStatus();
}

// Whether two folders' small files are those of the same kind of policy; what
// dtype its weights are stored in does not matter.
bool SameKind(const PolicyFiles& a, const PolicyFiles& b) {
  const auto shape = [](const PolicyFiles& files) {
    const auto it = files.find("config.json");
    nlohmann::json config =
        nlohmann::json::parse(it == files.end() ? "" : it->second, nullptr,
                              /*allow_exceptions=*/false);
    if (config.is_object()) {
      config.erase("torch_dtype");
      config.erase("dtype");
    }
    return config;
  };
  PolicyFiles rest_a = a, rest_b = b;
  rest_a.erase("config.json");
  rest_b.erase("config.json");
  return rest_a == rest_b && shape(a) == shape(b);
}

// Makes this the run's policy. Where it is of another kind than the one before,
// that one's workers and learner processes end.
absl::Status SetPolicy(Run& run, Checkpoint checkpoint) {
  // A copy, as training outlives the files that a checkpoint maps.
  run.weights = CopyTensors(checkpoint.weights, at::kFloat, run.device);
  if (run.tokenizer != nullptr && SameKind(run.files, checkpoint.files)) {
    return absl::OkStatus();
  }
  run.fleet = nullptr;
  run.learners = nullptr;
  run.model = std::move(checkpoint.config);
  run.files = std::move(checkpoint.files);
  return MakeTools(run);
}

absl::Status LoadWeights(Run& run, const std::string& folder) {
  PONDER_ASSIGN_OR_RETURN(Checkpoint checkpoint,
                          LoadCheckpoint(folder, at::kFloat));
  return SetPolicy(run, std::move(checkpoint));
}

// The policy that a configuration names.
absl::Status LoadPolicy(Run& run, const PolicyConfig& policy) {
  PONDER_ASSIGN_OR_RETURN(Checkpoint checkpoint, run.PolicyOf(policy));
  return SetPolicy(run, std::move(checkpoint));
}

class Trainer {
 public:
  explicit Trainer(Run& run)
      : run_(run), newest_checkpoint_(run.resumed_from) {}

  absl::Status RunStages() {
    std::string checkpoint;
    PONDER_RETURN_IF_ERROR(WriteManifests());  // That a stop left unwritten.
    if (run_.state.stage >= run_.config.stage_size()) {
      run_.progress->Print("all stages of this run are done already");
      run_.status.stage_number = run_.config.stage_size();
      run_.status.stage =
          StageName(run_.config.stage(run_.config.stage_size() - 1));
    }
    while (run_.state.stage < run_.config.stage_size()) {
      const Stage& stage =
          run_.config.stage(static_cast<int>(run_.state.stage));
      PONDER_RETURN_IF_ERROR(RunStage(stage));
      if (StopRequested()) return absl::CancelledError("stopped");
    }
    run_.UpdateClocks();
    const double seconds = run_.state.run_seconds;
    ExportedPolicy exported;
    if (!newest_checkpoint_.empty()) {
      checkpoint = newest_checkpoint_;
      PONDER_ASSIGN_OR_RETURN(exported, Export());
    }
    PONDER_RETURN_IF_ERROR(WriteSummary(run_, seconds, checkpoint, exported));
    run_.progress->Print(SummaryText(run_, seconds, exported.folder));
    return absl::OkStatus();
  }

 private:
  // The stage whose policy `stage` starts from; empty: the configuration's.
  std::string InitFrom(const Stage& stage) const {
    if (stage.has_policy()) return "";
    if (stage.has_init_from()) return stage.init_from();
    std::string newest;
    for (const auto& summary : run_.state.summaries) {
      const std::string name = summary.value("name", "");
      if (run_.state.stage_checkpoints.contains(name)) newest = name;
    }
    return newest;
  }

  absl::Status PrepareWeights(const Stage& stage) {
    const std::string from = InitFrom(stage);
    run_.stage_start_folder.clear();
    run_.stage_start_policy =
        stage.has_policy() ? stage.policy() : run_.config.policy();
    if (!from.empty()) {
      const auto it = run_.state.stage_checkpoints.find(from);
      if (it == run_.state.stage_checkpoints.end()) {
        return absl::FailedPreconditionError(
            absl::StrCat("stage ", StageName(stage), " starts from stage ",
                         from, ", which has left no policy"));
      }
      run_.stage_start_folder = run_.folder.File(it->second);
    }
    if (run_.state.stage_step > 0) {
      return LoadWeights(run_, run_.resumed_from);
    }
    PONDER_ASSIGN_OR_RETURN(Checkpoint start, run_.StageStart());
    return SetPolicy(run_, std::move(start));
  }

  absl::Status RunStage(const Stage& stage) {
    const std::string name = StageName(stage);
    const bool has_policy = !stage.has_data();
    run_.metrics->SetStage(name);
    run_.status.stage = run_.status.doing = name;
    run_.status.stage_number = run_.state.stage + 1;
    run_.status.done = run_.status.total = 0;
    run_.status.left.reset();
    run_.status.note.clear();
    run_.status.warnings.clear();
    run_.WriteStatus();
    run_.progress->Print(absl::StrCat("stage ", run_.state.stage + 1, " of ",
                                      run_.config.stage_size(), ": ", name));
    if (has_policy) PONDER_RETURN_IF_ERROR(PrepareWeights(stage));
    if (run_.state.stage_step == 0 && !run_.stage_start_folder.empty() &&
        run_.evaluated_folder == run_.stage_start_folder) {
      run_.state.stage_start_accuracy = MeanAccuracy(run_.evaluated_metrics);
    }
    const bool trains = TrainsPolicy(stage);
    const bool evaluates = EvaluatesPolicy(stage, run_.config);
    if (!run_.state.only_evaluation_due) {
      PONDER_RETURN_IF_ERROR(RunKindOrExplain(stage, name));
      run_.state.only_evaluation_due = true;
      // Whatever becomes of the evaluation, what was learned is kept.
      if (trains && evaluates) {
        PONDER_ASSIGN_OR_RETURN(newest_checkpoint_,
                                run_.SaveCheckpoint(nullptr));
      }
    }

    Evaluation evaluation;
    if (evaluates) {
      PONDER_RETURN_IF_ERROR(run_.NeedFleet());
      run_.PublishWeights(run_.weights);
      absl::StatusOr<Evaluation> result = Evaluate(run_, name, name);
      if (absl::IsCancelled(result.status())) {
        PONDER_ASSIGN_OR_RETURN(const std::string saved,
                                run_.SaveCheckpoint(nullptr));
        run_.progress->Print(absl::StrCat("stopped; saved ", saved));
      }
      PONDER_RETURN_IF_ERROR(result.status());
      evaluation = *std::move(result);
      Metrics metrics = EvaluationMetrics(evaluation);
      metrics.emplace_back("timing_s/testing", evaluation.seconds);
      const Metrics costs = run_.CostMetrics(MeanAccuracy(metrics));
      metrics.insert(metrics.end(), costs.begin(), costs.end());
      PONDER_RETURN_IF_ERROR(run_.metrics->Log(run_.state.step, metrics));
      run_.progress->Print(EvaluationText(evaluation));
    }
    evaluation.seconds += run_.evaluation_seconds;
    run_.evaluation_seconds = 0;
    run_.UpdateClocks();
    run_.state.summaries.push_back(
        StageSummary(name, StageKind(stage), has_policy ? InitFrom(stage) : "",
                     run_, evaluation));
    if (trains) {
      run_.state.stage_checkpoints[name] =
          absl::StrCat("checkpoints/step_", run_.state.step);
      if (!evaluation.sets.empty()) {
        run_.evaluated_folder =
            run_.folder.File(run_.state.stage_checkpoints[name]);
        run_.evaluated_metrics = EvaluationMetrics(evaluation);
      }
    }
    NextStage();
    if (has_policy && !trains && !newest_checkpoint_.empty()) {
      // What was evaluated or sampled from may be an older policy; the newest
      // checkpoint keeps its own.
      PONDER_RETURN_IF_ERROR(LoadWeights(run_, newest_checkpoint_));
    }
    if (has_policy) {
      PONDER_ASSIGN_OR_RETURN(newest_checkpoint_, run_.SaveCheckpoint(nullptr));
    }
    if (stage.has_sample()) {
      std::error_code error;
      std::filesystem::remove(GroupLogPath(run_, name), error);
    }
    return WriteManifests();
  }

  // Of each finished stage that has none.
  absl::Status WriteManifests() {
    for (int64_t i = 0; i < run_.state.stage; ++i) {
      const Stage& stage = run_.config.stage(static_cast<int>(i));
      if (std::filesystem::exists(StageManifestPath(run_, stage))) continue;
      PONDER_RETURN_IF_ERROR(WriteStageManifest(
          run_, stage, run_.state.summaries.at(static_cast<size_t>(i))));
    }
    return absl::OkStatus();
  }

  // All of a stage but the evaluation behind it. LibTorch and its collectives
  // throw.
  absl::Status RunKindOrExplain(const Stage& stage, const std::string& name) {
    try {
      return RunKind(stage, name);
    } catch (const c10::Error& e) {
      return absl::InternalError(absl::StrCat(
          "stage ", name, " failed: ", e.what_without_backtrace(),
          run_.learners == nullptr
              ? ""
              : "; one of its learner processes may be gone, see logs/learner_*"
                ".log in the run's folder"));
    }
  }

  absl::Status RunKind(const Stage& stage, const std::string& name) {
    switch (stage.kind_case()) {
      case Stage::kData:
        return RunDataStage(run_, stage.data());
      case Stage::kPretrain:
        return RunPretrainStage(run_, stage.pretrain(), name);
      case Stage::kSft:
        return RunSftStage(run_, stage.sft(), name);
      case Stage::kGrpo:
        return RunGrpoStage(run_, stage.grpo(), name);
      case Stage::kSample:
        return RunSampleStage(run_, stage.sample(), name);
      case Stage::kEval:
        return absl::OkStatus();
      case Stage::KIND_NOT_SET:
        break;
    }
    return absl::InvalidArgumentError("a stage has no kind");
  }

  void NextStage() {
    RunState& state = run_.state;
    ++state.stage;
    state.only_evaluation_due = false;
    state.stage_step = 0;
    state.drawn = 0;
    state.optimizer_step = 0;
    state.critic_step = 0;
    state.curriculum = nlohmann::ordered_json::object();
    state.stage_seconds = 0;
    state.stage_tokens = 0;
    state.stage_samples = 0;
    state.stage_core_seconds = 0;
    state.stage_phases = {};
    state.stage_start_accuracy.reset();
    state.health = nlohmann::ordered_json::object();
    run_.kept.reset();
  }

  // The stage that a finished stage started from; empty: none.
  std::string StartOf(const std::string& name) const {
    for (const auto& summary : run_.state.summaries) {
      if (summary.value("name", "") == name) return summary.value("from", "");
    }
    return "";
  }

  // The run's policy, as the last GRPO stage left it, or else the last stage
  // that trained. Policies that stages brought in are not it.
  absl::StatusOr<ExportedPolicy> Export() {
    std::string from;
    std::set<std::string> brought_in;
    for (const Stage& stage : run_.config.stage()) {
      const std::string name = StageName(stage);
      if (!run_.state.stage_checkpoints.contains(name)) continue;
      if (stage.has_policy() || brought_in.contains(StartOf(name))) {
        brought_in.insert(name);
        continue;
      }
      const bool better = from.empty() || stage.has_grpo() || !from_grpo_;
      if (better) from = name;
      from_grpo_ = from_grpo_ || stage.has_grpo();
    }
    if (from.empty()) return ExportedPolicy();
    PONDER_ASSIGN_OR_RETURN(
        const Checkpoint policy,
        LoadCheckpoint(run_.folder.File(run_.state.stage_checkpoints[from]),
                       at::kFloat));
    const std::string folder = run_.folder.File("export");
    PONDER_ASSIGN_OR_RETURN(FolderWriter writer, FolderWriter::Replace(folder));
    PONDER_RETURN_IF_ERROR(WriteCheckpoint(writer.folder(), policy.files,
                                           policy.weights, at::kFloat));
    PONDER_RETURN_IF_ERROR(writer.Commit());
    return ExportedPolicy{folder, from};
  }

  Run& run_;
  std::string newest_checkpoint_;
  bool from_grpo_ = false;
};

}  // namespace

absl::StatusOr<std::string> DryRun(const RunConfig& config) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<ModelConfig> models,
                          CheckInputs(config));
  const ModelConfig& model = models[0];
  if (config.learner().threads() > 0) {
    at::set_num_threads(config.learner().threads());
  }
  std::string text = RunConfigToText(config);
  absl::StrAppendFormat(&text, "\nPolicy: %s, %d parameters\n\n",
                        model.model_type, model.NumParameters());
  absl::StrAppend(&text, PlanMemory(config, model).Text(), "\n");
  // A plan may be for another machine.
  if (const absl::Status fits = CheckMemory(config, model); !fits.ok()) {
    absl::StrAppend(&text, "Not on this machine: ", fits.message(), "\n");
    return text;
  }
  absl::StrAppend(&text, ExpectedStepTimes(config, model));
  return text;
}

absl::StatusOr<RunConfig> ConfigOfRun(const std::string& run_folder) {
  PONDER_RETURN_IF_ERROR(RunFolder::Open(run_folder).status());
  return LoadRunConfig(absl::StrCat(run_folder, "/config.textproto"), {});
}

namespace {

// What TensorBoard's table of runs shows.
std::vector<std::string> MetricsOfInterest(const RunConfig& config) {
  std::vector<std::string> names = {"critic/rewards/mean", "train/loss",
                                    "response_length/mean", "cost/money"};
  for (const DataSet& set : config.eval_data()) {
    names.push_back(absl::StrCat("val-core/", DataSetName(set), "/acc_strict"));
  }
  return names;
}

// How the run ended, in status.json and, unless it may go on, for TensorBoard.
void RecordEnd(const absl::Status& status, Run& run) {
  run.status.left.reset();
  run.status.state = RunStatus::State::kDone;
  if (absl::IsCancelled(status)) {
    run.status.state = RunStatus::State::kStopped;
  } else {
    if (!status.ok()) {
      run.status.state = RunStatus::State::kFailed;
      run.status.error = std::string(status.message());
    }
    // What the run ended with is the error that counts.
    if (run.metrics != nullptr) {
      run.metrics->LogSessionEnd(status.ok()).IgnoreError();
    }
  }
  run.WriteStatus();
}

// From the newest checkpoint, or from the beginning, to the end.
absl::Status RunFromStart(const TrainOptions& options, Run& run) {
  const RunConfig& config = run.config;
  int64_t resumed_step = -1;
  std::string restarted_stage;
  if (!options.resume.empty()) {
    absl::StatusOr<RunCheckpoint> checkpoint = run.folder.NewestCheckpoint();
    if (checkpoint.ok()) {
      PONDER_ASSIGN_OR_RETURN(run.state, RunState::FromJson(checkpoint->state));
      run.resumed_from = checkpoint->folder;
      resumed_step = run.state.step;
      if (run.state.stage_step == 0 && run.state.stage < config.stage_size()) {
        restarted_stage =
            StageName(config.stage(static_cast<int>(run.state.stage)));
      }
      run.progress->Print(absl::StrCat("going on from ", checkpoint->folder));
    } else {
      run.progress->Print(absl::StrCat("no complete checkpoint in ",
                                       run.folder.path(),
                                       ": starting at the beginning"));
    }
  } else {
    PONDER_RETURN_IF_ERROR(WriteFileAtomically(
        run.folder.File("config.textproto"), RunConfigToText(config)));
  }
  run.run_start = absl::Now() - absl::Seconds(run.state.run_seconds);
  // No child is the run's yet: scripts/quickstart has built before it became
  // this process.
  run.charged.all = CoreSecondsOfEndedChildren();
  PONDER_RETURN_IF_ERROR(LoadPolicy(run, config.policy()));
  PONDER_RETURN_IF_ERROR(CheckDisk(run));
  PONDER_RETURN_IF_ERROR(CheckEvalPrompts(run));
  PONDER_ASSIGN_OR_RETURN(
      run.metrics,
      MetricsLog::Open(run.folder.path(), resumed_step, restarted_stage));
  // A plug-in that cannot be loaded is found before the first stage trains.
  if (!config.reward().verifier().empty()) {
    PONDER_RETURN_IF_ERROR(run.NeedFleet());
  }
  PONDER_RETURN_IF_ERROR(run.metrics->LogHparams(
      HparamsOf(config), MetricsOfInterest(config), config.name()));
  return Trainer(run).RunStages();
}

}  // namespace

absl::Status Train(const RunConfig& config, const TrainOptions& options) {
  const std::string path =
      options.resume.empty()
          ? absl::StrCat(config.runs_dir(), "/", config.name())
          : options.resume;
  PONDER_ASSIGN_OR_RETURN(const at::Device device,
                          OpenDevice(Device_Name(config.device())));
  if (options.resume.empty()) {
    PONDER_ASSIGN_OR_RETURN(const std::vector<ModelConfig> models,
                            CheckInputs(config));
    for (const ModelConfig& model : models) {
      PONDER_RETURN_IF_ERROR(CheckMemory(config, model));
    }
  }
  absl::StatusOr<RunFolder> folder =
      options.resume.empty() ? RunFolder::Create(path) : RunFolder::Open(path);
  PONDER_RETURN_IF_ERROR(folder.status());
  if (!options.resume.empty()) PONDER_RETURN_IF_ERROR(folder->Lock());
  Run run(config, *std::move(folder));
  if (config.learner().threads() > 0) {
    at::set_num_threads(config.learner().threads());
  }
  run.progress =
      Progress::OnStandardError([&run](const ProgressState& progress) {
        run.status.doing = progress.label;
        run.status.done = progress.done;
        run.status.total = progress.total;
        run.status.left = progress.left;
        run.status.note = progress.note;
        run.WriteStatus();
      });
  run.status.stages = config.stage_size();
  run.WriteStatus();
  run.device = device;
  const absl::Status status = RunFromStart(options, run);
  RecordEnd(status, run);
  if (absl::IsCancelled(status)) {
    return absl::CancelledError(absl::StrCat("stopped; go on with `",
                                             ProgramName(), " train --resume ",
                                             run.folder.path(), "`"));
  }
  return status;
}

}  // namespace ponder
