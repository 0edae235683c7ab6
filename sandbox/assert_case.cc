#include "sandbox/assert_case.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

using Event = SandboxRun::Event;

}  // namespace

void AssertCase::SendError(absl::string_view type, absl::string_view text) {
  checker_.run().Send(
      'E', Marshal(PythonTuple({PythonString(type), PythonString(text)})));
}

absl::StatusOr<bool> AssertCase::ForwardCall(absl::string_view body,
                                             TestResult* result) {
  const absl::StatusOr<PythonValue> request = ParseMarshal(body);
  if (!request.ok() || request->items.size() != 3) {
    // What a function returned may be as deep and long as a message can be, and
    // then is too much for the arguments of the next call.
    if (num_calls_ > 0) {
      result->verdict = RunVerdict::kWrongAnswer;
      result->message = "the test cannot pass on what the function returned";
      return false;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "tests: the test code sends a call that cannot be passed on: ",
        request.ok() ? "it is malformed" : request.status().message()));
  }
  if (!serving_) program_.Request('M', "", is_last_);
  serving_ = true;
  ++num_calls_;
  program_.run().Send('C', Marshal(*request));
  CallResult call;
  std::optional<ProcessEnd> end;
  PONDER_ASSIGN_OR_RETURN(const bool goes_on,
                          program_.AwaitAnswer(&call, &end, result));
  if (!goes_on) return false;
  if (end.has_value()) {
    serving_ = false;
    program_.ClassifyEnd(*end, result);
    if (result->verdict == RunVerdict::kAccepted) {
      result->verdict = RunVerdict::kRuntimeError;
      result->message = "the function's process ended without an answer";
    }
    return false;
  }
  if (call.error.has_value()) {
    // Type and text of what the function raised: the test may expect it.
    const auto [type, text] = ParseRunnerError(*call.error);
    error_from_program_ = true;
    SendError(type, text);
    return true;
  }
  if (call.unsendable.has_value()) {
    SendError("TypeError",
              absl::StrCat("the function returned a ", *call.unsendable));
    return true;
  }
  // Read and written again: no byte of the program's own reaches the test.
  const absl::StatusOr<PythonValue> value = ParseMarshal(*call.value);
  if (value.ok()) {
    checker_.run().Send('V', Marshal(*value));
  } else {
    SendError("TypeError",
              absl::StrCat("the function returned ", value.status().message()));
  }
  return true;
}

absl::Status AssertCase::EndCalls(CapturedOutput* output) {
  if (!serving_ || !program_.is_running()) return absl::OkStatus();
  serving_ = false;
  program_.run().Send('Q', "");
  ProcessEnd end;
  TestResult ignored;  // What it does after its last answer is no answer.
  PONDER_ASSIGN_OR_RETURN(const bool goes_on,
                          program_.AwaitEnd(/*call=*/nullptr, &end, &ignored));
  if (goes_on) *output = std::move(end.output);
  return absl::OkStatus();
}

absl::Status AssertCase::FailChecker(Event event, TestResult* result) {
  if (event == Event::kEnded) {
    return absl::UnavailableError("the sandbox of the tests ended");
  }
  if (event == Event::kOutputLimit && num_calls_ == 0) {
    return absl::InvalidArgumentError(
        "tests: the test code prints or passes on more than fits before it "
        "calls the program");
  }
  return checker_.Fail(event, result);
}

absl::Status AssertCase::Run(int index, absl::string_view function,
                             absl::string_view code, CapturedOutput* output,
                             TestResult* result) {
  const absl::Status status = RunTest(index, function, code, output, result);
  if (checker_is_clean_) return status;
  JudgeReport ignored;
  PONDER_RETURN_IF_ERROR(checker_.End(&ignored));
  return status;
}

absl::Status AssertCase::RunTest(int index, absl::string_view function,
                                 absl::string_view code, CapturedOutput* output,
                                 TestResult* result) {
  program_.run().StartClock(limits_.wall, last_moment_);
  SandboxRun& checker = checker_.run();
  checker.StartClock(limits_.wall, last_moment_);
  checker.Send(
      'T', Marshal(PythonTuple({PythonString(function), PythonString(code)})),
      token_);
  bool passed = false;
  std::string error;
  while (true) {
    RunnerMessage message;
    const Event event = checker.Next(&message);
    if (event != Event::kMessage) return FailChecker(event, result);
    if (message.kind == 'C') {
      PONDER_ASSIGN_OR_RETURN(const bool answered,
                              ForwardCall(message.body, result));
      if (!answered) return absl::OkStatus();
    } else if (message.kind == 'P') {
      passed = true;
    } else if (message.kind == 'E') {
      const auto [type, text] = ParseRunnerError(message.body);
      error = text.empty() ? type : absl::StrCat(type, ": ", text);
    } else if (message.kind == 'X') {
      // What it has not read is skipped before the next test.
      checker_is_clean_ = true;
      break;
    } else {
      return absl::InternalError("the sandbox of the tests sent nonsense");
    }
  }
  checker.TakeOutput();
  PONDER_RETURN_IF_ERROR(EndCalls(output));
  return Conclude(index, passed, error, result);
}

absl::Status AssertCase::Conclude(int index, bool passed,
                                  const std::string& error,
                                  TestResult* result) {
  if (passed && num_calls_ == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tests: test ", index, " passes without calling the program"));
  }
  if (passed) {
    result->verdict = RunVerdict::kAccepted;
    return absl::OkStatus();
  }
  // Without a call it had nothing to do with the program.
  if (num_calls_ == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tests: test ", index, " fails before it calls the program: ",
        error.empty() ? "it ended early" : error));
  }
  const bool assertion = absl::StartsWith(error, "AssertionError");
  result->verdict = error_from_program_ && !assertion
                        ? RunVerdict::kRuntimeError
                        : RunVerdict::kWrongAnswer;
  result->message = error.empty() ? "the test ended early" : error;
  return absl::OkStatus();
}

}  // namespace ponder
