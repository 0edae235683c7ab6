// ponder status: where a run stands, from another terminal.

#include <cstdio>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "monitor/run_status.h"

namespace ponder {

void AddStatusCommand(CLI::App& app, Command* chosen) {
  struct Flags {
    std::string run;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("status",
                         "Where a run stands: stage, step, time left, metrics, "
                         "health, processes.");
  command->add_option("run", flags->run, "A run's folder")->required();
  command->add_flag("--json", flags->json, "JSON, for a script");
  command->callback([flags, chosen] {
    *chosen = [flags]() -> absl::Status {
      PONDER_ASSIGN_OR_RETURN(const RunReport report,
                              ReadRunReport(flags->run));
      const std::string text =
          flags->json ? RunReportJson(report).dump(2) + "\n"
                      : RunReportText(flags->run, report, absl::Now());
      std::fputs(text.c_str(), stdout);
      return absl::OkStatus();
    };
  });
}

}  // namespace ponder
