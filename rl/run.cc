#include "rl/run.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "ATen/Parallel.h"
#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "policy/files/safetensors.h"
#include "policy/flops.h"
#include "policy/random_checkpoint.h"
#include "proto/text_config.h"
#include "rl/architecture.h"

namespace ponder {

using Json = nlohmann::ordered_json;

Json RunState::ToJson() const {
  Json json;
  json["stage"] = stage;
  json["stage_step"] = stage_step;
  json["step"] = step;
  json["drawn"] = drawn;
  json["evaluation_due"] = evaluation_due;
  json["only_evaluation_due"] = only_evaluation_due;
  json["optimizer_step"] = optimizer_step;
  json["critic_step"] = critic_step;
  json["curriculum"] = curriculum;
  json["stage_seconds"] = stage_seconds;
  json["stage_tokens"] = stage_tokens;
  json["stage_samples"] = stage_samples;
  json["stage_core_seconds"] = stage_core_seconds;
  json["stage_phases"] = {stage_phases.generation, stage_phases.reward,
                          stage_phases.learning, stage_phases.evaluation};
  if (stage_start_accuracy)
    json["stage_start_accuracy"] = *stage_start_accuracy;
  json["health"] = health;
  json["run_seconds"] = run_seconds;
  json["stage_checkpoints"] = Json::object();
  for (const auto& [name, path] : stage_checkpoints) {
    json["stage_checkpoints"][name] = path;
  }
  json["summaries"] = summaries;
  return json;
}

absl::StatusOr<RunState> RunState::FromJson(const Json& json) {
  RunState state;
  const auto read = [&](const char* name, auto* value) {
    if (!json.contains(name) || !json[name].is_number()) return false;
    *value = json[name].get<std::remove_pointer_t<decltype(value)>>();
    return true;
  };
  if (!read("stage", &state.stage) || !read("stage_step", &state.stage_step) ||
      !read("step", &state.step) || !read("drawn", &state.drawn) ||
      !read("optimizer_step", &state.optimizer_step) ||
      !read("stage_seconds", &state.stage_seconds) ||
      !read("stage_tokens", &state.stage_tokens) ||
      !read("stage_samples", &state.stage_samples) ||
      !read("stage_core_seconds", &state.stage_core_seconds) ||
      !read("run_seconds", &state.run_seconds) ||
      !json.contains("stage_checkpoints") ||
      !json["stage_checkpoints"].is_object() || !json.contains("summaries") ||
      !json["summaries"].is_array()) {
    return absl::DataLossError("trainer_state/state.json lacks a field");
  }
  const auto is_true = [&](const char* name) {
    return json.contains(name) && json[name] == true;
  };
  state.evaluation_due = is_true("evaluation_due");
  state.only_evaluation_due = is_true("only_evaluation_due");
  for (const auto& [name, path] : json["stage_checkpoints"].items()) {
    if (path.is_string()) {
      state.stage_checkpoints[name] = path.get<std::string>();
    }
  }
  state.summaries = json["summaries"];
  // Newer than the first checkpoints.
  read("critic_step", &state.critic_step);
  if (json.contains("curriculum")) state.curriculum = json["curriculum"];
  if (json.contains("health")) state.health = json["health"];
  double accuracy = 0;
  if (read("stage_start_accuracy", &accuracy)) {
    state.stage_start_accuracy = accuracy;
  }
  state.stage_phases.learning = state.stage_core_seconds;
  if (json.contains("stage_phases") && json["stage_phases"].size() == 4) {
    const auto phases = json["stage_phases"].get<std::vector<double>>();
    state.stage_phases = {phases[0], phases[1], phases[2], phases[3]};
  }
  return state;
}

at::ScalarType Run::dtype() const {
  return config.policy().dtype() == PolicyConfig::BFLOAT16 ? at::kBFloat16
                                                           : at::kFloat;
}

int64_t Run::max_tokens() const {
  return int64_t{config.prompt().max_prompt_tokens()} +
         config.prompt().max_response_tokens();
}

int32_t Run::end_id() const {
  return model.eos_token_ids.empty() ? 0 : model.eos_token_ids.front();
}

absl::Status Run::NeedFleet() {
  if (fleet != nullptr) return absl::OkStatus();
  Fleet::Options options;
  options.config = config;
  options.run_folder = folder.path();
  options.files = files;
  options.dtype = dtype();
  options.max_tokens = max_tokens();
  options.print = [this](const std::string& line) { progress->Print(line); };
  PONDER_ASSIGN_OR_RETURN(fleet, Fleet::Start(options));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Learner>> Run::CreateLearner(
    const OptimizerConfig& optimizer) {
  Learner::Options options;
  options.learner = config.learner();
  options.optimizer = optimizer;
  options.dtype = dtype();
  options.max_tokens = max_tokens();
  const int processes = config.learner().processes();
  if (processes > 1 && learners == nullptr) {
    LearnerPool::Options pool;
    pool.processes = processes;
    pool.threads = std::max(1, at::get_num_threads() / processes);
    pool.run_folder = folder.path();
    pool.config_json = files.at("config.json");
    PONDER_ASSIGN_OR_RETURN(learners, LearnerPool::Start(pool));
  }
  if (learners != nullptr) {
    return learners->CreateLearner(model, weights, options);
  }
  return Learner::Create(model, weights, options);
}

void Run::AddSaveTime(Metrics* step_metrics) {
  if (save_seconds == 0) return;
  step_metrics->emplace_back("timing_s/save_checkpoint",
                             std::exchange(save_seconds, 0));
}

void Run::MeasurePeak() {
  if (peak_flops == 0) peak_flops = MeasurePeakFlops(dtype(), device);
}

double Run::Utilisation(double flops, double seconds) const {
  return flops / (seconds * peak_flops);
}

int64_t Run::PublishWeights(const TensorMap& source) {
  return fleet->Publish(CopyTensors(source, dtype(), at::kCPU));
}

double StageData::Epoch() const {
  size_t rows = 0;
  for (const DataRows& set : sets) rows += set.rows.size();
  return static_cast<double>(source->drawn()) / static_cast<double>(rows);
}

absl::StatusOr<StageData> Run::LoadStageData(
    const google::protobuf::RepeatedPtrField<std::string>& names,
    const std::string& stage_name,
    absl::Status (*limit)(Run& run, DataRows* rows)) {
  StageData data;
  std::vector<WeightedRows> weighted;
  for (const DataSet& set : config.data()) {
    if (!IsNamed(set, names)) continue;
    PONDER_ASSIGN_OR_RETURN(DataRows rows, LoadDataRows(set, folder.path()));
    if (!rows.note.empty()) progress->Print(rows.note);
    PONDER_RETURN_IF_ERROR(limit(*this, &rows));
    weighted.push_back(
        {rows.name, static_cast<int64_t>(rows.rows.size()), set.weight()});
    data.sets.push_back(std::move(rows));
  }
  if (data.sets.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage ", stage_name,
                     " has no data; give a file with `--set data.path=FILE`"));
  }
  data.source =
      std::make_unique<PromptSource>(weighted, config.seed(), stage_name);
  data.source->Seek(state.drawn);
  return data;
}

void Run::ChargeTime(bool evaluating) {
  const double elsewhere = fleet != nullptr ? fleet->RemoteCoreSeconds() : 0.0;
  RoleSeconds now;
  now.all = CoreSecondsOfProcessTree() + elsewhere;
  now.workers = elsewhere;
  if (fleet != nullptr) {
    std::vector<int64_t> pids;
    const auto processes = fleet->Processes();
    for (const auto& process : processes) pids.push_back(process.pid);
    const std::vector<double> seconds = CoreSecondsOfProcesses(pids);
    for (size_t i = 0; i < processes.size(); ++i) {
      (processes[i].is_worker ? now.workers : now.rewards) += seconds[i];
    }
  }
  ChargePhases(charged, now, evaluating, &state.stage_phases);
  charged = now;
  state.stage_core_seconds = state.stage_phases.total();
}

Cost Run::StageCost() const {
  // All that the stage has taken of the run's time.
  double gpu_seconds = 0;
  if (device.is_cuda()) {
    gpu_seconds = absl::ToDoubleSeconds(absl::Now() - run_start);
    for (const Json& stage : state.summaries) {
      gpu_seconds -= stage.value("gpu_seconds", 0.0);
    }
  }
  return CostOf(config.cost(), state.stage_core_seconds, gpu_seconds);
}

Cost Run::TotalCost() const {
  Cost cost = StageCost();
  for (const Json& stage : state.summaries) {
    cost.core_seconds += stage.value("core_seconds", 0.0);
    cost.gpu_seconds += stage.value("gpu_seconds", 0.0);
  }
  return CostOf(config.cost(), cost.core_seconds, cost.gpu_seconds);
}

Metrics Run::CostMetrics(std::optional<double> accuracy) const {
  const Cost total = TotalCost();
  const PhaseSeconds& phases = state.stage_phases;
  Metrics metrics = {{"cost/core_hours", total.core_seconds / 3600},
                     {"cost/core_hours/generation", phases.generation / 3600},
                     {"cost/core_hours/reward", phases.reward / 3600},
                     {"cost/core_hours/learning", phases.learning / 3600},
                     {"cost/core_hours/evaluation", phases.evaluation / 3600},
                     {"cost/tokens", static_cast<double>(state.stage_tokens)},
                     {"cost/money", total.money}};
  if (total.gpu_seconds > 0) {
    metrics.emplace_back("cost/gpu_hours", total.gpu_seconds / 3600);
  }
  if (accuracy && state.stage_start_accuracy &&
      *accuracy > *state.stage_start_accuracy) {
    metrics.emplace_back(
        "cost/money_per_accuracy_point",
        StageCost().money / (100 * (*accuracy - *state.stage_start_accuracy)));
  }
  return metrics;
}

void Run::WriteStatus() {
  status.step = state.step;
  status.updated = absl::Now();
  status.processes = {ProcessOf("trainer", getpid())};
  if (learners != nullptr) {
    for (const auto& [name, pid] : learners->Processes()) {
      status.processes.push_back(ProcessOf(name, pid));
    }
  }
  if (fleet != nullptr) {
    for (const auto& process : fleet->Processes()) {
      status.processes.push_back(ProcessOf(process.name, process.pid));
    }
  }
  WriteRunStatus(folder.path(), status).IgnoreError();
}

void Run::UpdateClocks() {
  ChargeTime(/*evaluating=*/false);
  state.run_seconds = absl::ToDoubleSeconds(absl::Now() - run_start);
}

double Run::TrainingCoreSeconds() {
  UpdateClocks();
  return state.stage_phases.total() - state.stage_phases.evaluation;
}

absl::StatusOr<double> Run::CoreSecondsOf(const std::string& stage) const {
  for (const Json& summary : state.summaries) {
    if (summary.value("name", "") != stage) continue;
    const double evaluation =
        summary.at("phases").at("evaluation").value("core_seconds", 0.0);
    return summary.value("core_seconds", 0.0) - evaluation;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("core_seconds_of_stages: stage ", stage, " has not run"));
}

absl::StatusOr<std::string> Run::SaveCheckpoint(Learner* learner,
                                                const TensorMap& more) {
  const absl::Time start = absl::Now();
  UpdateClocks();
  TensorMap optimizer = more;
  if (learner != nullptr) {
    optimizer.merge(learner->optimizer().State());
    state.optimizer_step = learner->optimizer().step();
  }
  const TensorMap& current = learner != nullptr ? learner->weights() : weights;
  PONDER_ASSIGN_OR_RETURN(const std::string saved,
                          folder.SaveCheckpoint(state.step, files, current,
                                                optimizer, state.ToJson()));
  std::vector<std::string> keep;
  for (const auto& [name, path] : state.stage_checkpoints) {
    keep.push_back(folder.File(path));
  }
  PONDER_RETURN_IF_ERROR(folder.RemoveOldCheckpoints(
      std::max(1, config.checkpoint().keep_last()), keep));
  save_seconds += absl::ToDoubleSeconds(absl::Now() - start);
  return saved;
}

absl::StatusOr<Checkpoint> Run::PolicyOf(const PolicyConfig& policy) const {
  if (policy.init() == PolicyConfig::PRETRAINED) {
    return LoadCheckpoint(policy.path(), at::kFloat);
  }
  // The renderer's template needs no tokenizer.
  const PromptRenderer blank(config.prompt(), nullptr, nullptr, 0);
  return RandomCheckpoint(ModelConfigOf(policy.architecture()),
                          policy.architecture().initializer_range(),
                          policy.architecture().matrix_gain(), config.seed(),
                          blank.JinjaTemplate());
}

absl::StatusOr<Checkpoint> Run::StageStart() const {
  return stage_start_folder.empty()
             ? PolicyOf(stage_start_policy)
             : LoadCheckpoint(stage_start_folder, at::kFloat);
}

absl::StatusOr<TensorMap> Run::LoadTrainerTensors() const {
  const std::string path =
      absl::StrCat(resumed_from, "/trainer_state/optimizer.safetensors");
  PONDER_ASSIGN_OR_RETURN(const auto file, SafetensorsFile::Open(path));
  TensorMap tensors;
  for (const TensorInfo& info : file->tensors()) {
    at::Tensor tensor = at::empty(info.shape, at::kFloat);
    if (info.dtype != "F32") {
      return absl::DataLossError(
          absl::StrCat(path, ": tensor ", info.name, " is not F32"));
    }
    std::memcpy(tensor.mutable_data_ptr(), info.bytes,
                static_cast<size_t>(info.num_bytes));
    tensors[info.name] = tensor;
  }
  return tensors;
}

absl::Status Run::RestoreOptimizer(Learner* learner) const {
  PONDER_ASSIGN_OR_RETURN(const TensorMap tensors, LoadTrainerTensors());
  return learner->optimizer().SetState(tensors, state.optimizer_step);
}

absl::StatusOr<Lease> MakeLease(const Run& run, const DataRow& row,
                                const std::string& purpose,
                                const std::string& stage, int64_t step) {
  PONDER_ASSIGN_OR_RETURN(const RenderedPrompt prompt,
                          run.renderer->Render(row));
  const PromptConfig& limits = run.config.prompt();
  if (static_cast<int64_t>(prompt.ids.size()) > limits.max_prompt_tokens()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt of row ", row.id, " has ", prompt.ids.size(),
        " tokens, prompt.max_prompt_tokens is ", limits.max_prompt_tokens()));
  }
  Lease lease;
  lease.set_purpose(purpose);
  lease.set_stage(stage);
  lease.set_step(step);
  lease.mutable_prompt_ids()->Assign(prompt.ids.begin(), prompt.ids.end());
  lease.set_max_response_tokens(limits.max_response_tokens());
  for (const int32_t id : run.model.eos_token_ids) lease.add_stop_ids(id);
  for (const std::string& stop : limits.stop()) lease.add_stop_strings(stop);
  lease.set_thought_opened(prompt.thought_opened);

  Problem* problem = lease.mutable_problem();
  *problem = ProblemOfRow(row);
  problem->set_prompt(prompt.text);
  *problem->mutable_components() = run.config.reward().component();
  for (RewardComponent& component : *problem->mutable_components()) {
    if (component.name() == "length" && !component.length().has_max_tokens()) {
      component.mutable_length()->set_max_tokens(limits.max_response_tokens());
    }
  }
  return lease;
}

namespace {

// Leaves out the rows of more than `limit` tokens, or refuses them. `what` they
// are, and what their length is `limited_by`.
absl::Status ApplyLimit(
    Run& run, int64_t limit, const char* what, const char* limited_by,
    const std::function<absl::StatusOr<int64_t>(const DataRow&)>& length,
    DataRows* rows) {
  std::vector<DataRow> short_enough;
  int64_t longest = 0;
  std::string longest_id;
  for (DataRow& row : rows->rows) {
    PONDER_ASSIGN_OR_RETURN(const int64_t n, length(row));
    if (n > longest) {
      longest = n;
      longest_id = row.id;
    }
    if (n <= limit) short_enough.push_back(std::move(row));
  }
  const size_t too_long = rows->rows.size() - short_enough.size();
  const std::string found = absl::StrCat(
      "data set ", rows->name, ": ", too_long, " of ", rows->rows.size(), " ",
      what, " are longer than ", limited_by, " (", limit, "), the longest has ",
      longest, " tokens (row ", longest_id, ")");
  rows->rows = std::move(short_enough);
  if (too_long == 0) return absl::OkStatus();
  if (run.config.prompt().overlong() == PromptConfig::REFUSE) {
    return absl::InvalidArgumentError(
        absl::StrCat(found,
                     "; raise the limit, or leave them out with "
                     "--set prompt.overlong=drop"));
  }
  if (rows->rows.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(found, ", so that none is left; raise the limit"));
  }
  run.progress->Print(absl::StrCat(found, "; they are left out"));
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyPromptLimit(Run& run, DataRows* rows) {
  return ApplyLimit(
      run, run.config.prompt().max_prompt_tokens(), "prompts",
      "prompt.max_prompt_tokens",
      [&](const DataRow& row) -> absl::StatusOr<int64_t> {
        PONDER_ASSIGN_OR_RETURN(const RenderedPrompt prompt,
                                run.renderer->Render(row));
        return static_cast<int64_t>(prompt.ids.size());
      },
      rows);
}

absl::Status ApplyExampleLimit(Run& run, DataRows* rows) {
  return ApplyLimit(
      run, run.max_tokens(), "examples",
      "prompt.max_prompt_tokens and prompt.max_response_tokens together",
      [&](const DataRow& row) -> absl::StatusOr<int64_t> {
        PONDER_ASSIGN_OR_RETURN(const TrainSequence example,
                                run.renderer->Example(row));
        return static_cast<int64_t>(example.ids.size());
      },
      rows);
}

}  // namespace ponder
