#include <cstdio>
#include <string>

#include "CLI/CLI.hpp"
#include "base/stop_signal.h"
#include "cli/command.h"

int main(int argc, char** argv) {
  ponder::CatchStopSignals();

  CLI::App app{
      "Ponder teaches language models to reason: reinforcement learning on "
      "answers that a machine can check.",
      "ponder"};
  app.set_version_flag("--version", "ponder " PONDER_VERSION);
  app.require_subcommand(1);
  app.fallthrough(false);

  ponder::Command chosen;
  ponder::AddTrainCommand(app, &chosen);
  ponder::AddDataCommand(app, &chosen);
  ponder::AddVerifyCommand(app, &chosen);
  ponder::AddScoreCommand(app, &chosen);
  ponder::AddSandboxCommand(app, &chosen);
  ponder::AddWorkerCommand(app, &chosen);
  ponder::AddRewardServerCommand(app, &chosen);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }

  const absl::Status status = chosen();
  if (status.ok()) return 0;
  std::fprintf(stderr, "ponder: %s\n", std::string(status.message()).c_str());
  return 1;
}
