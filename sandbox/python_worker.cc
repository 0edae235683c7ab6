#include "sandbox/python_worker.h"

#include <signal.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

using Event = SandboxRun::Event;

// From the start of a run to the runner's first message; 2 ms on an idle
// machine.
constexpr absl::Duration kStartTimeout = absl::Seconds(30);

constexpr char kForeignMessage[] = "the program wrote to the runner's channel";

constexpr int64_t kMostKib = int64_t{1} << 40;

// Body of an X message; nothing if it is none.
std::optional<ProcessEnd> ParseProcessEnd(absl::string_view body) {
  int64_t facts[3];
  if (body.size() != sizeof(facts)) return std::nullopt;
  std::memcpy(facts, body.data(), sizeof(facts));
  if (facts[0] < 0 || facts[0] > 0xffff || facts[1] < 0 || facts[2] < 0) {
    return std::nullopt;
  }
  ProcessEnd end;
  end.wait_status = static_cast<int>(facts[0]);
  end.cpu = absl::Microseconds(facts[1]);
  end.peak_memory_bytes = std::min(facts[2], kMostKib) * 1024;
  return end;
}

}  // namespace

std::string Marshal(const PythonValue& value) {
  std::string bytes;
  AppendMarshal(value, &bytes);
  return bytes;
}

std::pair<std::string, std::string> ParseRunnerError(absl::string_view body) {
  const absl::StatusOr<PythonValue> value = ParseMarshal(body);
  if (!value.ok() || value->items.size() != 2 ||
      value->items[0].kind != PythonValue::Kind::kString ||
      value->items[1].kind != PythonValue::Kind::kString) {
    return {"RuntimeError", "an error that could not be read"};
  }
  return {value->items[0].text, value->items[1].text};
}

void PythonWorker::set_cancel(const CancelToken* cancel) {
  cancel_ = cancel;
  if (run_ != nullptr) run_->set_cancel(cancel);
}

absl::Status PythonWorker::EndRun() {
  if (run_ == nullptr) return absl::OkStatus();
  last_output_ = run_->TakeOutput();
  const absl::StatusOr<RunEnd> end = run_->End();
  CapturedOutput rest = run_->TakeOutput();
  run_ = nullptr;
  PONDER_RETURN_IF_ERROR(end.status());
  last_output_.stderr_bytes += rest.stderr_bytes;
  end_ = *end;
  cpu_ += end_.cpu;
  peak_memory_bytes_ = std::max(peak_memory_bytes_, end_.peak_memory_bytes);
  return absl::OkStatus();
}

absl::Status PythonWorker::End(JudgeReport* report) {
  PONDER_RETURN_IF_ERROR(EndRun());
  report->cpu += std::exchange(cpu_, absl::ZeroDuration());
  report->peak_memory_bytes =
      std::max(report->peak_memory_bytes, peak_memory_bytes_);
  return absl::OkStatus();
}

absl::Status PythonWorker::Load(absl::string_view mode,
                                absl::string_view source,
                                absl::Time last_moment, TestResult* failure) {
  forks_cpu_ = absl::ZeroDuration();
  RunSpec spec;
  spec.is_runner = true;
  spec.serves_many = mode == "test";
  PONDER_ASSIGN_OR_RETURN(run_,
                          SandboxRun::Start(context_.tools, context_.cell, spec,
                                            context_.limits, cancel_));
  run_->StartClock(kStartTimeout, absl::InfiniteFuture());
  run_->Send('S',
             Marshal(PythonTuple({PythonString(mode), PythonBytes(source)})));
  RunnerMessage message;
  const Event hello = run_->Next(&message);
  if (hello == Event::kCancelled) return absl::CancelledError("cancelled");
  if (hello == Event::kLost) return run_->lost();
  if (hello != Event::kMessage || message.kind != 'H') {
    PONDER_RETURN_IF_ERROR(EndRun());
    return absl::UnavailableError(absl::StrCat(
        "the sandbox did not start: ",
        hello == Event::kWallLimit ? "no sign of life in 30 seconds"
                                   : LastLine(last_output_.stderr_bytes)));
  }

  run_->StartClock(context_.limits.wall, last_moment);
  const Event loaded = run_->Next(&message);
  if (loaded != Event::kMessage) return Fail(loaded, failure);
  if (message.kind == 'L') return absl::OkStatus();
  failure->verdict = RunVerdict::kRuntimeError;
  if (message.kind == 'E') {
    const auto [type, text] = ParseRunnerError(message.body);
    failure->message = absl::StrCat(type, ": ", text);
    // MemoryError is what a limit on data looks like from inside.
    if (type == "MemoryError") failure->verdict = RunVerdict::kMemoryLimit;
  } else {
    failure->message = kForeignMessage;
  }
  failure->exit_code = 1;
  return EndRun();
}

absl::Status PythonWorker::Fail(Event event, TestResult* result) {
  if (event == Event::kCancelled) return absl::CancelledError("cancelled");
  if (event == Event::kLost) return run_->lost();
  const bool out_of_memory = run_->OutOfMemory();
  PONDER_RETURN_IF_ERROR(EndRun());
  if (event != Event::kMessage && event != Event::kEnded) {
    ClassifyLimit(event, out_of_memory || end_.out_of_memory, context_.limits,
                  result);
    return absl::OkStatus();
  }
  if (event == Event::kEnded && end_.by_itself) {
    SetExit(end_.wait_status, result);
  }
  result->verdict = RunVerdict::kRuntimeError;
  result->message = event == Event::kEnded
                        ? "the program ended the whole sandbox"
                        : kForeignMessage;
  if (result->signal == SIGXCPU) {
    result->verdict = RunVerdict::kTimeLimit;
    result->message = "CPU time limit";
  }
  if (out_of_memory || end_.out_of_memory) {
    result->verdict = RunVerdict::kMemoryLimit;
    result->message = "memory limit";
  }
  return absl::OkStatus();
}

bool PythonWorker::TakeAnswer(RunnerMessage* message, CallResult* call) {
  if (call == nullptr || call->answered()) return false;
  switch (message->kind) {
    case 'V':
      call->value = std::move(message->body);
      return true;
    case 'U':
      call->unsendable = message->body.substr(0, 100);
      return true;
    case 'E':
      call->error = std::move(message->body);
      return true;
    default:
      return false;
  }
}

void PythonWorker::Request(char kind, absl::string_view body, bool last) {
  answers_itself_ = last && (kind == 'C' || kind == 'M');
  run_->Send(answers_itself_ ? absl::ascii_tolower(kind) : kind, body);
}

absl::StatusOr<bool> PythonWorker::AwaitAnswer(CallResult* call,
                                               std::optional<ProcessEnd>* end,
                                               TestResult* result) {
  RunnerMessage message;
  const Event event = run_->Next(&message);
  if (event == Event::kMessage) {
    if (TakeAnswer(&message, call)) return true;
    if (message.kind == 'X' && !answers_itself_) {
      *end = ParseProcessEnd(message.body);
      if (end->has_value()) {
        // Where there is no account of all processes together.
        peak_memory_bytes_ = std::max(
            peak_memory_bytes_,
            std::min((*end)->peak_memory_bytes, context_.limits.memory_bytes));
        forks_cpu_ += (*end)->cpu;
        (*end)->out_of_memory = run_->OutOfMemory();
        (*end)->output = run_->TakeOutput();
        return true;
      }
    }
  }
  if (event == Event::kEnded && answers_itself_) {
    PONDER_RETURN_IF_ERROR(EndRun());
    if (end_.by_itself) {
      *end = ProcessEnd{
          .wait_status = end_.wait_status,
          // It has waited for the tests before.
          .cpu = std::max(absl::ZeroDuration(), end_.program_cpu - forks_cpu_),
          .peak_memory_bytes = end_.peak_memory_bytes,
          .out_of_memory = end_.out_of_memory,
          .output = TakeLastOutput()};
      return true;
    }
    if (end_.out_of_memory) {
      ClassifyLimit(event, /*out_of_memory=*/true, context_.limits, result);
      return false;
    }
    return absl::UnavailableError("the sandbox ended without a reason");
  }
  PONDER_RETURN_IF_ERROR(Fail(event, result));
  return false;
}

absl::StatusOr<bool> PythonWorker::AwaitEnd(CallResult* call, ProcessEnd* end,
                                            TestResult* result) {
  std::optional<ProcessEnd> ended;
  while (!ended.has_value()) {
    PONDER_ASSIGN_OR_RETURN(const bool goes_on,
                            AwaitAnswer(call, &ended, result));
    if (!goes_on) return false;
  }
  *end = *std::move(ended);
  return true;
}

void PythonWorker::ClassifyEnd(const ProcessEnd& end,
                               TestResult* result) const {
  Classify(end.wait_status, end.cpu, end.out_of_memory, end.output,
           context_.limits, result);
}

}  // namespace ponder
