// Collective over c10d's Gloo backend: TCP between processes.

#ifndef PONDER_RL_GLOO_COLLECTIVE_H_
#define PONDER_RL_GLOO_COLLECTIVE_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rl/collective.h"

namespace ponder {

class GlooCollective final : public Collective {
 public:
  struct Options {
    int rank = 0;
    int size = 1;
    // Where the others find process 0, on this machine. 0 in process 0: any
    // free port, which `on_listening` is then told before anybody is waited
    // for.
    int port = 0;
    std::function<absl::Status(int port)> on_listening;
  };

  // Returns when all processes are connected; UNAVAILABLE if they are not
  // within a minute.
  static absl::StatusOr<std::unique_ptr<GlooCollective>> Create(
      const Options& options);
  ~GlooCollective() override;

  int rank() const override;
  int size() const override;
  void Sum(at::Tensor tensor) override;
  void Broadcast(at::Tensor tensor) override;

 private:
  struct Group;

  explicit GlooCollective(std::unique_ptr<Group> group);

  const std::unique_ptr<Group> group_;
};

}  // namespace ponder

#endif  // PONDER_RL_GLOO_COLLECTIVE_H_
