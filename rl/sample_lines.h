// A sample as a line of samples/STAGE.jsonl (docs/formats.md), which `ponder
// view` shows.

#ifndef PONDER_RL_SAMPLE_LINES_H_
#define PONDER_RL_SAMPLE_LINES_H_

#include <cstdint>
#include <string>

#include "policy/text/tokenizer.h"
#include "rl/group_sampler.h"

namespace ponder {

// The samples of one group, a line each. `index`: of the group in its step.
// What an index of many samples needs stands in front of the texts.
std::string SampleLines(const FinishedGroup& group, int64_t step, int64_t index,
                        const Tokenizer& tokenizer);

}  // namespace ponder

#endif  // PONDER_RL_SAMPLE_LINES_H_
