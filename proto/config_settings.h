// PATH=VALUE settings of the command line, applied by reflection.

#ifndef PONDER_PROTO_CONFIG_SETTINGS_H_
#define PONDER_PROTO_CONFIG_SETTINGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "proto/config.pb.h"

namespace ponder {

// `no field named "x" in Message; did you mean "y"?`. A field of that very name
// further down is named with its way: "optimizer.learning_rate".
std::string UnknownFieldText(const google::protobuf::Descriptor& message,
                             const std::string& name);

// The names of the values.
std::vector<std::string> EnumNames(
    const google::protobuf::EnumDescriptor& values);

// Applies one setting; LoadRunConfig describes their form. Returns the path
// with every element by index: "stage[2].grpo.steps". On an error, which names
// the setting, `config` is as it was.
absl::StatusOr<std::string> ApplySetting(const std::string& setting,
                                         RunConfig& config);

}  // namespace ponder

#endif  // PONDER_PROTO_CONFIG_SETTINGS_H_
