#include "reward/format_verifier.h"

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "reward/response_parts.h"

namespace ponder {
namespace {

constexpr absl::string_view kOpen = "<think>";
constexpr absl::string_view kClose = "</think>";
constexpr absl::string_view kAnswerOpen = "<answer>";
constexpr absl::string_view kAnswerClose = "</answer>";
constexpr auto kNone = absl::string_view::npos;

int Count(absl::string_view text, absl::string_view tag) {
  int count = 0;
  for (size_t at = text.find(tag); at != kNone && count < 2;
       at = text.find(tag, at + tag.size())) {
    ++count;
  }
  return count;
}

// Of what comes behind the thought, without special tokens.
FormatResult VerifyTaggedAnswer(absl::string_view text) {
  if (Count(text, kAnswerOpen) != 1)
    return {false, "there must be one <answer>"};
  if (Count(text, kAnswerClose) != 1) {
    return {false, "there must be one </answer>"};
  }
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&text, kAnswerOpen)) {
    return {false, "there is text between </think> and <answer>"};
  }
  if (!absl::ConsumeSuffix(&text, kAnswerClose)) {
    return {false, "there is text behind </answer>"};
  }
  if (absl::StripAsciiWhitespace(text).empty()) {
    return {false, "there is nothing between <answer> and </answer>"};
  }
  return {true, "a thought, then an answer in its tags"};
}

}  // namespace

FormatResult VerifyFormat(absl::string_view response, bool thought_opened,
                          bool answer_tags) {
  if (response.size() > kMaxResponseBytes) {
    return {false, "the response is beyond the limits"};
  }
  if (Count(response, kOpen) != (thought_opened ? 0 : 1)) {
    return {false, thought_opened
                       ? "the prompt opened the thought, the response must not"
                       : "there must be one <think>"};
  }
  if (Count(response, kClose) != 1) {
    return {false, "there must be one </think>"};
  }
  const size_t close = response.find(kClose);
  if (!thought_opened) {
    const size_t open = response.find(kOpen);
    if (open > close) return {false, "</think> comes before <think>"};
    if (!absl::StripAsciiWhitespace(response.substr(0, open)).empty()) {
      return {false, "there is text before <think>"};
    }
  }
  const absl::string_view answer =
      StripSpecialTokens(response.substr(close + kClose.size()));
  if (answer_tags) {
    // In the thought they would be a second pair.
    if (Count(response.substr(0, close), kAnswerOpen) > 0) {
      return {false, "<answer> comes before </think>"};
    }
    return VerifyTaggedAnswer(answer);
  }
  if (absl::StripAsciiWhitespace(answer).empty()) {
    return {false, "there is no answer after </think>"};
  }
  return {true, "a thought, then an answer"};
}

}  // namespace ponder
