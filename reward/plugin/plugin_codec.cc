#include "reward/plugin/plugin_codec.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/value_codec.h"
#include "reward/response_parts.h"

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

// Length of the character that `text` begins with; 0 if it is none.
size_t CharacterBytes(absl::string_view text) {
  const auto byte = [&](size_t i) -> uint8_t {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : 0;
  };
  const uint8_t first = byte(0);
  const size_t size = first < 0x80                    ? 1
                      : first >= 0xc2 && first < 0xe0 ? 2
                      : first >= 0xe0 && first < 0xf0 ? 3
                      : first >= 0xf0 && first < 0xf5 ? 4
                                                      : 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what is beyond U+10FFFF.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return size;
}

std::string TextForPlugin(const ResponseToScore& response) {
  return ReplaceInvalidUtf8(StripSpecialTokens(response.text()));
}

}  // namespace

std::string ReplaceInvalidUtf8(absl::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const size_t size = CharacterBytes(text);
    valid.append(size == 0 ? "\xef\xbf\xbd" : text.data(),
                 size == 0 ? 3 : size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return valid;
}

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
