// ponder sandbox-server: runs programs for others, over gRPC.

#include <poll.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/flag_checks.h"
#include "sandbox/sandbox_service.h"

namespace ponder {
namespace {

struct SandboxServerFlags {
  std::string listen = "127.0.0.1:0";
  int slots = 0;
  bool unsafe = false;
};

absl::Status RunSandboxServer(const SandboxServerFlags& flags) {
  CatchStopSignals();
  SandboxServer::Options options;
  options.address = flags.listen;
  options.pool.num_slots = flags.slots;
  options.pool.allow_unsafe = flags.unsafe;
  PONDER_ASSIGN_OR_RETURN(const std::unique_ptr<SandboxServer> server,
                          SandboxServer::Start(std::move(options)));
  std::printf("sandbox server: port %d, %d slots, backend %s\n", server->port(),
              server->pool().num_slots(),
              std::string(BackendName(server->pool().backend())).c_str());
  std::fflush(stdout);
  // A signal may go to any thread, so the wait looks up now and then.
  while (!StopRequested()) poll(nullptr, 0, /*timeout=*/100);
  server->Stop(/*grace=*/absl::Seconds(1));
  return absl::OkStatus();
}

}  // namespace

void AddSandboxServerCommand(CLI::App& app, Command* chosen) {
  CLI::App* command = app.add_subcommand(
      "sandbox-server", "Runs programs for reward servers, over gRPC");
  auto flags = std::make_shared<SandboxServerFlags>();
  command
      ->add_option("--listen", flags->listen,
                   "Address and port; port 0 takes any. Who reaches it can run "
                   "programs")
      ->capture_default_str();
  command
      ->add_option("--slots", flags->slots,
                   "Programs that run at a time; 0: one a core")
      ->check(NonNegativeNumber());
  command->add_flag("--unsafe-no-sandbox", flags->unsafe,
                    "Runs programs also where they cannot be isolated");
  command->callback([flags, chosen] {
    *chosen = [flags] { return RunSandboxServer(*flags); };
  });
}

}  // namespace ponder
