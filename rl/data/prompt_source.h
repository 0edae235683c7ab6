// PromptSource draws prompts without end from several data sets.
//
// Each set is gone through in a new order every epoch; the sets take turns so
// that after any number of draws each has had its share to within a prompt or
// two. Draw n is a function of the arguments and of n, so the state to save is
// one number.

#ifndef PONDER_RL_DATA_PROMPT_SOURCE_H_
#define PONDER_RL_DATA_PROMPT_SOURCE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ponder {

struct WeightedRows {
  std::string name;  // Of the data set; part of the key of its shuffles.
  int64_t size = 0;  // Rows; at least 1.
  double weight = 1;
};

struct Draw {
  int64_t data_set = 0;
  int64_t row = 0;    // In the data set.
  int64_t epoch = 0;  // Of the data set, from 0.
};

// Not thread-safe.
class PromptSource {
 public:
  PromptSource(std::vector<WeightedRows> data_sets, uint64_t seed,
               std::string stage);

  Draw Next();

  // Prompts drawn so far, and to go on from there. Seek() takes time in
  // proportion to `drawn`: a second for 100 million draws.
  int64_t drawn() const { return drawn_; }
  void Seek(int64_t drawn);

 private:
  struct Set {
    WeightedRows rows;
    double share = 0;    // Of all draws.
    int64_t drawn = 0;   // From this set.
    int64_t epoch = -1;  // That `order` is for.
    std::vector<int64_t> order;
  };

  // The set that is furthest behind its share, which counts the draw.
  Set& NextSet();

  const uint64_t seed_;
  const std::string stage_;
  std::vector<Set> sets_;
  int64_t drawn_ = 0;
};

}  // namespace ponder

#endif  // PONDER_RL_DATA_PROMPT_SOURCE_H_
