// Samples as plug-ins see them, and their answers as scores.

#ifndef PONDER_REWARD_PLUGIN_PLUGIN_CODEC_H_
#define PONDER_REWARD_PLUGIN_PLUGIN_CODEC_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/verifier.pb.h"
#include "reward/verifier.h"

namespace ponder {

// The most samples of one request to a plug-in: its timeout is for all of them.
inline constexpr int kMaxPluginBatch = 16;

// A plug-in's answer about one sample.
struct PluginAnswer {
  std::optional<double> score;  // None, or not finite: unscorable.
  std::string reason;           // Any bytes; may be empty.
};

// One line, with its newline, as docs/verifiers.md describes it. `remaining`
// samples of the same batch come right after this one.
std::string RequestLine(const SampleToScore& sample, int64_t id,
                        int64_t remaining);

// The answer in a line, and the id that it is for. INVALID_ARGUMENT if the line
// is no JSON object with an "id". A score that is no number is none, and the
// reason then says what it was.
struct AnswerLine {
  int64_t id = 0;
  PluginAnswer answer;
};
absl::StatusOr<AnswerLine> ParseAnswerLine(absl::string_view line);

void FillSampleToVerify(const SampleToScore& sample, SampleToVerify* out);

// The score by the answer of the plug-in `name`, which reasons begin with. It
// is correct from `correct_from` on.
VerifierScore ScoreOfAnswer(absl::string_view name, double correct_from,
                            const PluginAnswer& answer);

// Unscorable, because of `reason`.
VerifierScore UnscorableByPlugin(absl::string_view name,
                                 absl::string_view reason);

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_PLUGIN_CODEC_H_
