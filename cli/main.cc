#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "base/nearest_name.h"
#include "base/program_name.h"
#include "cli/command.h"

namespace {

// Threads of OpenMP that wait for work spin by default. The processes of a run
// share their cores, and spinning threads of one take time from the others:
// measured, half of all processor time on two busy cores (docs/performance.md).
// libgomp reads its environment when it is loaded, so the program starts once
// more with it. A value of the user's own stays.
void WaitWithoutSpinning(char** argv) {
  if (getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", /*replace=*/1);
  execv("/proc/self/exe", argv);
  // Where that fails the program only runs slower.
}

// A server holds descriptors for each client and program; the usual 1,024 are
// for programs that use select().
void RaiseOpenFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The first word, if it should be a command and is none; else empty.
std::string UnknownCommand(const CLI::App& app) {
  const std::vector<std::string> words = app.remaining();
  if (!app.get_subcommands().empty() || words.empty() || words[0][0] == '-') {
    return "";
  }
  return words[0];
}

std::string CommandHint(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  return ponder::NameHint(word, names);
}

}  // namespace

int main(int argc, char** argv) {
  WaitWithoutSpinning(argv);
  ponder::SetProgramName(argv[0]);
  RaiseOpenFileLimit();
  // A reader that has gone is an error of the write, no end of the process.
  signal(SIGPIPE, SIG_IGN);
  // What fails is told in one sentence, by a status; gRPC's own lines beside it
  // only on request.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);

  CLI::App app{
      "Ponder teaches language models to reason: reinforcement learning on "
      "answers that a machine can check.",
      "ponder"};
  app.set_version_flag("--version", "ponder " PONDER_VERSION);
  app.require_subcommand(1);
  app.fallthrough(false);

  ponder::Command chosen;
  ponder::AddTrainCommand(app, &chosen);
  ponder::AddStatusCommand(app, &chosen);
  ponder::AddViewCommand(app, &chosen);
  ponder::AddDataCommand(app, &chosen);
  ponder::AddVerifyCommand(app, &chosen);
  ponder::AddVerifyMathCommand(app, &chosen);
  ponder::AddVerifyDataCommand(app, &chosen);
  ponder::AddScoreCommand(app, &chosen);
  ponder::AddTemplateCommand(app, &chosen);
  ponder::AddExportCommand(app, &chosen);
  ponder::AddChatCommand(app, &chosen);
  ponder::AddDoctorCommand(app, &chosen);
  ponder::AddSandboxCommand(app, &chosen);
  ponder::AddWorkerCommand(app, &chosen);
  ponder::AddLearnerCommand(app, &chosen);
  ponder::AddRewardServerCommand(app, &chosen);
  ponder::AddSandboxServerCommand(app, &chosen);
  ponder::AddMetricsDocCommand(app, &chosen);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (const std::string word = UnknownCommand(app); !word.empty()) {
      std::fprintf(stderr, "ponder: no command is named \"%s\"%s\n",
                   word.c_str(), CommandHint(app, word).c_str());
      return 2;
    }
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }

  absl::Status status = chosen();
  // Results that a full disk has swallowed are no success.
  if (status.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
    status = absl::ErrnoToStatus(errno, "standard output: cannot write");
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "ponder: %s\n", std::string(status.message()).c_str());
  return 1;
}
