// Remembers verdicts on programs. A policy that learns writes the same program
// many times, and to run it again is to get the same answer.

#ifndef PONDER_REWARD_VERDICT_CACHE_H_
#define PONDER_REWARD_VERDICT_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace ponder {

// Bounded; the verdict that was not asked for the longest time is forgotten
// first. Only what does not depend on the machine's load belongs in here:
// right, wrong and failing programs, never time or memory limits, and never a
// lost sandbox. Thread-safe.
class VerdictCache {
 public:
  struct Entry {
    bool correct = false;
    std::string reason;
  };

  // SHA-256 of program, tests and limits: nobody, the policy included, can
  // find a second content with the same key.
  using Key = std::array<uint32_t, 8>;
  static Key MakeKey(absl::string_view program, absl::string_view tests,
                     absl::string_view limits);

  explicit VerdictCache(size_t capacity) : capacity_(capacity) {}

  VerdictCache(const VerdictCache&) = delete;
  VerdictCache& operator=(const VerdictCache&) = delete;

  std::optional<Entry> Find(const Key& key) ABSL_LOCKS_EXCLUDED(mu_);
  void Insert(const Key& key, Entry entry) ABSL_LOCKS_EXCLUDED(mu_);

  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct KeyHash {
    size_t operator()(const Key& key) const { return key[0]; }
  };
  using Order = std::list<std::pair<Key, Entry>>;  // Newest first.

  const size_t capacity_;
  mutable absl::Mutex mu_;
  Order order_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<Key, Order::iterator, KeyHash> places_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace ponder

#endif  // PONDER_REWARD_VERDICT_CACHE_H_
