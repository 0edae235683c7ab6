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
  std::string language = "python";
  std::string standard_input;
  std::string tasks;
  std::string task;
  bool json = false;
  bool all_tests = false;
  bool partial = false;
  uint64_t seed = 0;
  bool unsafe = false;
  SandboxLimits limits;
};

double Milliseconds(absl::Duration duration) {
  return absl::ToDoubleMilliseconds(duration);
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

absl::StatusOr<std::unique_ptr<SandboxPool>> MakePool(
    const SandboxFlags& flags) {
  SandboxPool::Options options;
  options.num_slots = 1;
  options.allow_unsafe = flags.unsafe;
  return SandboxPool::Create(std::move(options));
}

// What is known of a run or of a judgement, in the order of the documentation.
template <typename Report>
Json ReportJson(const Report& report, Json reward, Json tests) {
  Json json;
  json["verdict"] = std::string(VerdictName(report.verdict));
  json["reward"] = std::move(reward);
  json["exit_code"] = report.exit_code;
  json["signal"] = report.signal;
  json["cpu_ms"] = Milliseconds(report.cpu);
  json["wall_ms"] = Milliseconds(report.wall);
  json["peak_bytes"] = report.peak_memory_bytes;
  json["stdout"] = report.output.stdout_bytes;
  json["stderr"] = report.output.stderr_bytes;
  json["stdout_truncated"] = report.output.stdout_truncated;
  json["stderr_truncated"] = report.output.stderr_truncated;
  json["tests"] = std::move(tests);
  return json;
}

// A lost sandbox has no verdict but IE, and no reward.
absl::Status PrintLost(const SandboxFlags& flags, const absl::Status& status) {
  if (flags.json && !absl::IsInvalidArgument(status)) {
    Json json = ReportJson(RunReport(), nullptr, Json::array());
    json["verdict"] = "IE";
    json["stderr"] = std::string(status.message());
    std::printf("%s\n", DumpJson(json).c_str());
  }
  return status;
}

absl::Status RunProgram(const SandboxFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string program, ReadFile(flags.program));
  std::string standard_input;
  if (!flags.standard_input.empty()) {
    PONDER_ASSIGN_OR_RETURN(standard_input, ReadFile(flags.standard_input));
  }
  PONDER_ASSIGN_OR_RETURN(const auto pool, MakePool(flags));
  const absl::StatusOr<RunReport> report =
      pool->Run({program, flags.language}, standard_input,
                RunLimitsFromConfig(flags.limits), /*cancel=*/nullptr);
  if (!report.ok()) return PrintLost(flags, report.status());
  if (flags.json) {
    // Without tests there is no reward.
    std::printf("%s\n",
                DumpJson(ReportJson(*report, nullptr, Json::array())).c_str());
    return absl::OkStatus();
  }
  std::fwrite(report->output.stdout_bytes.data(), 1,
              report->output.stdout_bytes.size(), stdout);
  std::fwrite(report->output.stderr_bytes.data(), 1,
              report->output.stderr_bytes.size(), stderr);
  std::fprintf(stderr,
               "%s%s%s; exit code %d, signal %d, %.1f ms CPU, %.1f ms wall, "
               "%.1f MiB\n",
               std::string(VerdictName(report->verdict)).c_str(),
               report->message.empty() ? "" : ": ", report->message.c_str(),
               report->exit_code, report->signal, Milliseconds(report->cpu),
               Milliseconds(report->wall),
               static_cast<double>(report->peak_memory_bytes) / (1 << 20));
  return absl::OkStatus();
}

absl::StatusOr<TestSuite> ReadSuite(const SandboxFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.tasks));
  PONDER_ASSIGN_OR_RETURN(Json tests, ParseJson(text, flags.tasks));
  if (!flags.task.empty()) {
    if (!tests.is_object() || !tests.contains(flags.task)) {
      return absl::NotFoundError(
          absl::StrCat(flags.tasks, ": no task \"", flags.task, "\""));
    }
    Json task = tests[flags.task];
    tests = std::move(task);
  }
  absl::StatusOr<TestSuite> suite = TestSuiteFromJson(tests);
  if (suite.ok()) return suite;
  return absl::InvalidArgumentError(
      absl::StrCat(flags.tasks, ": ", suite.status().message()));
}

Json TestsJson(const JudgeReport& report) {
  Json tests = Json::array();
  for (const TestResult& test : report.tests) {
    Json result;
    result["verdict"] = std::string(VerdictName(test.verdict));
    result["exit_code"] = test.exit_code;
    result["signal"] = test.signal;
    result["cpu_ms"] = Milliseconds(test.cpu);
    result["wall_ms"] = Milliseconds(test.wall);
    result["message"] = test.message;
    tests.push_back(std::move(result));
  }
  return tests;
}

absl::Status JudgeProgram(const SandboxFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string program, ReadFile(flags.program));
  PONDER_ASSIGN_OR_RETURN(const TestSuite suite, ReadSuite(flags));
  PONDER_ASSIGN_OR_RETURN(const auto pool, MakePool(flags));
  JudgeOptions options;
  options.stop_at_first_failure = !flags.all_tests && !flags.partial;
  options.shuffle_seed = flags.seed;
  const absl::StatusOr<JudgeReport> report =
      pool->Judge({program, flags.language}, suite,
                  RunLimitsFromConfig(flags.limits), options,
                  /*cancel=*/nullptr);
  if (!report.ok()) return PrintLost(flags, report.status());
  Json reward = report->verdict == RunVerdict::kAccepted ? 1 : 0;
  if (flags.partial) reward = report->passed_share();
  if (flags.json) {
    std::printf("%s\n", DumpJson(ReportJson(*report, std::move(reward),
                                            TestsJson(*report)))
                            .c_str());
    return absl::OkStatus();
  }
  std::printf("%s, %d of %zu tests pass%s%s\n",
              std::string(VerdictName(report->verdict)).c_str(),
              report->num_passed(), report->tests.size(),
              report->message.empty() ? "" : ": ", report->message.c_str());
  return absl::OkStatus();
}

void AddProgramFlags(CLI::App& command, SandboxFlags* flags) {
  command.add_option("program", flags->program, "Its source")->required();
  command.add_option("--language", flags->language, "python, cpp, c or bash")
      ->capture_default_str();
  command.add_flag("--json", flags->json,
                   "Prints all facts as one JSON object");
  command.add_flag("--unsafe-no-sandbox", flags->unsafe,
                   "Runs the program also where it cannot be isolated");
  AddLimitFlags(command, &flags->limits);
}

}  // namespace

void AddSandboxCommand(CLI::App& app, Command* chosen) {
  CLI::App* sandbox =
      app.add_subcommand("sandbox", "Runs programs that nobody has read");
  sandbox->require_subcommand(1);
  auto flags = std::make_shared<SandboxFlags>();

  sandbox
      ->add_subcommand("doctor",
                       "Says what the sandbox can promise on this machine")
      ->callback([chosen] { *chosen = &RunDoctor; });

  CLI::App* run = sandbox->add_subcommand("run", "Runs a program once");
  AddProgramFlags(*run, flags.get());
  run->add_option("--stdin", flags->standard_input,
                  "File that the program reads as its standard input");
  run->callback(
      [flags, chosen] { *chosen = [flags] { return RunProgram(*flags); }; });

  CLI::App* judge =
      sandbox->add_subcommand("judge", "Judges a program by tests");
  AddProgramFlags(*judge, flags.get());
  judge
      ->add_option("--tasks", flags->tasks,
                   "JSON file: {\"kind\", \"fn\", \"visible\", \"hidden\"}, or "
                   "an object of such")
      ->required();
  judge->add_option("--task", flags->task,
                    "Key of the tests, if the file holds several tasks");
  judge->add_flag("--all-tests", flags->all_tests,
                  "Goes on after a test that fails");
  judge->add_flag("--partial", flags->partial,
                  "The reward is the share of tests that pass");
  judge->add_option("--seed", flags->seed,
                    "Decides the order of the tests; 0: as in the file");
  judge->callback(
      [flags, chosen] { *chosen = [flags] { return JudgeProgram(*flags); }; });
}

}  // namespace ponder
