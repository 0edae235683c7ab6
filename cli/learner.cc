// ponder learner: one of the processes that share a trainer's updates.

#include <memory>

#include "ATen/Parallel.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "rl/learner_pool.h"

namespace ponder {
namespace {

struct LearnerFlags {
  int port = 0;
  int rank = 1;
  int size = 2;
  int threads = 1;
};

}  // namespace

void AddLearnerCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<LearnerFlags>();
  CLI::App* command = app.add_subcommand(
      "learner", "Share a trainer's updates; the trainer starts it itself.");
  command->add_option("--port", flags->port, "The trainer's, on this machine")
      ->required();
  command->add_option("--rank", flags->rank, "From 1")->required();
  command
      ->add_option("--size", flags->size, "Processes, the trainer's included")
      ->required();
  command->add_option("--threads", flags->threads, "Of this process");
  command->callback([flags, chosen] {
    *chosen = [flags] {
      CatchStopSignals();
      at::set_num_threads(flags->threads);
      return ServeLearner(flags->rank, flags->size, flags->port);
    };
  });
}

}  // namespace ponder
