// ponder view: the samples of a run in a browser.

#include <poll.h>

#include <cstdio>
#include <memory>
#include <string>

#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "monitor/view_server.h"

namespace ponder {
namespace {

struct ViewFlags {
  std::string run;
  int port = 8642;
};

absl::Status RunView(const ViewFlags& flags) {
  CatchStopSignals();
  PONDER_ASSIGN_OR_RETURN(const auto server,
                          ViewServer::Start(flags.run, flags.port));
  std::printf("%zu samples of %s at http://127.0.0.1:%d/ (Ctrl-C ends)\n",
              server->num_samples(), flags.run.c_str(), server->port());
  std::fflush(stdout);
  // A signal may go to any thread, so the wait looks up now and then.
  while (!StopRequested()) poll(nullptr, 0, /*timeout=*/100);
  return absl::OkStatus();
}

}  // namespace

void AddViewCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<ViewFlags>();
  CLI::App* command =
      app.add_subcommand("view",
                         "The samples of a run in a browser: thoughts, "
                         "answers, verdicts, rewards.");
  command->add_option("run", flags->run, "A run's folder, running or not")
      ->required();
  command
      ->add_option("--port", flags->port,
                   "Of 127.0.0.1, where the page is served; 0 takes any")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunView(*flags); }; });
}

}  // namespace ponder
