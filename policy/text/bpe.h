// Byte-pair encoding of one piece of text.

#ifndef PONDER_POLICY_TEXT_BPE_H_
#define PONDER_POLICY_TEXT_BPE_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ponder {

// Sennrich et al., arXiv:1508.07909, as Hugging Face's tokenizers does it: the
// neighbouring pair with the lowest rank is merged first, the leftmost of
// equals, until no neighbours have a rule. Thread-safe.
class Bpe {
 public:
  // Buffers to use again from piece to piece. For one thread at a time.
  class Scratch {
   private:
    friend class Bpe;
    struct Symbol {
      int32_t id;
      int32_t prev;   // Index, -1 at the begin.
      int32_t next;   // Index, -1 at the end.
      bool is_alive;  // False once merged into its left neighbour.
    };
    struct Candidate {
      uint64_t order;  // Rank, then index of the left symbol.
      int32_t result;  // Id.
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  explicit Bpe(const std::array<int32_t, 256>& byte_ids)
      : byte_ids_(byte_ids) {}

  // Neighbours `left` `right` become `result`. A second rule for the same pair
  // replaces the first.
  void AddRule(int32_t left, int32_t right, uint32_t rank, int32_t result);

  // Appends the ids of `piece` (any bytes, less than 2 GiB), each byte a symbol
  // at first, in time O(n log n).
  void Encode(absl::string_view piece, Scratch& scratch,
              std::vector<int32_t>& ids) const;

  // The same for symbols that are tokens already.
  void Merge(absl::Span<const int32_t> symbols, Scratch& scratch,
             std::vector<int32_t>& ids) const;

 private:
  struct Rule {
    uint32_t rank;
    int32_t result;
  };

  const Rule* FindRule(int32_t left, int32_t right) const;
  // Merges scratch.symbols.
  void MergeSymbols(Scratch& scratch, std::vector<int32_t>& ids) const;

  const std::array<int32_t, 256> byte_ids_;
  absl::flat_hash_map<uint64_t, Rule> rules_;  // By both ids.
};

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_BPE_H_
