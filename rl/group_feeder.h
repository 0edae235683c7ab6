// GroupFeeder decides which prompts are given out when, and which groups a step
// learns from.
//
// Prompts are learnt from in the order in which they were drawn. One more is
// given out only while
//
//   admitted < (steps_done + 1 + max_staleness) * prompts_per_step
//
// the admission rule of AReaL (arXiv:2505.24298, sec. 5.1), in prompts. With
// this order it makes max_staleness a bound: a group of step k was given out
// when the policy was at most max_staleness steps older.

#ifndef PONDER_RL_GROUP_FEEDER_H_
#define PONDER_RL_GROUP_FEEDER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rl/group_sampler.h"

namespace ponder {

// What a step learns from, and how it came to be.
struct StepGroups {
  std::vector<FinishedGroup> groups;
  std::vector<FinishedGroup> without_spread;  // Dropped by dynamic sampling.
  int64_t too_old = 0;       // Dropped: their policy is too old.
  int64_t cancelled = 0;     // Stragglers.
  int64_t carried_over = 0;  // Finished and left for later steps.
  bool too_few = false;      // Dynamic sampling ran out of rounds.
};

// Used by one thread.
class GroupFeeder {
 public:
  struct Options {
    int64_t prompts_per_step = 1;
    int64_t extra_prompts =
        0;  // Given out, and cancelled when enough are there.
    int64_t max_staleness = 0;
    // Dynamic sampling: groups without spread are replaced, at most
    // max_rounds * round_prompts of them in a step. 0 rounds: it is off.
    int64_t round_prompts = 1;
    int64_t max_rounds = 0;
    int64_t steps_done = 0;  // Of the stage, before.
  };

  // The next prompt's lease, with a group id that is new.
  using DrawLease = std::function<absl::StatusOr<Lease>()>;
  // How many prompts were drawn so far.
  using CountDrawn = std::function<int64_t()>;
  using HasSpread = std::function<bool(const FinishedGroup&)>;

  // `sampler` is not owned and outlives this object.
  GroupFeeder(GroupSampler* sampler, const Options& options, DrawLease draw,
              CountDrawn drawn, HasSpread has_spread);
  // Cancels what is still out.
  ~GroupFeeder();

  GroupFeeder(const GroupFeeder&) = delete;
  GroupFeeder& operator=(const GroupFeeder&) = delete;

  // The groups of the next step, in the order in which they were drawn.
  // `policy_version` is the newest; a step publishes one. Blocks.
  absl::StatusOr<StepGroups> Next(int64_t policy_version);

  // Prompts drawn up to the first that was not learnt from, dropped or
  // cancelled: where a resumed stage goes on.
  int64_t cursor() const;

 private:
  struct Pending {
    std::string id;
    int64_t drawn_before = 0;
    std::optional<FinishedGroup> group;  // Once it came back.
  };

  // Gives out prompts until `limit` were admitted.
  absl::Status AdmitUpTo(int64_t limit);
  // Waits until `done` says that enough came back.
  absl::Status WaitUntil(const std::function<bool()>& done);
  absl::Status TakeInOrder(int64_t policy_version, StepGroups* step);
  absl::Status TakeFirstFinished(StepGroups* step);
  // Puts the group where it belongs in the step: learnt from, or why not.
  void Take(FinishedGroup group, int64_t policy_version,
            StepGroups* step) const;
  // How many may be admitted by now.
  int64_t Limit() const;

  GroupSampler* const sampler_;
  const Options options_;
  const DrawLease draw_;
  const CountDrawn drawn_;
  const HasSpread has_spread_;
  std::deque<Pending> pending_;  // In the order in which they were drawn.
  int64_t steps_done_;
  int64_t admitted_;  // Net of what was dropped.
};

}  // namespace ponder

#endif  // PONDER_RL_GROUP_FEEDER_H_
