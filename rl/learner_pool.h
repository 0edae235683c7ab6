// The learner processes of a run: the trainer's own and its children, which
// share the sequences of each update.

#ifndef PONDER_RL_LEARNER_POOL_H_
#define PONDER_RL_LEARNER_POOL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rl/child_process.h"
#include "rl/gloo_collective.h"
#include "rl/learner.h"

namespace ponder {

// Process 0's side. Used by one thread.
class LearnerPool {
 public:
  struct Options {
    int processes = 1;        // This one among them.
    int threads = 1;          // Of each child.
    std::string run_folder;   // For logs.
    std::string config_json;  // Of the policy: the content of config.json.
  };

  // Starts the children. Null if there are none to start.
  static absl::StatusOr<std::unique_ptr<LearnerPool>> Start(
      const Options& options);
  // Tells the children that there is nothing more to do.
  ~LearnerPool();

  LearnerPool(const LearnerPool&) = delete;
  LearnerPool& operator=(const LearnerPool&) = delete;

  // Names and ids of the children.
  std::vector<std::pair<std::string, int>> Processes() const;

  // A learner that has the children do their share of its updates, from these
  // weights on. One at a time: an earlier one must be gone.
  absl::StatusOr<std::unique_ptr<Learner>> CreateLearner(
      const ModelConfig& config, TensorMap weights, Learner::Options options);

 private:
  explicit LearnerPool(const Options& options) : options_(options) {}

  const Options options_;
  std::vector<std::unique_ptr<ChildProcess>> children_;
  std::unique_ptr<GlooCollective> collective_;
};

// A child's life: connects to process 0 at `port` of this machine and takes
// part in its learners' updates until it says that there is nothing more.
absl::Status ServeLearner(int rank, int size, int port);

}  // namespace ponder

#endif  // PONDER_RL_LEARNER_POOL_H_
