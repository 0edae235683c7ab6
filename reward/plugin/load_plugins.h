// The verifiers that a configuration plugs in.

#ifndef PONDER_REWARD_PLUGIN_LOAD_PLUGINS_H_
#define PONDER_REWARD_PLUGIN_LOAD_PLUGINS_H_

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "proto/config.pb.h"
#include "reward/verifier.h"

namespace ponder {

// Starts what each of `plugins`, which ValidateRunConfig() accepts, names, and
// waits until it can score: Python files are imported, libraries loaded,
// services reached. INVALID_ARGUMENT, with the plug-in's name, for one that
// cannot be.
absl::StatusOr<VerifierMap> LoadPlugins(
    const google::protobuf::RepeatedPtrField<PluginVerifier>& plugins);

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_LOAD_PLUGINS_H_
