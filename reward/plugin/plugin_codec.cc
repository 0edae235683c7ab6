#include "reward/plugin/plugin_codec.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/value_codec.h"
#include "reward/response_parts.h"
#include "reward/text_words.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShownBytes = 200;  // Of a line that was not understood.
constexpr size_t kMaxReasonBytes = 1000;

std::string Shortened(absl::string_view text, size_t size) {
  if (text.size() <= size) return std::string(text);
  return absl::StrCat(text.substr(0, size), "...");
}

std::string Quoted(absl::string_view text) {
  return DumpJson(Json(std::string(text)));
}

// `text` with U+FFFD for every byte that belongs to no character of UTF-8,
// surrogates included.
std::string WithValidUtf8(absl::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const absl::string_view before = text;
    const char32_t c = TakeCharacter(&text);
    if (c == 0xfffd) {
      valid.append("\xef\xbf\xbd");
    } else {
      valid.append(before.data(), before.size() - text.size());
    }
  }
  return valid;
}

std::string TextForPlugin(const ResponseToScore& response) {
  return WithValidUtf8(StripSpecialTokens(response.text()));
}

}  // namespace

std::string RequestLine(const SampleToScore& sample, int64_t id,
                        int64_t remaining) {
  const Problem& problem = *sample.problem;
  const ResponseToScore& response = *sample.response;
  Json messages = Json::array();
  for (const PromptMessage& message : problem.messages()) {
    messages.push_back(
        {{"role", message.role()}, {"content", message.content()}});
  }
  Value row;
  *row.mutable_object() = problem.row();
  const auto boolean = [](bool value) { return value ? "true" : "false"; };
  std::string line =
      absl::StrCat("{\"id\": ", id, ", \"remaining\": ", remaining,
                   ", \"problem_id\": ", Quoted(problem.id()),
                   ", \"prompt\": ", Quoted(problem.prompt()),
                   ", \"messages\": ", DumpJson(messages),
                   ", \"answer\": ", Quoted(problem.answer()),
                   ", \"row\": ", DumpJson(ValueToJson(row)),
                   ", \"response\": ", Quoted(TextForPlugin(response)),
                   ", \"truncated\": ", boolean(response.truncated()),
                   ", \"thought_opened\": ", boolean(response.thought_opened()),
                   ", \"response_ids\": [");
  for (int i = 0; i < response.ids_size(); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ", ", response.ids(i));
  }
  line.append("]}\n");
  return line;
}

absl::StatusOr<AnswerLine> ParseAnswerLine(absl::string_view line) {
  const absl::StatusOr<Json> json = ParseJson(line, "");
  if (!json.ok() || !json->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("it wrote a line that is no JSON object: ",
                     Quoted(Shortened(line, kShownBytes))));
  }
  const auto id = json->find("id");
  if (id == json->end() || !id->is_number_integer()) {
    return absl::InvalidArgumentError(
        absl::StrCat("it wrote an answer without the request's \"id\": ",
                     Quoted(Shortened(line, kShownBytes))));
  }
  AnswerLine answer;
  answer.id = id->get<int64_t>();
  const auto reason = json->find("reason");
  if (reason != json->end() && reason->is_string()) {
    answer.answer.reason = reason->get<std::string>();
  }
  const auto score = json->find("score");
  if (score == json->end()) {
    answer.answer.reason = "its answer has no \"score\"";
  } else if (IsBigInt(*score)) {
    double value = 0;
    if (absl::SimpleAtod(BigIntDigits(*score), &value)) {
      answer.answer.score = value;
    }
  } else if (score->is_number()) {
    answer.answer.score = score->get<double>();
  } else if (!score->is_null()) {
    answer.answer.reason =
        absl::StrCat("its score is not a number: ",
                     Shortened(DumpJson(*score), kShownBytes));
  }
  return answer;
}

void FillSampleToVerify(const SampleToScore& sample, SampleToVerify* out) {
  const Problem& problem = *sample.problem;
  const ResponseToScore& response = *sample.response;
  out->set_problem_id(problem.id());
  out->set_prompt(problem.prompt());
  *out->mutable_messages() = problem.messages();
  out->set_answer(problem.answer());
  *out->mutable_row() = problem.row();
  out->set_response(TextForPlugin(response));
  *out->mutable_response_ids() = response.ids();
  out->set_truncated(response.truncated());
  out->set_thought_opened(response.thought_opened());
}

VerifierScore ScoreOfAnswer(absl::string_view name, double correct_from,
                            const PluginAnswer& answer) {
  if (!answer.score.has_value()) {
    return UnscorableByPlugin(
        name, answer.reason.empty() ? "it gave no score" : answer.reason);
  }
  if (!std::isfinite(*answer.score)) {
    return UnscorableByPlugin(name,
                              absl::StrCat("its score is ", *answer.score));
  }
  VerifierScore score;
  score.value = *answer.score;
  score.flexible_correct = score.value >= correct_from;
  score.verdict = score.flexible_correct ? CORRECT : WRONG;
  score.reason =
      answer.reason.empty()
          ? absl::StrCat(name, ": score ", *answer.score)
          : absl::StrCat(name, ": ", Shortened(answer.reason, kMaxReasonBytes));
  return score;
}

VerifierScore UnscorableByPlugin(absl::string_view name,
                                 absl::string_view reason) {
  VerifierScore score;
  score.verdict = UNSCORABLE;
  score.reason =
      absl::StrCat("verifier ", name, ": ", Shortened(reason, kMaxReasonBytes));
  return score;
}

}  // namespace ponder
