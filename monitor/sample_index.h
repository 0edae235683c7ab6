// SampleIndex knows where each sample of a file of samples stands and what it
// is, without holding its text: about 40 bytes a sample.

#ifndef PONDER_MONITOR_SAMPLE_INDEX_H_
#define PONDER_MONITOR_SAMPLE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ponder {

// What of a sample the index holds.
struct SampleEntry {
  enum Verdict : uint8_t { kUnknown, kCorrect, kWrong, kUnscorable };

  int64_t offset = 0;  // Of its line in the file.
  int32_t bytes = 0;   // Of its line, the line's end aside.
  int32_t group = 0;   // Index of its group in the file.
  float reward = 0;    // NaN: none.
  Verdict verdict = kUnknown;
  bool truncated = false;
  // The format component is at its best; without one: an answer was found in a
  // response that ended by itself.
  bool well_formed = false;
};

// Lines that follow one another with the same step, group and problem.
struct SampleGroup {
  int32_t first = 0;  // Sample.
  int32_t count = 0;
  int32_t step = 0;
  int32_t number = 0;     // In its step, as the line says.
  int32_t problem = 0;    // In SampleIndex::problems().
  int32_t previous = -1;  // The group of the same problem before it, or -1.
  float reward = 0;       // Mean of those that have one; NaN without any.
  int32_t rewarded = 0;   // How many these are.
};

enum class SampleFilter {
  kAll,
  kCorrect,
  kWrong,
  kWrongWellFormed,
  kTruncated,
  kUnscorable,
  kRewardFell,  // Mean reward of the problem's group, since it came before.
};

// Not thread-safe.
class SampleIndex {
 public:
  explicit SampleIndex(std::string path) : path_(std::move(path)) {}

  // Reads on from where it stopped, at most about `max_bytes`; whole lines
  // only. A file that was cut or replaced (a resumed run does that) is read
  // anew. Lines that are no samples are passed over. Returns whether the end
  // was reached.
  absl::StatusOr<bool> Update(int64_t max_bytes);

  const std::vector<SampleEntry>& samples() const { return samples_; }
  const std::vector<SampleGroup>& groups() const { return groups_; }
  const std::vector<std::string>& problems() const { return problems_; }

  bool Fell(const SampleGroup& group) const;
  bool Matches(SampleFilter filter, const SampleEntry& sample) const;

  // The line of a sample, read from the file. DATA_LOSS if the file is no
  // longer the one that was indexed.
  absl::StatusOr<std::string> Line(size_t sample) const;

 private:
  void Clear();
  void AddLine(int64_t offset, const char* begin, size_t size);

  const std::string path_;
  uint64_t inode_ = 0;
  int64_t read_ = 0;  // Bytes that are indexed.
  std::vector<SampleEntry> samples_;
  std::vector<SampleGroup> groups_;
  std::vector<std::string> problems_;
  std::unordered_map<std::string, int32_t> problem_of_name_;
  std::vector<int32_t> last_group_;  // By problem.
};

}  // namespace ponder

#endif  // PONDER_MONITOR_SAMPLE_INDEX_H_
