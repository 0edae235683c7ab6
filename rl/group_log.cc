#include "rl/group_log.h"

#include <cstdint>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

// The record in front of `rest`, which is left behind it; false where none is
// whole.
bool ReadRecord(absl::string_view* rest, LoggedGroup* record) {
  uint64_t size = 0;
  if (rest->size() < sizeof(size)) return false;
  std::memcpy(&size, rest->data(), sizeof(size));
  if (rest->size() - sizeof(size) < size) return false;
  const absl::string_view bytes = rest->substr(sizeof(size), size);
  if (!record->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return false;
  }
  rest->remove_prefix(sizeof(size) + size);
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GroupLog>> GroupLog::Open(
    const std::string& path, const std::string& policy) {
  auto log = std::unique_ptr<GroupLog>(new GroupLog(path, policy));
  if (std::filesystem::exists(path)) {
    PONDER_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
    absl::string_view rest = content;
    LoggedGroup record;
    while (ReadRecord(&rest, &record)) {
      if (record.policy() != policy) {
        log->found_.clear();
        log->spent_ = Spent();
        rest = content;
        break;
      }
      log->spent_ = {record.seconds(),
                     {.generation = record.generation(),
                      .reward = record.reward(),
                      .learning = record.learning()}};
      log->found_[record.group().group_id()] =
          std::move(*record.mutable_group());
      record.Clear();
    }
    // What follows is appended to whole records.
    std::error_code error;
    std::filesystem::resize_file(path, content.size() - rest.size(), error);
    if (error) return ErrnoStatus("cannot shorten", path);
  }
  log->out_.open(path, std::ios::binary | std::ios::app);
  PONDER_RETURN_IF_ERROR(log->status());
  return log;
}

bool GroupLog::Take(const Lease& lease, FinishedGroup* group) {
  auto node = found_.extract(lease.group_id());
  if (node.empty()) return false;
  const SubmitGroupRequest& record = node.mapped();
  if (record.samples_size() != lease.samples_size()) return false;
  for (int i = 0; i < lease.samples_size(); ++i) {
    if (record.samples(i).key() != lease.samples(i).key()) return false;
  }
  group->lease = lease;
  group->samples.assign(record.samples().begin(), record.samples().end());
  group->timing = record.timing();
  return true;
}

void GroupLog::Append(const FinishedGroup& group, const Spent& spent) {
  LoggedGroup record;
  record.set_policy(policy_);
  record.set_seconds(spent.seconds);
  record.set_generation(spent.phases.generation);
  record.set_reward(spent.phases.reward);
  record.set_learning(spent.phases.learning);
  SubmitGroupRequest* submitted = record.mutable_group();
  submitted->set_group_id(group.lease.group_id());
  submitted->mutable_samples()->Assign(group.samples.begin(),
                                       group.samples.end());
  *submitted->mutable_timing() = group.timing;
  const std::string bytes = record.SerializeAsString();
  const uint64_t size = bytes.size();
  out_.write(reinterpret_cast<const char*>(&size), sizeof(size));
  out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out_.flush();
}

absl::Status GroupLog::status() const {
  if (out_) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(path_, ": cannot be written; the disk may be full"));
}

}  // namespace ponder
