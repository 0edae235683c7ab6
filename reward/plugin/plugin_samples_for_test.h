// Problems and responses for the tests of plug-ins.

#ifndef PONDER_REWARD_PLUGIN_PLUGIN_SAMPLES_FOR_TEST_H_
#define PONDER_REWARD_PLUGIN_PLUGIN_SAMPLES_FOR_TEST_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/value_codec.h"
#include "reward/verifier.h"

namespace ponder {

// Owns what the samples that it hands out point to.
class PluginSamples {
 public:
  // A problem of its own with the row's columns as JSON, and a response to it.
  PluginSamples& Add(absl::string_view answer, absl::string_view response,
                     absl::string_view row = "{}") {
    Problem& problem = problems_.emplace_back();
    problem.set_id(absl::StrCat("p", problems_.size()));
    problem.set_prompt("What is it?");
    problem.set_answer(std::string(answer));
    *problem.mutable_row() =
        ValueFromJson(ParseJson(row, "row").value())->object();
    ResponseToScore& to_score = responses_.emplace_back();
    to_score.set_text(std::string(response));
    to_score.add_ids(7);
    to_score.add_ids(8);
    return *this;
  }

  Problem& problem(size_t index) { return problems_[index]; }
  ResponseToScore& response(size_t index) { return responses_[index]; }
  std::vector<SampleToScore> samples() const {
    std::vector<SampleToScore> samples;
    for (size_t i = 0; i < problems_.size(); ++i) {
      samples.push_back({&problems_[i], &responses_[i]});
    }
    return samples;
  }

 private:
  std::deque<Problem> problems_;
  std::deque<ResponseToScore> responses_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_PLUGIN_SAMPLES_FOR_TEST_H_
