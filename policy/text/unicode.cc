#include "policy/text/unicode.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "utf8proc.h"

namespace ponder {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

struct Sequence {
  size_t num_bytes = 0;  // At least 1.
  bool is_valid = false;
};

bool IsBetween(uint32_t value, uint32_t low, uint32_t high) {
  return low <= value && value <= high;
}

// The sequence at the front of a text that isn't empty: a whole one, or a
// maximal subpart of one (Unicode, table 3-7).
Sequence FirstSequence(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {1, true};
  size_t length;
  uint8_t low = 0x80;  // Bounds of the second byte.
  uint8_t high = 0xBF;
  if (IsBetween(lead, 0xC2, 0xDF)) {
    length = 2;
  } else if (IsBetween(lead, 0xE0, 0xEF)) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;   // Else it would be overlong.
    if (lead == 0xED) high = 0x9F;  // Else it would be a surrogate.
  } else if (IsBetween(lead, 0xF0, 0xF4)) {
    length = 4;
    if (lead == 0xF0) low = 0x90;   // Else it would be overlong.
    if (lead == 0xF4) high = 0x8F;  // Else it would be above U+10FFFF.
  } else {
    return {1, false};
  }
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size() || !IsBetween(byte(i), low, high)) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

}  // namespace

size_t ValidUtf8Length(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const Sequence sequence = FirstSequence(text.substr(i));
    if (!sequence.is_valid) break;
    i += sequence.num_bytes;
  }
  return i;
}

std::string ReplaceInvalidUtf8(absl::string_view bytes) {
  std::vector<size_t> none;
  return ReplaceInvalidUtf8(bytes, &none);
}

std::string ReplaceInvalidUtf8(absl::string_view bytes,
                               std::vector<size_t>* offsets) {
  std::string text;
  text.reserve(bytes.size());
  size_t read = 0;
  auto offset = offsets->begin();
  while (offset != offsets->end() && *offset == 0) ++offset;
  while (!bytes.empty()) {
    const Sequence sequence = FirstSequence(bytes);
    const absl::string_view part =
        sequence.is_valid ? bytes.substr(0, sequence.num_bytes) : kReplacement;
    text.append(part.data(), part.size());
    bytes.remove_prefix(sequence.num_bytes);
    read += sequence.num_bytes;
    for (; offset != offsets->end() && *offset <= read; ++offset) {
      *offset = text.size();
    }
  }
  return text;
}

CodePoint FirstCodePoint(absl::string_view text) {
  if (text.empty()) return {};
  utf8proc_int32_t value;
  const utf8proc_ssize_t num_bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &value);
  PONDER_CHECK(num_bytes > 0);
  return {static_cast<uint32_t>(value), static_cast<size_t>(num_bytes)};
}

CodePoint LastCodePoint(absl::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    --begin;
    if ((static_cast<uint8_t>(text[begin]) & 0xC0) != 0x80) break;
  }
  return FirstCodePoint(text.substr(begin));
}

bool IsWhiteSpace(uint32_t c) {
  return IsBetween(c, 0x09, 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || IsBetween(c, 0x2000, 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsWordCharacter(uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      // Symbols that are Alphabetic (letters in circles and squares), joiners.
      return IsBetween(c, 0x24B6, 0x24E9) || IsBetween(c, 0x1F130, 0x1F149) ||
             IsBetween(c, 0x1F150, 0x1F169) || IsBetween(c, 0x1F170, 0x1F189) ||
             c == 0x200C || c == 0x200D;
  }
}

namespace {

// The marks (combining class above 0) that Unicode has got since version 9,
// whose tables Hugging Face's tokenizers normalizes with: it neither reorders
// them nor composes across them. Found by asking it for every code point.
constexpr std::pair<uint32_t, uint32_t> kMarksSinceUnicode9[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},
    {0x9FE, 0x9FE},     {0xC3C, 0xC3C},     {0xD3B, 0xD3C},
    {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1ACE},
    {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27},
    {0x10EAB, 0x10EAC}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
    {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47},
    {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
    {0x11D97, 0x11D97}, {0x16FF0, 0x16FF1}, {0x1E130, 0x1E136},
    {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}};

bool IsMarkSinceUnicode9(uint32_t code_point) {
  if (utf8proc_get_property(static_cast<int32_t>(code_point))
          ->combining_class == 0) {
    return false;
  }
  for (const auto& [first, last] : kMarksSinceUnicode9) {
    if (code_point >= first && code_point <= last) return true;
  }
  return false;
}

// NFC of a text without such marks.
std::string ComposeNfc(absl::string_view text) {
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t num_bytes = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &composed,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  PONDER_CHECK(num_bytes >= 0);
  std::string result(reinterpret_cast<char*>(composed),
                     static_cast<size_t>(num_bytes));
  std::free(composed);
  return result;
}

}  // namespace

std::string ToNfc(absl::string_view text) {
  // Below U+0300 (UTF-8: 0xCC 0x80) everything is its own NFC.
  bool is_trivial = true;
  for (const char c : text) is_trivial &= static_cast<uint8_t>(c) < 0xCC;
  if (is_trivial) return std::string(text);

  std::string result;
  size_t begin = 0;
  size_t end = 0;
  while (end < text.size()) {
    const CodePoint c = FirstCodePoint(text.substr(end));
    if (IsMarkSinceUnicode9(c.value)) {
      absl::StrAppend(&result, ComposeNfc(text.substr(begin, end - begin)),
                      text.substr(end, c.num_bytes));
      begin = end + c.num_bytes;
    }
    end += c.num_bytes;
  }
  if (begin == 0) return ComposeNfc(text);
  absl::StrAppend(&result, ComposeNfc(text.substr(begin)));
  return result;
}

}  // namespace ponder
