// Training on given text: pre-training and supervised fine-tuning.

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "rl/expert_metrics.h"
#include "rl/stages.h"

namespace ponder {
namespace {

// Warm-up of a stage that is measured in seconds, as a share of them, where
// the configuration names warm-up steps.
constexpr double kWarmupShare = 0.05;

// The training seconds of an earlier stage.
absl::StatusOr<double> SecondsOfStage(const Run& run, const std::string& name) {
  for (const auto& summary : run.state.summaries) {
    if (summary.value("name", "") == name) {
      return summary.value("seconds", 0.0);
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("seconds_of_stage: stage ", name, " has not run"));
}

// What is learned from one row.
using SequencesOfRow =
    std::function<absl::StatusOr<std::vector<TrainSequence>>(const DataRow&)>;

absl::Status RunSupervised(Run& run, const SupervisedStage& stage,
                           const std::string& name,
                           const SequencesOfRow& sequences_of,
                           absl::Status (*limit)(Run& run, DataRows* rows)) {
  std::optional<double> seconds;
  if (stage.has_seconds_of_stage()) {
    PONDER_ASSIGN_OR_RETURN(seconds,
                            SecondsOfStage(run, stage.seconds_of_stage()));
  }
  PONDER_ASSIGN_OR_RETURN(StageData data,
                          run.LoadStageData(stage.data(), name, limit));
  run.MeasurePeak();
  PONDER_ASSIGN_OR_RETURN(const auto learner,
                          run.CreateLearner(stage.optimizer()));
  if (run.state.stage_step > 0) {
    PONDER_RETURN_IF_ERROR(run.RestoreOptimizer(learner.get()));
  }

  const auto share_done = [&] {
    return seconds ? run.state.stage_seconds / std::max(1e-9, *seconds)
                   : static_cast<double>(run.state.stage_step) /
                         static_cast<double>(stage.steps());
  };
  run.progress->Start(name, seconds ? 0 : stage.steps(), Progress::Unit::kStep,
                      run.state.stage_step);
  while (share_done() < 1) {
    if (StopRequested()) {
      run.progress->Print(kSaving);
      PONDER_ASSIGN_OR_RETURN(const std::string saved,
                              run.SaveCheckpoint(learner.get()));
      run.progress->Print(absl::StrCat("stopped; saved ", saved));
      return absl::CancelledError("stopped");
    }
    const absl::Time start = absl::Now();
    std::vector<TrainSequence> batch;
    for (int i = 0; i < stage.batch_size(); ++i) {
      PONDER_ASSIGN_OR_RETURN(std::vector<TrainSequence> sequences,
                              sequences_of(data.Row(data.source->Next())));
      std::move(sequences.begin(), sequences.end(), std::back_inserter(batch));
    }
    const double learning_rate =
        seconds ? LearningRateAt(
                      stage.optimizer(), share_done(),
                      stage.optimizer().warmup_steps() > 0 ? kWarmupShare : 0.0)
                : LearningRate(stage.optimizer(), run.state.stage_step + 1,
                               stage.steps());
    const UpdateStats stats = learner->SupervisedUpdate(batch, learning_rate);
    if (!std::isfinite(stats.loss)) {
      return absl::InternalError(absl::StrCat(
          "stage ", name, ": the loss of step ", run.state.stage_step + 1,
          " is not a number; lower optimizer.learning_rate"));
    }
    ++run.state.stage_step;
    ++run.state.step;
    run.state.drawn = data.source->drawn();
    run.state.stage_tokens += stats.tokens;
    const double took = absl::ToDoubleSeconds(absl::Now() - start);
    run.state.stage_seconds += took;
    Metrics metrics = {
        {"train/loss", stats.loss},
        {"actor/entropy", stats.entropy},
        {"actor/grad_norm", stats.grad_norm},
        {"actor/lr", stats.learning_rate},
        {"timing_s/step", took},
        {"perf/throughput", static_cast<double>(stats.tokens) / took},
        {"perf/mfu/actor", run.Utilisation(stats.flops, took)},
        {"perf/total_num_tokens", static_cast<double>(stats.tokens)},
        {"training/global_step", static_cast<double>(run.state.step)},
        {"training/epoch", data.Epoch()}};
    AddExpertMetrics(stats, run.config.learner(), &metrics);
    run.AddSaveTime(&metrics);
    PONDER_RETURN_IF_ERROR(run.metrics->Log(run.state.step, metrics));
    run.progress->Update(
        run.state.stage_step,
        absl::StrFormat("loss %.3f  %.0f tokens/s", stats.loss,
                        static_cast<double>(stats.tokens) / took));
    const int64_t every = run.config.checkpoint().every_steps();
    if (every > 0 && run.state.stage_step % every == 0 && share_done() < 1) {
      PONDER_RETURN_IF_ERROR(run.SaveCheckpoint(learner.get()).status());
    }
  }
  run.progress->Finish();
  return absl::OkStatus();
}

// Each row has a text to learn, of whatever length.
absl::Status CheckTexts(Run& run, DataRows* rows) {
  for (const DataRow& row : rows->rows) {
    PONDER_RETURN_IF_ERROR(
        run.renderer->TextPieces(row, run.max_tokens()).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunPretrainStage(Run& run, const SupervisedStage& stage,
                              const std::string& name) {
  const auto pieces = [&](const DataRow& row) {
    return run.renderer->TextPieces(row, run.max_tokens());
  };
  return RunSupervised(run, stage, name, pieces, CheckTexts);
}

absl::Status RunSftStage(Run& run, const SupervisedStage& stage,
                         const std::string& name) {
  const auto example =
      [&](const DataRow& row) -> absl::StatusOr<std::vector<TrainSequence>> {
    PONDER_ASSIGN_OR_RETURN(TrainSequence sequence, run.renderer->Example(row));
    return std::vector<TrainSequence>{std::move(sequence)};
  };
  return RunSupervised(run, stage, name, example, ApplyExampleLimit);
}

}  // namespace ponder
