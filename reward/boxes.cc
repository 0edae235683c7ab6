#include "reward/boxes.h"

namespace ponder {
namespace {

constexpr auto kNone = absl::string_view::npos;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The box that starts at `begin` with its name's length, if it is closed.
std::optional<Box> BoxAt(absl::string_view text, size_t begin, size_t name) {
  size_t i = begin + name;
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
  for (size_t k = i; k < text.size(); ++k) {
    if (text[k] == '\\') {
      ++k;  // An escaped brace is no brace.
    } else if (text[k] == '{') {
      ++depth;
    } else if (text[k] == '}' && --depth == 0) {
      return Box{begin, k + 1, text.substr(i + 1, k - i - 1)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Box> LastBox(absl::string_view text) {
  constexpr int kMaxStarts = 16;
  size_t from = text.size();
  for (int start = 0; start < kMaxStarts; ++start) {
    const size_t boxed = text.substr(0, from).rfind("\\boxed");
    const size_t fbox = text.substr(0, from).rfind("\\fbox");
    if (boxed == kNone && fbox == kNone) break;
    const bool is_fbox = boxed == kNone || (fbox != kNone && fbox > boxed);
    const size_t begin = is_fbox ? fbox : boxed;
    const std::optional<Box> box = BoxAt(text, begin, is_fbox ? 5 : 6);
    if (box.has_value()) return box;
    from = begin;
  }
  return std::nullopt;
}

std::optional<absl::string_view> AnswerTag(absl::string_view text) {
  constexpr absl::string_view kOpen = "<answer>";
  const size_t close = text.rfind("</answer>");
  if (close == kNone) return std::nullopt;
  const size_t open = text.substr(0, close).rfind(kOpen);
  if (open == kNone) return std::nullopt;
  return text.substr(open + kOpen.size(), close - open - kOpen.size());
}

}  // namespace ponder
