// ponder sandbox: the sandbox by hand.

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/limit_flags.h"
#include "nlohmann/json.hpp"
#include "proto/value_codec.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

struct SandboxFlags {
  std::string program;
  std::string standard_input;
  std::string tests;
  std::string task;
  bool json = false;
  SandboxLimits limits;
};

double Milliseconds(absl::Duration duration) {
  return absl::ToDoubleMilliseconds(duration);
}

void AddOutput(const CapturedOutput& output, Json* json) {
  (*json)["stdout"] = output.stdout_bytes;
  (*json)["stderr"] = output.stderr_bytes;
  (*json)["stdout_truncated"] = output.stdout_truncated;
  (*json)["stderr_truncated"] = output.stderr_truncated;
}

absl::Status RunDoctor() {
  const SandboxReport report = SandboxDoctor();
  for (const std::string& line : report.lines) {
    std::printf("%s\n", line.c_str());
  }
  return report.available
             ? absl::OkStatus()
             : absl::FailedPreconditionError("no program can be run safely");
}

absl::Status RunProgram(const SandboxFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string program, ReadFile(flags.program));
  std::string standard_input;
  if (!flags.standard_input.empty()) {
    PONDER_ASSIGN_OR_RETURN(standard_input, ReadFile(flags.standard_input));
  }
  PONDER_ASSIGN_OR_RETURN(const auto pool, SandboxPool::Create(1));
  PONDER_ASSIGN_OR_RETURN(
      const RunReport report,
      pool->Run({program}, standard_input, RunLimitsFromConfig(flags.limits),
                /*cancel=*/nullptr));
  const std::string verdict(report.verdict == RunVerdict::kAccepted
                                ? "OK"
                                : VerdictName(report.verdict));
  if (flags.json) {
    Json json;
    json["verdict"] = verdict;
    json["exit_code"] = report.exit_code;
    json["signal"] = report.signal;
    json["cpu_ms"] = Milliseconds(report.cpu);
    json["wall_ms"] = Milliseconds(report.wall);
    json["peak_bytes"] = report.peak_memory_bytes;
    AddOutput(report.output, &json);
    json["message"] = report.message;
    std::printf("%s\n", DumpJson(json).c_str());
    return absl::OkStatus();
  }
  std::fwrite(report.output.stdout_bytes.data(), 1,
              report.output.stdout_bytes.size(), stdout);
  std::fwrite(report.output.stderr_bytes.data(), 1,
              report.output.stderr_bytes.size(), stderr);
  std::fprintf(stderr,
               "%s%s%s; exit code %d, signal %d, %.1f ms CPU, %.1f ms wall, "
               "%.1f MiB\n",
               verdict.c_str(), report.message.empty() ? "" : ": ",
               report.message.c_str(), report.exit_code, report.signal,
               Milliseconds(report.cpu), Milliseconds(report.wall),
               static_cast<double>(report.peak_memory_bytes) / (1 << 20));
  return absl::OkStatus();
}

absl::Status JudgeProgram(const SandboxFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string program, ReadFile(flags.program));
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.tests));
  PONDER_ASSIGN_OR_RETURN(Json tests, ParseJson(text, flags.tests));
  if (!flags.task.empty()) {
    if (!tests.is_object() || !tests.contains(flags.task)) {
      return absl::NotFoundError(
          absl::StrCat(flags.tests, ": no task \"", flags.task, "\""));
    }
    Json task = tests[flags.task];
    tests = std::move(task);
  }
  const absl::StatusOr<TestSuite> suite = TestSuiteFromJson(tests);
  if (!suite.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.tests, ": ", suite.status().message()));
  }
  PONDER_ASSIGN_OR_RETURN(const auto pool, SandboxPool::Create(1));
  PONDER_ASSIGN_OR_RETURN(
      const JudgeReport report,
      pool->Judge({program}, *suite, RunLimitsFromConfig(flags.limits), {},
                  /*cancel=*/nullptr));

  Json json;
  json["verdict"] = std::string(VerdictName(report.verdict));
  json["reward"] = report.verdict == RunVerdict::kAccepted ? 1 : 0;
  json["message"] = report.message;
  json["exit_code"] = report.exit_code;
  json["signal"] = report.signal;
  json["cpu_ms"] = Milliseconds(report.cpu);
  json["wall_ms"] = Milliseconds(report.wall);
  json["peak_bytes"] = report.peak_memory_bytes;
  AddOutput(report.output, &json);
  json["tests"] = Json::array();
  for (const TestResult& test : report.tests) {
    Json result;
    result["verdict"] = std::string(VerdictName(test.verdict));
    result["exit_code"] = test.exit_code;
    result["signal"] = test.signal;
    result["cpu_ms"] = Milliseconds(test.cpu);
    result["wall_ms"] = Milliseconds(test.wall);
    result["message"] = test.message;
    json["tests"].push_back(std::move(result));
  }
  std::printf("%s\n", DumpJson(json).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddSandboxCommand(CLI::App& app, Command* chosen) {
  CLI::App* sandbox = app.add_subcommand(
      "sandbox", "Runs Python programs that nobody has read");
  sandbox->require_subcommand(1);
  auto flags = std::make_shared<SandboxFlags>();

  sandbox
      ->add_subcommand("doctor",
                       "Says what the sandbox can promise on this machine")
      ->callback([chosen] { *chosen = &RunDoctor; });

  CLI::App* run = sandbox->add_subcommand("run", "Runs a program once");
  run->add_option("program", flags->program, "Python file")->required();
  run->add_option("--stdin", flags->standard_input,
                  "File that the program reads as its standard input");
  run->add_flag("--json", flags->json, "Prints all facts as one JSON object");
  AddLimitFlags(*run, &flags->limits);
  run->callback(
      [flags, chosen] { *chosen = [flags] { return RunProgram(*flags); }; });

  CLI::App* judge = sandbox->add_subcommand(
      "judge", "Judges a program by tests; prints one JSON object");
  judge->add_option("program", flags->program, "Python file")->required();
  judge
      ->add_option("--tests", flags->tests,
                   "JSON file: {\"kind\", \"fn\", \"visible\", \"hidden\"}")
      ->required();
  judge->add_option("--task", flags->task,
                    "Key of the tests, if the file holds several tasks");
  AddLimitFlags(*judge, &flags->limits);
  judge->callback(
      [flags, chosen] { *chosen = [flags] { return JudgeProgram(*flags); }; });
}

}  // namespace ponder
