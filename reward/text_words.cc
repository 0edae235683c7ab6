#include "reward/text_words.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace ponder {
namespace {

struct Range {
  char32_t first;
  char32_t last;
  Script script;
};

// Letters and their marks, in ascending order; the gaps are kNone.
constexpr Range kRanges[] = {
    {'A', 'Z', Script::kLatin},          {'a', 'z', Script::kLatin},
    {0xaa, 0xaa, Script::kLatin},        {0xba, 0xba, Script::kLatin},
    {0xc0, 0xd6, Script::kLatin},        {0xd8, 0xf6, Script::kLatin},
    {0xf8, 0x24f, Script::kLatin},       {0x370, 0x3ff, Script::kGreek},
    {0x400, 0x52f, Script::kCyrillic},   {0x591, 0x5f4, Script::kHebrew},
    {0x620, 0x65f, Script::kArabic},     {0x66e, 0x6d3, Script::kArabic},
    {0x6d5, 0x6ef, Script::kArabic},     {0x6fa, 0x6ff, Script::kArabic},
    {0x750, 0x77f, Script::kArabic},     {0x8a0, 0x8ff, Script::kArabic},
    {0x900, 0x963, Script::kDevanagari}, {0x971, 0x97f, Script::kDevanagari},
    {0xe01, 0xe3a, Script::kThai},       {0xe40, 0xe4e, Script::kThai},
    {0x1100, 0x11ff, Script::kHangul},   {0x1e00, 0x1eff, Script::kLatin},
    {0x1f00, 0x1fff, Script::kGreek},    {0x3005, 0x3007, Script::kHan},
    {0x3041, 0x309f, Script::kKana},     {0x30a1, 0x30fa, Script::kKana},
    {0x30fc, 0x30ff, Script::kKana},     {0x3131, 0x318e, Script::kHangul},
    {0x3400, 0x4dbf, Script::kHan},      {0x4e00, 0x9fff, Script::kHan},
    {0xac00, 0xd7a3, Script::kHangul},   {0xf900, 0xfaff, Script::kHan},
    {0xfb1d, 0xfb4f, Script::kHebrew},   {0xfb50, 0xfdff, Script::kArabic},
    {0xfe70, 0xfefc, Script::kArabic},   {0xff21, 0xff3a, Script::kLatin},
    {0xff41, 0xff5a, Script::kLatin},    {0xff66, 0xff9f, Script::kKana},
    {0x20000, 0x3ffff, Script::kHan},
};

}  // namespace

Script ScriptOf(char32_t c) {
  const Range* range =
      std::lower_bound(std::begin(kRanges), std::end(kRanges), c,
                       [](const Range& r, char32_t x) { return r.last < x; });
  if (range == std::end(kRanges) || c < range->first) return Script::kNone;
  return range->script;
}

char32_t TakeCharacter(absl::string_view* text) {
  const auto byte = [&](size_t i) -> char32_t {
    return i < text->size() ? static_cast<unsigned char>((*text)[i]) : 0;
  };
  const char32_t first = byte(0);
  const size_t size = first < 0x80                    ? 1
                      : first >= 0xc2 && first < 0xe0 ? 2
                      : first >= 0xe0 && first < 0xf0 ? 3
                      : first >= 0xf0 && first < 0xf5 ? 4
                                                      : 0;
  char32_t c = size <= 1 ? first : first & (0xff >> (size + 1));
  bool valid = size > 0;
  for (size_t i = 1; i < size; ++i) {
    valid &= (byte(i) & 0xc0) == 0x80;
    c = c << 6 | (byte(i) & 0x3f);
  }
  // Overlong forms, surrogates and what is beyond Unicode.
  valid &= !(size == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000)));
  valid &= !(size == 4 && (c < 0x10000 || c > 0x10ffff));
  text->remove_prefix(valid ? size : 1);
  return valid ? c : 0xfffd;
}

}  // namespace ponder
