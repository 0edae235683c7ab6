#include "sandbox/program_runner.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sandbox/memory_file.h"

namespace ponder {

absl::Status ProgramRunner::Load(absl::string_view source, TestResult* failure,
                                 CapturedOutput* output, JudgeReport* report) {
  if (language_.compile.empty()) {
    if (access(language_.tool.c_str(), X_OK) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "programs in ", language_.name, " need ", language_.tool,
          "; install it with: apt-get install ", language_.package));
    }
    PONDER_ASSIGN_OR_RETURN(source_, MakeSealedFile("source", source));
    return absl::OkStatus();
  }
  PONDER_ASSIGN_OR_RETURN(compiled_,
                          compiler_.Compile(language_, source, slot_, cancel_));
  report->cpu += compiled_->cpu;
  if (!compiled_->binary.is_open()) {
    failure->verdict = RunVerdict::kCompileError;
    failure->exit_code = 1;
    failure->message = compiled_->message;
    *output = compiled_->output;
    report->peak_memory_bytes = compiled_->peak_memory_bytes;
  }
  return absl::OkStatus();
}

absl::Status ProgramRunner::Run(absl::string_view standard_input,
                                absl::Time last_moment, TestResult* result,
                                CapturedOutput* output, JudgeReport* report) {
  // A compiled program needs nothing of the host: all such share a cell.
  CellKind kind;
  kind.name = language_.compile.empty() ? language_.name : "compiled";
  kind.paths = language_.run_paths;
  PONDER_ASSIGN_OR_RETURN(SandboxCell * cell,
                          slot_.Cell(kind, SandboxSlot::User::kProgram));
  PONDER_ASSIGN_OR_RETURN(const UniqueFd input,
                          MakeSealedFile("stdin", standard_input));
  RunSpec spec;
  spec.standard_input = input.get();
  if (compiled_ != nullptr) {
    spec.program = compiled_->binary.get();
    spec.arguments = {"solution"};
  } else {
    spec.source = source_.get();
    spec.source_name = language_.source_name;
    spec.arguments = language_.run;
  }
  PONDER_ASSIGN_OR_RETURN(
      const std::unique_ptr<SandboxRun> run,
      SandboxRun::Start(slot_.tools(), *cell, spec, limits_, cancel_));
  run->StartClock(limits_.wall, last_moment);
  RunnerMessage none;
  const SandboxRun::Event event = run->Next(&none);
  if (event == SandboxRun::Event::kCancelled) {
    return absl::CancelledError("cancelled");
  }
  if (event == SandboxRun::Event::kLost) return run->lost();
  PONDER_ASSIGN_OR_RETURN(const RunEnd end, run->End());
  *output = run->TakeOutput();
  result->cpu = end.cpu;
  if (event != SandboxRun::Event::kEnded) {
    ClassifyLimit(event, end.out_of_memory, limits_, result);
  } else if (end.by_itself) {
    Classify(end.wait_status, std::max(end.program_cpu, end.cpu),
             end.out_of_memory, *output, limits_, result);
  } else {
    result->verdict = end.out_of_memory ? RunVerdict::kMemoryLimit
                                        : RunVerdict::kRuntimeError;
    result->message =
        end.out_of_memory ? "memory limit" : "the sandbox was ended";
  }
  report->cpu += end.cpu;
  report->peak_memory_bytes =
      std::max(report->peak_memory_bytes, end.peak_memory_bytes);
  return absl::OkStatus();
}

}  // namespace ponder
