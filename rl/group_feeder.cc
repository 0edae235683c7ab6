#include "rl/group_feeder.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace ponder {

GroupFeeder::GroupFeeder(GroupSampler* sampler, const Options& options,
                         DrawLease draw, CountDrawn drawn, HasSpread has_spread)
    : sampler_(sampler),
      options_(options),
      draw_(std::move(draw)),
      drawn_(std::move(drawn)),
      has_spread_(std::move(has_spread)),
      steps_done_(options.steps_done),
      admitted_(options.steps_done * options.prompts_per_step) {}

GroupFeeder::~GroupFeeder() {
  std::vector<std::string> ids;
  for (const Pending& pending : pending_) ids.push_back(pending.id);
  sampler_->Cancel(ids);
}

int64_t GroupFeeder::cursor() const {
  return pending_.empty() ? drawn_() : pending_.front().drawn_before;
}

int64_t GroupFeeder::Limit() const {
  return (steps_done_ + 1 + options_.max_staleness) * options_.prompts_per_step;
}

absl::Status GroupFeeder::AdmitUpTo(int64_t limit) {
  std::vector<Lease> leases;
  for (; admitted_ < limit; ++admitted_) {
    const int64_t drawn_before = drawn_();
    PONDER_ASSIGN_OR_RETURN(Lease lease, draw_());
    pending_.push_back({lease.group_id(), drawn_before, std::nullopt});
    leases.push_back(std::move(lease));
  }
  if (!leases.empty()) sampler_->Enqueue(std::move(leases));
  return absl::OkStatus();
}

absl::Status GroupFeeder::WaitUntil(const std::function<bool()>& done) {
  const auto find = [this](const std::string& id) {
    return std::find_if(pending_.begin(), pending_.end(),
                        [&](const Pending& p) { return p.id == id; });
  };
  while (!done()) {
    PONDER_ASSIGN_OR_RETURN(FinishedGroup group,
                            sampler_->Wait([&](const std::string& id) {
                              return find(id) != pending_.end();
                            }));
    find(group.lease.group_id())->group = std::move(group);
  }
  return absl::OkStatus();
}

void GroupFeeder::Take(FinishedGroup group, int64_t policy_version,
                       StepGroups* step) const {
  // What dynamic sampling carries over is a step older.
  const int64_t max_age = std::max<int64_t>(1, options_.max_staleness);
  if (policy_version - group.lease.policy_version() > max_age) {
    ++step->too_old;
  } else if (options_.max_rounds > 0 && !has_spread_(group)) {
    step->without_spread.push_back(std::move(group));
  } else {
    step->groups.push_back(std::move(group));
  }
}

absl::Status GroupFeeder::TakeInOrder(int64_t policy_version,
                                      StepGroups* step) {
  const bool dynamic = options_.max_rounds > 0;
  const int64_t wanted = options_.prompts_per_step;
  while (static_cast<int64_t>(step->groups.size()) < wanted) {
    if (dynamic && static_cast<int64_t>(step->without_spread.size()) >=
                       options_.max_rounds * options_.round_prompts) {
      step->too_few = true;
      return absl::OkStatus();
    }
    if (pending_.empty()) {
      PONDER_RETURN_IF_ERROR(
          AdmitUpTo(dynamic ? admitted_ + options_.round_prompts : Limit()));
    }
    PONDER_RETURN_IF_ERROR(
        WaitUntil([this] { return pending_.front().group.has_value(); }));
    FinishedGroup group = *std::move(pending_.front().group);
    pending_.pop_front();
    const size_t before = step->groups.size();
    Take(std::move(group), policy_version, step);
    if (step->groups.size() > before) continue;
    --admitted_;
    // Without asynchrony, further prompts are given out a round at a time.
    if (options_.max_staleness > 0) PONDER_RETURN_IF_ERROR(AdmitUpTo(Limit()));
  }
  return absl::OkStatus();
}

absl::Status GroupFeeder::TakeFirstFinished(StepGroups* step) {
  const auto is_finished = [](const Pending& p) { return p.group.has_value(); };
  PONDER_RETURN_IF_ERROR(WaitUntil([&] {
    return std::count_if(pending_.begin(), pending_.end(), is_finished) >=
           options_.prompts_per_step;
  }));
  std::vector<std::string> stragglers;
  for (Pending& pending : pending_) {
    if (is_finished(pending)) {
      step->groups.push_back(*std::move(pending.group));
    } else {
      stragglers.push_back(pending.id);
    }
  }
  step->cancelled = static_cast<int64_t>(stragglers.size());
  sampler_->Cancel(stragglers);
  pending_.clear();
  return absl::OkStatus();
}

absl::StatusOr<StepGroups> GroupFeeder::Next(int64_t policy_version) {
  StepGroups step;
  if (admitted_ < Limit()) {
    const int64_t round = options_.max_rounds > 0 && options_.max_staleness == 0
                              ? admitted_ + options_.round_prompts
                              : 0;
    PONDER_RETURN_IF_ERROR(
        AdmitUpTo(std::max(Limit() + options_.extra_prompts, round)));
  }
  PONDER_RETURN_IF_ERROR(options_.extra_prompts > 0
                             ? TakeFirstFinished(&step)
                             : TakeInOrder(policy_version, &step));
  ++steps_done_;
  step.carried_over = std::count_if(
      pending_.begin(), pending_.end(),
      [](const Pending& pending) { return pending.group.has_value(); });
  // As if a step that found too few, or one with extra prompts, had had its
  // share.
  admitted_ = steps_done_ * options_.prompts_per_step +
              static_cast<int64_t>(pending_.size());
  return step;
}

}  // namespace ponder
