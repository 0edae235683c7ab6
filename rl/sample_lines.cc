#include "rl/sample_lines.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/match.h"
#include "nlohmann/json.hpp"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// Bytes of the response's text that each token stands for; empty where the text
// is not what the tokens decode to one by one. A character of several tokens is
// counted with the first.
std::vector<size_t> TokenBytes(const Sample& sample,
                               const Tokenizer& tokenizer) {
  std::string bytes;
  std::vector<size_t> ends;
  const auto& ids = sample.response_ids();
  for (int i = 0; i < ids.size(); ++i) {
    // Behind another one: some tokenizers strip the space of a first token.
    const int first = std::max(0, i - 1);
    const std::string before =
        tokenizer.Decode({ids.data() + first, static_cast<size_t>(i - first)});
    const std::string both = tokenizer.Decode(
        {ids.data() + first, static_cast<size_t>(i + 1 - first)});
    bytes += absl::StartsWith(both, before) ? both.substr(before.size())
                                            : tokenizer.Decode({&ids[i], 1});
    ends.push_back(bytes.size());
  }
  if (ReplaceInvalidUtf8(bytes, &ends) != sample.text()) return {};
  std::vector<size_t> lengths;
  size_t begin = 0;
  for (const size_t end : ends) {
    lengths.push_back(end - begin);
    begin = end;
  }
  return lengths;
}

Json Line(const FinishedGroup& group, const Sample& sample, int64_t step,
          int64_t index, const Tokenizer& tokenizer) {
  const ScoredResponse& score = sample.score();
  const Problem& problem = group.lease.problem();
  Json line;
  line["step"] = step;
  line["group"] = index;
  line["sample"] = sample.index();
  line["data_set"] = group.lease.data_set();
  line["problem"] = problem.id();
  line["verdict"] = Verdict_Name(score.verdict());
  line["reward"] = score.has_reward() ? Json(score.reward()) : Json(nullptr);
  line["finish_reason"] = sample.finish_reason();
  line["tokens"] = sample.response_ids_size();
  line["extracted"] = score.extracted();
  line["components"] = Json::object();
  for (const ComponentScore& part : score.components()) {
    line["components"][part.name()] =
        part.has_value() ? Json(part.value()) : Json(nullptr);
  }
  line["weights"] = Json::object();
  for (const ComponentScore& part : score.components()) {
    line["weights"][part.name()] = part.weight();
    if (!part.reason().empty()) line["reasons"][part.name()] = part.reason();
  }
  line["reason"] = score.reason();
  line["answer"] = problem.answer();
  line["thought_opened"] = group.lease.thought_opened();
  line["prompt"] = problem.prompt();
  line["response"] = sample.text();
  line["token_bytes"] = TokenBytes(sample, tokenizer);
  line["logprobs"] = Json::array();
  for (const float logprob : sample.logprobs()) {
    // More digits are only noise to the eye.
    line["logprobs"].push_back(std::round(double{logprob} * 1e4) / 1e4);
  }
  return line;
}

}  // namespace

std::string SampleLines(const FinishedGroup& group, int64_t step, int64_t index,
                        const Tokenizer& tokenizer) {
  std::string text;
  for (const Sample& sample : group.samples) {
    text += Line(group, sample, step, index, tokenizer)
                .dump(-1, ' ', false, Json::error_handler_t::replace) +
            "\n";
  }
  return text;
}

}  // namespace ponder
