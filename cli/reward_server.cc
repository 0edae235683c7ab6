// ponder reward-server: serves RewardService until it is told to stop.

#include "reward/reward_server.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/flag_checks.h"
#include "cli/limit_flags.h"
#include "proto/text_config.h"
#include "reward/plugin/load_plugins.h"

namespace ponder {
namespace {

struct RewardServerFlags {
  std::string config;
  std::string listen = "127.0.0.1:0";
  std::optional<int> slots;
  int port_fd = -1;
  bool die_with_parent = false;
  std::string sandbox;
  bool unsafe = false;
  SandboxLimits limits;
};

absl::Status RunRewardServer(const RewardServerFlags& flags) {
  CatchStopSignals();
  if (flags.die_with_parent) prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);

  RewardConfig config;
  if (!flags.config.empty()) {
    PONDER_ASSIGN_OR_RETURN(const RunConfig run,
                            LoadRunConfig(flags.config, /*settings=*/{}));
    config = run.reward();
  }
  config.mutable_sandbox()->MergeFrom(flags.limits);
  RewardServer::Options options;
  options.address = flags.listen;
  options.sandbox_slots = flags.slots.value_or(config.sandbox_slots());
  options.sandbox_address =
      flags.sandbox.empty() ? config.sandbox_address() : flags.sandbox;
  options.unsafe_no_sandbox = flags.unsafe;
  options.code.limits = RunLimitsFromConfig(config.sandbox());
  options.code.partial_credit = config.code_partial_credit();
  PONDER_ASSIGN_OR_RETURN(options.plugins, LoadPlugins(config.verifier()));
  PONDER_ASSIGN_OR_RETURN(const std::unique_ptr<RewardServer> server,
                          RewardServer::Start(std::move(options)));

  std::printf("reward server: port %d\n", server->port());
  if (!server->sandbox_status().ok()) {
    std::printf("reward server: no code problems: %s\n",
                std::string(server->sandbox_status().message()).c_str());
  }
  std::fflush(stdout);
  if (flags.port_fd >= 0) {
    PONDER_RETURN_IF_ERROR(WriteAll(
        flags.port_fd, absl::StrCat(server->port(), "\n"), "--port-fd"));
    close(flags.port_fd);
  }
  // A signal may go to any thread, so the wait looks up now and then.
  while (!StopRequested()) poll(nullptr, 0, /*timeout=*/100);
  server->Stop(/*grace=*/absl::Seconds(1));
  return absl::OkStatus();
}

}  // namespace

void AddRewardServerCommand(CLI::App& app, Command* chosen) {
  CLI::App* command = app.add_subcommand(
      "reward-server", "Scores responses for rollout workers, over gRPC");
  auto flags = std::make_shared<RewardServerFlags>();
  command->add_option("--config", flags->config,
                      "A run's configuration; its reward {} has the plug-ins "
                      "and limits. Other flags win over it");
  command
      ->add_option("--listen", flags->listen,
                   "Address and port; port 0 takes any")
      ->capture_default_str();
  command
      ->add_option("--slots", flags->slots,
                   "Programs that run at a time; 0: one a core")
      ->check(NonNegativeNumber());
  command
      ->add_option("--sandbox", flags->sandbox,
                   "HOST:PORT of a sandbox server that runs the programs")
      ->check(HostAndPort());
  command->add_flag("--unsafe-no-sandbox", flags->unsafe,
                    "Runs programs also where they cannot be isolated");
  command->add_option("--port-fd", flags->port_fd,
                      "Open file that the bound port is written to");
  command->add_flag("--die-with-parent", flags->die_with_parent,
                    "End when the process that started this one ends");
  AddLimitFlags(*command, &flags->limits);
  command->callback([flags, chosen] {
    *chosen = [flags] { return RunRewardServer(*flags); };
  });
}

}  // namespace ponder
