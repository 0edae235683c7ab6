// ponder metrics-doc: docs/metrics.md out of the table of metrics.

#include <cstdio>

#include "cli/command.h"
#include "monitor/metric_table.h"

namespace ponder {

void AddMetricsDocCommand(CLI::App& app, Command* chosen) {
  CLI::App* command = app.add_subcommand(
      "metrics-doc", "Every metric, as docs/metrics.md has them.");
  command->group("");  // For those who change the table: not in --help.
  command->callback([chosen] {
    *chosen = [] {
      std::fputs(MetricTableMarkdown().c_str(), stdout);
      return absl::OkStatus();
    };
  });
}

}  // namespace ponder
