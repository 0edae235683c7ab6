#include "policy/text/bpe.h"

#include <algorithm>

namespace ponder {
namespace {

uint64_t PairKey(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) |
         static_cast<uint32_t>(right);
}

}  // namespace

void Bpe::AddRule(int32_t left, int32_t right, uint32_t rank, int32_t result) {
  rules_[PairKey(left, right)] = {rank, result};
}

const Bpe::Rule* Bpe::FindRule(int32_t left, int32_t right) const {
  const auto found = rules_.find(PairKey(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

void Bpe::Encode(absl::string_view piece, Scratch& scratch,
                 std::vector<int32_t>& ids) const {
  scratch.symbols.clear();
  const int32_t size = static_cast<int32_t>(piece.size());
  for (int32_t i = 0; i < size; ++i) {
    scratch.symbols.push_back({byte_ids_[static_cast<uint8_t>(piece[i])], i - 1,
                               i + 1 < size ? i + 1 : -1, /*is_alive=*/true});
  }
  MergeSymbols(scratch, ids);
}

void Bpe::Merge(absl::Span<const int32_t> symbols, Scratch& scratch,
                std::vector<int32_t>& ids) const {
  scratch.symbols.clear();
  const int32_t size = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < size; ++i) {
    scratch.symbols.push_back(
        {symbols[i], i - 1, i + 1 < size ? i + 1 : -1, /*is_alive=*/true});
  }
  MergeSymbols(scratch, ids);
}

void Bpe::MergeSymbols(Scratch& scratch, std::vector<int32_t>& ids) const {
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  std::vector<Scratch::Candidate>& heap = scratch.heap;
  const auto is_later = [](const Scratch::Candidate& a,
                           const Scratch::Candidate& b) {
    return a.order > b.order;
  };
  // Notes that symbols[left] and its right neighbour could be merged.
  const auto consider = [&](int32_t left) {
    const Scratch::Symbol& symbol = symbols[left];
    const Rule* const rule = FindRule(symbol.id, symbols[symbol.next].id);
    if (rule == nullptr) return;
    heap.push_back({(uint64_t{rule->rank} << 32) | static_cast<uint32_t>(left),
                    rule->result});
    std::push_heap(heap.begin(), heap.end(), is_later);
  };

  heap.clear();
  const int32_t size = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i + 1 < size; ++i) consider(i);

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), is_later);
    const Scratch::Candidate candidate = heap.back();
    heap.pop_back();
    const int32_t index = static_cast<int32_t>(candidate.order & 0xFFFFFFFF);
    Scratch::Symbol& left = symbols[index];
    if (!left.is_alive || left.next < 0) continue;
    Scratch::Symbol& right = symbols[left.next];
    // A candidate is out of date if its symbols have changed since. Like
    // tokenizers, tell it by the result alone.
    const Rule* const rule = FindRule(left.id, right.id);
    if (rule == nullptr || rule->result != candidate.result) continue;

    left.id = candidate.result;
    left.next = right.next;
    right.is_alive = false;
    if (left.next >= 0) {
      symbols[left.next].prev = index;
      consider(index);
    }
    if (left.prev >= 0) consider(left.prev);
  }
  for (const Scratch::Symbol& symbol : symbols) {
    if (symbol.is_alive) ids.push_back(symbol.id);
  }
}

}  // namespace ponder
