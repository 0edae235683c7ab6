#include "reward/plugin/load_plugins.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "reward/plugin/grpc_verifier.h"
#include "reward/plugin/process_verifier.h"
#include "sandbox/libexec.h"

namespace ponder {
namespace {

constexpr int kMaxDefaultWorkers = 4;  // Each may take hundreds of megabytes.

int NumWorkers(const PluginVerifier& plugin) {
  if (plugin.workers() > 0) return plugin.workers();
  const auto num_cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(num_cores, 1, kMaxDefaultWorkers);
}

// What runs a plug-in that is no service.
absl::StatusOr<std::vector<std::string>> Command(const PluginVerifier& plugin) {
  std::vector<std::string> command;
  if (plugin.has_command()) {
    command = {"/bin/sh", "-c", plugin.command()};
  } else if (plugin.has_library()) {
    PONDER_ASSIGN_OR_RETURN(const std::string host,
                            FindLibexec("library-host"));
    command = {host, plugin.library()};
  } else if (plugin.has_python()) {
    PONDER_ASSIGN_OR_RETURN(const std::string runner,
                            FindLibexec("verifier_runner.py"));
    command = {plugin.interpreter(), runner, plugin.python()};
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("verifier ", plugin.name(),
                     ": names no python, command, library or address"));
  }
  return command;
}

absl::StatusOr<std::unique_ptr<Verifier>> LoadPlugin(
    const PluginVerifier& plugin) {
  const absl::Duration timeout = absl::Seconds(plugin.timeout_seconds());
  if (plugin.has_address()) {
    return GrpcVerifier::Connect({plugin.name(), plugin.address(), timeout,
                                  NumWorkers(plugin), plugin.correct_from()});
  }
  PONDER_ASSIGN_OR_RETURN(std::vector<std::string> command, Command(plugin));
  return ProcessVerifier::Start({plugin.name(), std::move(command), timeout,
                                 NumWorkers(plugin), plugin.correct_from()});
}

}  // namespace

absl::StatusOr<VerifierMap> LoadPlugins(
    const google::protobuf::RepeatedPtrField<PluginVerifier>& plugins) {
  VerifierMap verifiers;
  for (const PluginVerifier& plugin : plugins) {
    PONDER_ASSIGN_OR_RETURN(verifiers[plugin.name()], LoadPlugin(plugin));
  }
  return verifiers;
}

}  // namespace ponder
