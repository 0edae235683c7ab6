#include "rl/data/prompt_source.h"

#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/philox.h"

namespace ponder {

PromptSource::PromptSource(std::vector<WeightedRows> data_sets, uint64_t seed,
                           std::string stage)
    : seed_(seed), stage_(std::move(stage)) {
  PONDER_CHECK(!data_sets.empty());
  double total = 0;
  for (const WeightedRows& rows : data_sets) {
    PONDER_CHECK(rows.size > 0 && rows.weight > 0);
    total += rows.weight;
  }
  for (WeightedRows& rows : data_sets) {
    Set set;
    set.share = rows.weight / total;
    set.rows = std::move(rows);
    sets_.push_back(std::move(set));
  }
}

PromptSource::Set& PromptSource::NextSet() {
  ++drawn_;
  Set* furthest = nullptr;
  double largest = 0;
  for (Set& set : sets_) {
    const double deficit = set.share * static_cast<double>(drawn_) -
                           static_cast<double>(set.drawn);
    if (furthest != nullptr && deficit <= largest) continue;
    furthest = &set;
    largest = deficit;
  }
  ++furthest->drawn;
  return *furthest;
}

Draw PromptSource::Next() {
  Set& set = NextSet();
  const int64_t index = set.drawn - 1;
  const int64_t epoch = index / set.rows.size;
  if (epoch != set.epoch) {
    set.epoch = epoch;
    set.order.resize(static_cast<size_t>(set.rows.size));
    std::iota(set.order.begin(), set.order.end(), 0);
    RandomStream stream(StreamKey()
                            .Add(seed_)
                            .Add(stage_)
                            .Add("prompt order")
                            .Add(set.rows.name)
                            .Add(static_cast<uint64_t>(epoch))
                            .key());
    stream.Shuffle(set.order);
  }
  Draw draw;
  draw.data_set = &set - sets_.data();
  draw.row = set.order[static_cast<size_t>(index % set.rows.size)];
  draw.epoch = epoch;
  return draw;
}

void PromptSource::Seek(int64_t drawn) {
  PONDER_CHECK(drawn >= 0);
  drawn_ = 0;
  for (Set& set : sets_) set.drawn = 0;
  while (drawn_ < drawn) NextSet();
}

}  // namespace ponder
