#include "reward/boxes.h"

#include <algorithm>

#include "reward/characters.h"
#include "reward/text_search.h"

namespace ponder {
namespace {

constexpr auto kNone = absl::string_view::npos;

}  // namespace

std::optional<Box> BoxAt(absl::string_view text, size_t begin) {
  size_t i = begin + (text.substr(begin, 2) == "\\b" ? 6 : 5);
  while (i < text.size() && text[i] == ' ') ++i;
  if (i >= text.size()) return std::nullopt;
  if (text[i] != '{') {
    // \boxed 5
    size_t end = i;
    while (end < text.size() && (IsDigit(text[end]) || text[end] == '-')) ++end;
    if (end == i) return std::nullopt;
    return Box{begin, end, text.substr(i, end - i)};
  }
  int depth = 0;
  // What is longer is no answer; its beginning stands for it.
  const size_t stop = std::min(text.size(), i + kMaxBoxBytes);
  for (size_t k = i; k < stop; ++k) {
    if (text[k] == '\\') {
      ++k;  // An escaped brace is no brace.
    } else if (text[k] == '{') {
      ++depth;
    } else if (text[k] == '}' && --depth == 0) {
      return Box{begin, k + 1, text.substr(i + 1, k - i - 1)};
    }
  }
  if (stop < text.size()) {
    return Box{begin, stop, text.substr(i + 1, stop - i - 1)};
  }
  return std::nullopt;
}

std::optional<Box> LastBox(absl::string_view text) {
  constexpr int kMaxStarts = 16;
  constexpr absl::string_view kBoxed = "\\boxed";
  constexpr absl::string_view kFbox = "\\fbox";
  int starts = 0;
  for (size_t i = text.size(); i > 3; --i) {
    // The x, which is rare, behind the o.
    if (text[i - 1] != 'x' || text[i - 2] != 'o') continue;
    const auto is_at = [&](absl::string_view name, size_t offset) {
      return i - 1 >= offset &&
             text.substr(i - 1 - offset, name.size()) == name;
    };
    const bool boxed = is_at(kBoxed, 3);
    if (!boxed && !is_at(kFbox, 4)) continue;
    const size_t begin = i - 1 - (boxed ? 3 : 4);
    const std::optional<Box> box = BoxAt(text, begin);
    if (box.has_value()) return box;
    if (++starts == kMaxStarts) break;
  }
  return std::nullopt;
}

std::optional<absl::string_view> AnswerTag(absl::string_view text) {
  constexpr absl::string_view kOpen = "<answer>";
  const size_t close = FindLast(text, "</answer>");
  if (close == kNone) return std::nullopt;
  const size_t open = FindLast(text.substr(0, close), kOpen);
  if (open == kNone) return std::nullopt;
  return text.substr(open + kOpen.size(), close - open - kOpen.size());
}

}  // namespace ponder
