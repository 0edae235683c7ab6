#include "monitor/sample_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

constexpr size_t kChunkBytes = 4 << 20;
// A longer line is no sample.
constexpr size_t kMaxLineBytes = 256 << 20;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Reads the fields in front of a line's texts and stops there.
class FieldReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  int64_t step = 0;
  int64_t group = 0;
  std::string problem;
  std::string verdict;
  std::string finish_reason;
  double reward = kNan;
  double format = kNan;
  bool has_format = false;
  bool has_extracted = false;
  bool has_response = false;

  bool key(std::string& name) override {
    // Nothing behind the prompt is looked at, if this is a line of ours.
    if (depth_ == 1 && name == "prompt" && !verdict.empty()) {
      has_response = true;
      return false;
    }
    if (depth_ == 1) {
      key_ = name;
      if (name == "response") has_response = true;
    } else if (depth_ == 2 && key_ == "components") {
      is_format_ = name == "format";
      has_format = has_format || is_format_;
    }
    return true;
  }
  bool start_object(std::size_t) override { return Deeper(); }
  bool start_array(std::size_t) override { return Deeper(); }
  bool end_object() override { return Shallower(); }
  bool end_array() override { return Shallower(); }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override {
    return Number(static_cast<double>(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return Number(static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t&) override {
    return Number(value);
  }
  bool string(std::string& value) override {
    if (depth_ != 1) return true;
    if (key_ == "problem") problem = value;
    if (key_ == "verdict") verdict = value;
    if (key_ == "finish_reason") finish_reason = value;
    if (key_ == "extracted") has_extracted = !value.empty();
    return true;
  }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception&) override {
    verdict.clear();
    return false;
  }

 private:
  bool Deeper() {
    // Deeply nested lines are none of ours.
    return ++depth_ < 64;
  }
  bool Shallower() {
    --depth_;
    return true;
  }
  bool Number(double value) {
    if (depth_ == 1) {
      if (key_ == "step") step = Integer(value);
      if (key_ == "group") group = Integer(value);
      if (key_ == "reward") reward = value;
    } else if (depth_ == 2 && key_ == "components" && is_format_) {
      format = value;
    }
    return true;
  }
  static int64_t Integer(double value) {
    return static_cast<int64_t>(std::clamp(value, 0.0, 2e9));
  }

  int depth_ = 0;
  std::string key_;
  bool is_format_ = false;
};

SampleEntry::Verdict VerdictOf(const std::string& name) {
  if (name == "CORRECT") return SampleEntry::kCorrect;
  if (name == "WRONG") return SampleEntry::kWrong;
  if (name == "UNSCORABLE") return SampleEntry::kUnscorable;
  return SampleEntry::kUnknown;
}

}  // namespace

void SampleIndex::Clear() {
  read_ = 0;
  samples_.clear();
  groups_.clear();
  problems_.clear();
  problem_of_name_.clear();
  last_group_.clear();
}

void SampleIndex::AddLine(int64_t offset, const char* begin, size_t size) {
  FieldReader fields;
  nlohmann::json::sax_parse(begin, begin + size, &fields);
  if (fields.verdict.empty() || !fields.has_response) return;
  if (size > std::numeric_limits<int32_t>::max() ||
      samples_.size() >= std::numeric_limits<int32_t>::max()) {
    return;
  }
  const auto [it, is_new] = problem_of_name_.try_emplace(
      fields.problem, static_cast<int32_t>(problems_.size()));
  if (is_new) {
    problems_.push_back(fields.problem);
    last_group_.push_back(-1);
  }
  const int32_t problem = it->second;
  const int32_t step = static_cast<int32_t>(fields.step);
  const int32_t number = static_cast<int32_t>(fields.group);
  if (groups_.empty() || groups_.back().step != step ||
      groups_.back().number != number || groups_.back().problem != problem) {
    SampleGroup group;
    group.first = static_cast<int32_t>(samples_.size());
    group.step = step;
    group.number = number;
    group.problem = problem;
    group.previous = last_group_[problem];
    group.reward = kNan;
    last_group_[problem] = static_cast<int32_t>(groups_.size());
    groups_.push_back(group);
  }
  SampleGroup& group = groups_.back();
  SampleEntry sample;
  sample.offset = offset;
  sample.bytes = static_cast<int32_t>(size);
  sample.group = static_cast<int32_t>(groups_.size()) - 1;
  sample.reward = static_cast<float>(fields.reward);
  sample.verdict = VerdictOf(fields.verdict);
  sample.truncated = fields.finish_reason == "length";
  sample.well_formed = fields.has_format
                           ? fields.format >= 1
                           : fields.has_extracted && !sample.truncated;
  samples_.push_back(sample);
  group.count += 1;
  if (std::isfinite(sample.reward)) {
    const float sum = group.rewarded > 0
                          ? group.reward * static_cast<float>(group.rewarded)
                          : 0.0f;
    group.rewarded += 1;
    group.reward = (sum + sample.reward) / static_cast<float>(group.rewarded);
  }
}

absl::StatusOr<bool> SampleIndex::Update(int64_t max_bytes) {
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus("cannot open", path_);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  struct stat stat;
  if (fstat(fd, &stat) != 0) return ErrnoStatus("cannot look at", path_);
  if (stat.st_ino != inode_ || stat.st_size < read_) {
    Clear();
    inode_ = stat.st_ino;
  }
  std::string buffer;
  int64_t budget = max_bytes;
  while (read_ < stat.st_size && budget > 0) {
    // A line that did not fit is read again with more room.
    const size_t wanted = buffer.empty() ? kChunkBytes : 2 * buffer.size();
    buffer.resize(std::min(wanted, static_cast<size_t>(stat.st_size - read_)));
    const ssize_t got = pread(fd, buffer.data(), buffer.size(), read_);
    if (got <= 0) return ErrnoStatus("cannot read", path_);
    buffer.resize(static_cast<size_t>(got));
    size_t begin = 0;
    while (true) {
      const void* end =
          std::memchr(buffer.data() + begin, '\n', buffer.size() - begin);
      if (end == nullptr) break;
      const size_t size =
          static_cast<size_t>(static_cast<const char*>(end) - buffer.data()) -
          begin;
      AddLine(read_ + static_cast<int64_t>(begin), buffer.data() + begin, size);
      begin += size + 1;
    }
    budget -= static_cast<int64_t>(buffer.size());
    if (begin > 0) {
      read_ += static_cast<int64_t>(begin);
      buffer.clear();
    } else if (read_ + got >= stat.st_size) {
      return true;  // Half a line, which is still being written.
    } else if (buffer.size() > kMaxLineBytes) {
      return absl::DataLossError(
          absl::StrCat(path_, ": has a line of more than ", kMaxLineBytes >> 20,
                       " MiB; it is no file of samples"));
    }
  }
  return read_ >= stat.st_size;
}

bool SampleIndex::Fell(const SampleGroup& group) const {
  // A comparison with NaN is false.
  return group.previous >= 0 && group.reward < groups_[group.previous].reward;
}

bool SampleIndex::Matches(SampleFilter filter,
                          const SampleEntry& sample) const {
  switch (filter) {
    case SampleFilter::kAll:
      return true;
    case SampleFilter::kCorrect:
      return sample.verdict == SampleEntry::kCorrect;
    case SampleFilter::kWrong:
      return sample.verdict == SampleEntry::kWrong;
    case SampleFilter::kWrongWellFormed:
      return sample.verdict == SampleEntry::kWrong && sample.well_formed;
    case SampleFilter::kTruncated:
      return sample.truncated;
    case SampleFilter::kUnscorable:
      return sample.verdict == SampleEntry::kUnscorable;
    case SampleFilter::kRewardFell:
      return Fell(groups_[sample.group]);
  }
  return false;
}

absl::StatusOr<std::string> SampleIndex::Line(size_t sample) const {
  const SampleEntry& entry = samples_[sample];
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus("cannot open", path_);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  struct stat stat;
  std::string line(static_cast<size_t>(entry.bytes), '\0');
  if (fstat(fd, &stat) != 0 || stat.st_ino != inode_ ||
      pread(fd, line.data(), line.size(), entry.offset) !=
          static_cast<ssize_t>(line.size())) {
    return absl::DataLossError(absl::StrCat(
        path_, ": was replaced while it was looked at; ask again"));
  }
  return line;
}

}  // namespace ponder
