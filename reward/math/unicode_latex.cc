#include "reward/math/unicode_latex.h"

#include <cstdint>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"

namespace ponder::math {
namespace {

using Writing = std::pair<char32_t, const char*>;

// LaTeX or ASCII for characters.
constexpr Writing kWritings[] = {
    // Spaces.
    {0x00a0, " "},
    {0x2002, " "},
    {0x2003, " "},
    {0x2004, " "},
    {0x2005, " "},
    {0x2006, " "},
    {0x2007, " "},
    {0x2008, " "},
    {0x2009, " "},
    {0x200a, " "},
    {0x202f, " "},
    {0x205f, " "},
    {0x3000, " "},
    // Signs of operations.
    {0x2010, "-"},
    {0x2011, "-"},
    {0x2012, "-"},
    {0x2013, "-"},
    {0x2014, "-"},
    {0x2212, "-"},
    {0xfe63, "-"},
    {0xff0d, "-"},
    {0x00d7, "\\cdot "},
    {0x22c5, "\\cdot "},
    {0x00b7, "\\cdot "},
    {0x2219, "\\cdot "},
    {0x2217, "\\cdot "},
    {0xff0a, "\\cdot "},
    {0x00f7, "\\div "},
    {0x2215, "/"},
    {0x2044, "/"},
    {0xff0f, "/"},
    {0x00b1, "\\pm "},
    {0x2213, "\\mp "},
    {0x221a, "\\sqrt "},
    {0x221b, "\\sqrt[3]"},
    {0x2211, "\\sum "},
    {0x220f, "\\prod "},
    {0x222b, "\\int "},
    {0xff0b, "+"},
    // Relations.
    {0x2264, "\\le "},
    {0x2a7d, "\\le "},
    {0x2266, "\\le "},
    {0x2265, "\\ge "},
    {0x2a7e, "\\ge "},
    {0x2267, "\\ge "},
    {0x2260, "\\ne "},
    {0x2248, "\\approx "},
    {0x2245, "\\approx "},
    {0x2261, "\\equiv "},
    {0xff1d, "="},
    {0xff1c, "<"},
    {0xff1e, ">"},
    // Sets and logic.
    {0x222a, "\\cup "},
    {0x2229, "\\cap "},
    {0x2216, "\\setminus "},
    {0x2205, "\\emptyset "},
    {0x2208, "\\in "},
    {0x2209, "\\notin "},
    {0x2223, "\\mid "},
    {0x21d2, "\\Rightarrow "},
    {0x21d4, "\\iff "},
    {0x2192, "\\to "},
    {0x2227, "\\land "},
    {0x2228, "\\lor "},
    {0x211d, "\\mathbb{R}"},
    {0x2124, "\\mathbb{Z}"},
    {0x211a, "\\mathbb{Q}"},
    {0x2115, "\\mathbb{N}"},
    {0x2102, "\\mathbb{C}"},
    // Brackets and bars.
    {0x230a, "\\lfloor "},
    {0x230b, "\\rfloor "},
    {0x2308, "\\lceil "},
    {0x2309, "\\rceil "},
    {0x27e8, "\\langle "},
    {0x3008, "\\langle "},
    {0x27e9, "\\rangle "},
    {0x3009, "\\rangle "},
    {0xff08, "("},
    {0xff09, ")"},
    {0xff3b, "["},
    {0x3010, "["},
    {0xff3d, "]"},
    {0x3011, "]"},
    {0xff5b, "\\{"},
    {0xff5d, "\\}"},
    {0xff5c, "|"},
    // Fractions.
    {0x00bd, "\\frac{1}{2}"},
    {0x00bc, "\\frac{1}{4}"},
    {0x00be, "\\frac{3}{4}"},
    {0x2153, "\\frac{1}{3}"},
    {0x2154, "\\frac{2}{3}"},
    {0x2155, "\\frac{1}{5}"},
    {0x2156, "\\frac{2}{5}"},
    {0x2157, "\\frac{3}{5}"},
    {0x2158, "\\frac{4}{5}"},
    {0x2159, "\\frac{1}{6}"},
    {0x215a, "\\frac{5}{6}"},
    {0x215b, "\\frac{1}{8}"},
    {0x215c, "\\frac{3}{8}"},
    {0x215d, "\\frac{5}{8}"},
    {0x215e, "\\frac{7}{8}"},
    // Numbers, units, marks.
    {0x221e, "\\infty "},
    {0x00b0, "^\\circ "},
    {0x2026, "\\ldots "},
    {0x22ef, "\\ldots "},
    {0x2220, "\\angle "},
    {0x20ac, "\\euro "},
    {0x00a3, "\\pounds "},
    {0x00a2, "\\text{ cents}"},
    {0xff05, "\\%"},
    {0xff04, "\\$"},
    {0x212f, "e"},
    {0x2148, "i"},
    // Punctuation.
    {0x2032, "'"},
    {0x2018, "'"},
    {0x2019, "'"},
    {0x201c, "\""},
    {0x201d, "\""},
    {0x3001, ","},
    {0xff0c, ","},
    {0x3002, "."},
    {0xff0e, "."},
    {0xff1b, ";"},
    {0xff1a, ":"},
    // Ticks, which say nothing.
    {0x2713, " "},
    {0x2714, " "},
    {0x2705, " "},
    {0x2611, " "},
};

// Null if the character stands for itself.
const char* LatexOf(char32_t code) {
  static const auto* const kLatex =
      new absl::flat_hash_map<char32_t, const char*>(std::begin(kWritings),
                                                     std::end(kWritings));
  const auto found = kLatex->find(code);
  return found == kLatex->end() ? nullptr : found->second;
}

// The ASCII character that a superscript or subscript stands for, or 0.
char SuperscriptOf(char32_t code) {
  switch (code) {
    case 0x00b9:
      return '1';
    case 0x00b2:
      return '2';
    case 0x00b3:
      return '3';
    case 0x2070:
      return '0';
    case 0x207a:
      return '+';
    case 0x207b:
      return '-';
    case 0x207f:
      return 'n';
    case 0x02e3:
      return 'x';
    default:
      return code >= 0x2074 && code <= 0x2079
                 ? static_cast<char>('4' + (code - 0x2074))
                 : 0;
  }
}
char SubscriptOf(char32_t code) {
  return code >= 0x2080 && code <= 0x2089
             ? static_cast<char>('0' + (code - 0x2080))
             : 0;
}

bool IsInvisible(char32_t code) {
  return (code >= 0x200b && code <= 0x200f) || code == 0x00ad ||
         (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
         code == 0x180e || code == 0x034f || code == 0x061c || code == 0x115f ||
         code == 0x1160 || code == 0x3164 || code == 0xffa0 ||
         (code >= 0xfe00 && code <= 0xfe0f) ||
         (code >= 0xe0000 && code <= 0xe0fff);
}

}  // namespace

Character DecodeCharacter(absl::string_view text) {
  const auto byte = [&](size_t k) {
    return k < text.size() ? static_cast<uint8_t>(text[k]) : 0u;
  };
  const auto tail = [&](size_t k) { return (byte(k) & 0xc0) == 0x80; };
  const uint32_t a = byte(0);
  if (a < 0x80) return {a, 1};
  if (a >= 0xc2 && a < 0xe0 && tail(1)) {
    return {(a & 0x1f) << 6 | (byte(1) & 0x3f), 2};
  }
  if (a >= 0xe0 && a < 0xf0 && tail(1) && tail(2)) {
    return {(a & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), 3};
  }
  if (a >= 0xf0 && a < 0xf5 && tail(1) && tail(2) && tail(3)) {
    return {(a & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 |
                (byte(3) & 0x3f),
            4};
  }
  return {0xfffd, 1};
}

const char* GreekOf(char32_t code) {
  static constexpr const char* kSmall[] = {
      "alpha",   "beta", "gamma", "delta",  "epsilon", "zeta", "eta",
      "theta",   "iota", "kappa", "lambda", "mu",      "nu",   "xi",
      "omicron", "pi",   "rho",   "sigma",  "sigma",   "tau",  "upsilon",
      "phi",     "chi",  "psi",   "omega"};
  if (code >= 0x3b1 && code <= 0x3c9) return kSmall[code - 0x3b1];
  // The capitals that are no Latin letters, and variants.
  static constexpr Writing kOthers[] = {
      {0x393, "Gamma"},  {0x394, "Delta"}, {0x398, "Theta"},
      {0x39b, "Lambda"}, {0x3a0, "Pi"},    {0x3a3, "Sigma"},
      {0x3a6, "Phi"},    {0x3a8, "Psi"},   {0x3a9, "Omega"},
      {0x2206, "Delta"}, {0x3d5, "phi"},   {0x3f5, "epsilon"}};
  for (const auto& [other, name] : kOthers) {
    if (code == other) return name;
  }
  return nullptr;
}

std::string UnicodeToLatex(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  size_t i = 0;
  char open = 0;  // '^' or '_' while in a run of raised or lowered characters.
  while (i < text.size()) {
    const Character character = DecodeCharacter(text.substr(i));
    const char raised = SuperscriptOf(character.code);
    const char lowered = SubscriptOf(character.code);
    const char wanted = raised != 0 ? '^' : lowered != 0 ? '_' : 0;
    if (wanted != open) {
      if (open != 0) out += '}';
      if (wanted != 0) {
        out += wanted;
        out += '{';
      }
      open = wanted;
    }
    if (wanted != 0) {
      out += raised != 0 ? raised : lowered;
    } else if (character.code >= 0xff10 && character.code <= 0xff19) {
      out += static_cast<char>('0' + (character.code - 0xff10));
    } else if ((character.code >= 0xff21 && character.code <= 0xff3a) ||
               (character.code >= 0xff41 && character.code <= 0xff5a)) {
      out += static_cast<char>(character.code - 0xff21 + 'A');
    } else if (character.code >= 0x1d7ce && character.code <= 0x1d7ff) {
      out += static_cast<char>('0' + (character.code - 0x1d7ce) % 10);
    } else if (character.code >= 0x1f300 && character.code <= 0x1faff) {
      out += ' ';  // An emoji.
    } else if (const char* latex =
                   character.code < 0x80 ? nullptr : LatexOf(character.code);
               latex != nullptr) {
      out += latex;
    } else {
      out.append(text.data() + i, character.size);
    }
    i += character.size;
  }
  if (open != 0) out += '}';
  return out;
}

bool HasInvisibleCharacters(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = text[i];
    if (c < 0x80) {
      if (c < 0x20 && !absl::ascii_isspace(c)) return true;
      if (c == 0x7f) return true;
      ++i;
      continue;
    }
    const Character character = DecodeCharacter(text.substr(i));
    if (IsInvisible(character.code)) return true;
    i += character.size;
  }
  return false;
}

}  // namespace ponder::math
