// The subcommands of `ponder`, one file each.

#ifndef PONDER_CLI_COMMAND_H_
#define PONDER_CLI_COMMAND_H_

#include <functional>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

namespace ponder {

// What the chosen subcommand does once the whole command line was read. A
// status that is not OK is printed as one sentence; the exit code is then 1.
using Command = std::function<absl::Status()>;

// Each adds one subcommand to `app`, whose callback sets `*chosen`. Both
// outlive the parsing and the run of the command.
void AddChatCommand(CLI::App& app, Command* chosen);
void AddDataCommand(CLI::App& app, Command* chosen);
void AddDoctorCommand(CLI::App& app, Command* chosen);
void AddExportCommand(CLI::App& app, Command* chosen);
void AddLearnerCommand(CLI::App& app, Command* chosen);
void AddMetricsDocCommand(CLI::App& app, Command* chosen);
void AddRewardServerCommand(CLI::App& app, Command* chosen);
void AddSandboxCommand(CLI::App& app, Command* chosen);
void AddSandboxServerCommand(CLI::App& app, Command* chosen);
void AddVerifyCommand(CLI::App& app, Command* chosen);
void AddScoreCommand(CLI::App& app, Command* chosen);
void AddStatusCommand(CLI::App& app, Command* chosen);
void AddTemplateCommand(CLI::App& app, Command* chosen);
void AddTrainCommand(CLI::App& app, Command* chosen);
// Under `verify`: call AddVerifyCommand() first.
void AddVerifyDataCommand(CLI::App& app, Command* chosen);
void AddVerifyMathCommand(CLI::App& app, Command* chosen);
void AddViewCommand(CLI::App& app, Command* chosen);
void AddWorkerCommand(CLI::App& app, Command* chosen);

}  // namespace ponder

#endif  // PONDER_CLI_COMMAND_H_
