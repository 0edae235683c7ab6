// Groups of samples that have come back, in a file: a stage that is stopped
// while it samples goes on with them.

#ifndef PONDER_RL_GROUP_LOG_H_
#define PONDER_RL_GROUP_LOG_H_

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "monitor/cost.h"
#include "rl/group_sampler.h"

namespace ponder {

// A LoggedGroup behind each length (8 bytes, little-endian). Used by one
// thread.
class GroupLog {
 public:
  // What the stage has taken: seconds, and core-seconds by phase.
  struct Spent {
    double seconds = 0;
    PhaseSeconds phases;
  };

  // Reads what is in the file, if there is one; a record at its end that was
  // not finished is dropped, and so is all that other weights than `policy`
  // (their checksum) gave. RESOURCE_EXHAUSTED if it cannot be written to.
  static absl::StatusOr<std::unique_ptr<GroupLog>> Open(
      const std::string& path, const std::string& policy);

  // What had been taken when the last group of the file was written.
  const Spent& spent() const { return spent_; }

  // Takes out the group of this lease, if it is there with the samples that the
  // lease asks for. Returns whether it was.
  bool Take(const Lease& lease, FinishedGroup* group);

  void Append(const FinishedGroup& group, const Spent& spent);

  // Whether all that was appended is in the file.
  absl::Status status() const;

 private:
  GroupLog(std::string path, std::string policy)
      : path_(std::move(path)), policy_(std::move(policy)) {}

  const std::string path_;
  const std::string policy_;
  std::map<std::string, SubmitGroupRequest> found_;  // By group id.
  Spent spent_;
  std::ofstream out_;
};

}  // namespace ponder

#endif  // PONDER_RL_GROUP_LOG_H_
