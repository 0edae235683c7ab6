#include "reward/response_parts.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "reward/text_search.h"

namespace ponder {
namespace {

constexpr absl::string_view kOpen = "<think>";
constexpr absl::string_view kClose = "</think>";
constexpr size_t kMaxTokenBytes = 48;

// Takes "<|...|>" and the like off the end of `text`.
bool ConsumeBarredToken(absl::string_view* text, absl::string_view open,
                        absl::string_view close) {
  if (!absl::EndsWith(*text, close)) return false;
  const size_t from =
      text->size() > kMaxTokenBytes ? text->size() - kMaxTokenBytes : 0;
  const size_t start = text->substr(from).rfind(open);
  if (start == absl::string_view::npos) return false;
  *text = text->substr(0, from + start);
  return true;
}

}  // namespace

absl::string_view StripSpecialTokens(absl::string_view text) {
  while (true) {
    text = absl::StripTrailingAsciiWhitespace(text);
    if (absl::ConsumeSuffix(&text, "</s>") ||
        absl::ConsumeSuffix(&text, "<eos>") ||
        absl::ConsumeSuffix(&text, "<pad>") ||
        absl::ConsumeSuffix(&text, "<end_of_turn>") ||
        ConsumeBarredToken(&text, "<|", "|>") ||
        ConsumeBarredToken(&text, "<\xef\xbd\x9c", "\xef\xbd\x9c>")) {
      continue;
    }
    return text;
  }
}

ResponseParts SplitResponse(absl::string_view text, bool thought_opened) {
  ResponseParts parts;
  if (text.size() > kMaxResponseBytes) {
    // A thought that was opened before the cut was opened all the same.
    thought_opened = thought_opened ||
                     FindFirst(text.substr(0, text.size() - kMaxResponseBytes),
                               kOpen) != absl::string_view::npos;
    text.remove_prefix(text.size() - kMaxResponseBytes);
  }
  const size_t open = FindFirst(text, kOpen);
  const size_t close = FindLast(text, kClose);
  parts.has_thought = thought_opened || open != absl::string_view::npos ||
                      close != absl::string_view::npos;
  absl::string_view answer = text;
  if (close != absl::string_view::npos) {
    const size_t start = open < close ? open + kOpen.size() : 0;
    parts.thought = text.substr(start, close - start);
    parts.thought_closed = true;
    answer = text.substr(close + kClose.size());
  }
  if ((parts.has_thought && !parts.thought_closed) ||
      (parts.thought_closed &&
       FindFirst(answer, kOpen) != absl::string_view::npos)) {
    parts.thought_closed = false;
    return parts;
  }
  parts.answer = StripSpecialTokens(answer);
  return parts;
}

}  // namespace ponder
