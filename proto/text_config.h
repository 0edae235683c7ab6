// A run's configuration as protobuf text: read, overridden from the command
// line, checked and written.

#ifndef PONDER_PROTO_TEXT_CONFIG_H_
#define PONDER_PROTO_TEXT_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace ponder {

// Reads the file, applies the settings in their order and validates the
// result. An empty `path` starts from the defaults. A misspelt hyperparameter
// must not become a silent default, so INVALID_ARGUMENT with
//
//   FILE:LINE:COLUMN: no field named "x" in GrpoStage; did you mean "y"?
//
// for unknown fields, wrong types, unknown enum values and values out of range.
//
// A setting is PATH=VALUE. PATH goes through messages by field name. An element
// of a repeated message is chosen by index or by name (stage[2].grpo.steps,
// stage[grpo].grpo.steps); without either it is the only one, which is added if
// there is none (data.path). Repeated strings are separated by commas. Names of
// enum values may be written in lower case.
absl::StatusOr<RunConfig> LoadRunConfig(
    const std::string& path, const std::vector<std::string>& settings);

// Rejects values that would train, only wrongly:
//   stage[2].grpo.samples_per_prompt: 1; wanted at least 2, ...
absl::Status ValidateRunConfig(const RunConfig& config);

// The configuration as text that LoadRunConfig reads, with every default
// written out.
std::string RunConfigToText(const RunConfig& config);

// `name`, or else the kind: data, pretrain, sft, grpo, eval, sample.
std::string StageName(const Stage& stage);

// The name of the kind field that is set; empty if none is.
std::string StageKind(const Stage& stage);

// What a stage of kind pretrain or sft holds; null for the others. Valid as
// long as `stage` is.
const SupervisedStage* SupervisedOf(const Stage& stage);

// Whether the stage changes a policy: pretrain, sft and grpo.
bool TrainsPolicy(const Stage& stage);

// Whether the stage evaluates the policy that it leaves. (grpo does so before
// its first step, too, whatever it leaves.)
bool EvaluatesPolicy(const Stage& stage, const RunConfig& config);

// Whether `set` is one of `names`, none being all.
bool IsNamed(const DataSet& set,
             const google::protobuf::RepeatedPtrField<std::string>& names);

// Whether the stage draws from `set`, which is one of the run's `data`.
bool ReadsData(const Stage& stage, const DataSet& set);

// prompt.template, or what stands for one that is not given.
std::string PromptTemplate(const PromptConfig& prompt);

// Whether the stage's reference is not its first policy.
bool HasTeacher(const GrpoStage& stage);

// `name`, or else the file's name without folder and extension.
std::string DataSetName(const DataSet& data_set);

// `path` with a leading "$RUN" replaced by the run's folder.
std::string ExpandRunPath(const std::string& path,
                          const std::string& run_folder);

}  // namespace ponder

#endif  // PONDER_PROTO_TEXT_CONFIG_H_
