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
#include "rl/group_sampler.h"

namespace ponder {

// A SubmitGroupRequest behind each length (8 bytes, little-endian). Used by one
// thread.
class GroupLog {
 public:
  // Reads what is in the file, if there is one; a record at its end that was
  // not finished is dropped. RESOURCE_EXHAUSTED if it cannot be written to.
  static absl::StatusOr<std::unique_ptr<GroupLog>> Open(
      const std::string& path);

  // Takes out the group of this lease, if it is there whole, with the samples
  // that the lease asks for. Returns whether it was.
  bool Take(const Lease& lease, FinishedGroup* group);

  void Append(const FinishedGroup& group);

  // Whether all that was appended is in the file; then the file may go.
  absl::Status status() const;
  void Remove();

 private:
  explicit GroupLog(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::map<std::string, SubmitGroupRequest> found_;  // By group id.
  std::ofstream out_;
};

}  // namespace ponder

#endif  // PONDER_RL_GROUP_LOG_H_
