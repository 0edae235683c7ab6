// ponder worker: samples for a trainer, here or on another machine.

#include "rollout/worker.h"

#include <sys/prctl.h>

#include <memory>

#include "ATen/Parallel.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/flag_checks.h"

namespace ponder {

void AddWorkerCommand(CLI::App& app, Command* chosen) {
  struct Flags {
    WorkerOptions worker;
    int threads = 0;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "worker", "Sample for a trainer: lease prompts, submit scored groups.");
  command
      ->add_option("--coordinator", flags->worker.coordinator_address,
                   "The trainer's HOST:PORT")
      ->required()
      ->check(HostAndPort());
  command->add_option("--name", flags->worker.name, "Name in logs");
  command
      ->add_option("--device", flags->worker.device,
                   "Where the policy is: cpu, or cuda for the first GPU")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_option("--threads", flags->threads, "0: all cores");
  command
      ->add_option("--slots", flags->worker.engine.slots,
                   "Sequences that are decoded together")
      ->check(PositiveNumber());
  command
      ->add_option("--kv-cache-tokens", flags->worker.engine.kv_cache_tokens,
                   "Limit of the key-value cache; 0: as the slots need")
      ->check(NonNegativeNumber());
  command->callback([flags, chosen] {
    *chosen = [flags] {
      CatchStopSignals();
      if (flags->threads > 0) at::set_num_threads(flags->threads);
      return RunWorker(flags->worker);
    };
  });
}

}  // namespace ponder
