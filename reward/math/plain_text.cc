#include "reward/math/plain_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "reward/characters.h"
#include "reward/math/unicode_latex.h"

namespace ponder::math {
namespace {

// Commands whose braces hold text.
constexpr absl::string_view kTextCommands[] = {
    "\\text",   "\\textbf",       "\\textit",    "\\textrm", "\\mbox",
    "\\mathrm", "\\mathbf",       "\\mathit",    "\\hbox",   "\\emph",
    "\\rm",     "\\operatorname", "\\textnormal"};

// Takes "an " off "an ellipse".
bool ConsumeArticle(absl::string_view* text) {
  for (const absl::string_view article : {"a ", "an ", "the "}) {
    if (!absl::StartsWithIgnoreCase(*text, article)) continue;
    const absl::string_view rest = text->substr(article.size());
    if (rest.size() < 3 || !IsLetter(rest[0]) || !IsLetter(rest[1]) ||
        !IsLetter(rest[2])) {
      continue;
    }
    *text = rest;
    return true;
  }
  return false;
}

struct Word {
  absl::string_view name;
  int64_t value;
};

constexpr Word kSmall[] = {
    {"zero", 0},     {"one", 1},        {"two", 2},       {"three", 3},
    {"four", 4},     {"five", 5},       {"six", 6},       {"seven", 7},
    {"eight", 8},    {"nine", 9},       {"ten", 10},      {"eleven", 11},
    {"twelve", 12},  {"thirteen", 13},  {"fourteen", 14}, {"fifteen", 15},
    {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19},
    {"twenty", 20},  {"thirty", 30},    {"forty", 40},    {"fifty", 50},
    {"sixty", 60},   {"seventy", 70},   {"eighty", 80},   {"ninety", 90}};

constexpr Word kLarge[] = {{"thousand", 1000},
                           {"million", 1000000},
                           {"billion", 1000000000},
                           {"trillion", 1000000000000}};

constexpr Word kParts[] = {{"half", 2},       {"halves", 2},  {"third", 3},
                           {"quarter", 4},    {"fourth", 4},  {"fifth", 5},
                           {"sixth", 6},      {"seventh", 7}, {"eighth", 8},
                           {"ninth", 9},      {"tenth", 10},  {"twelfth", 12},
                           {"hundredth", 100}};

std::optional<int64_t> Find(absl::Span<const Word> words,
                            absl::string_view name) {
  for (const Word& word : words) {
    if (word.name == name) return word.value;
  }
  return std::nullopt;
}

// Reads a whole number below a thousand: "two hundred and five".
bool Group(const std::vector<absl::string_view>& words, size_t* i,
           int64_t* value) {
  const auto small = [&](size_t k) -> int64_t {
    if (k >= words.size()) return -1;
    return Find(kSmall, words[k]).value_or(-1);
  };
  int64_t total = 0;
  bool any = false;
  if (small(*i) >= 1 && small(*i) < 10 && *i + 1 < words.size() &&
      words[*i + 1] == "hundred") {
    total = small(*i) * 100;
    *i += 2;
    any = true;
    if (*i + 1 < words.size() && words[*i] == "and" && small(*i + 1) > 0) ++*i;
  }
  const int64_t tens = small(*i);
  if (tens > 0 || (tens == 0 && !any)) {
    total += tens;
    ++*i;
    any = true;
    if (tens >= 20 && small(*i) >= 1 && small(*i) < 10) {
      total += small(*i);
      ++*i;
    }
  }
  *value = total;
  return any;
}

// Reads a whole number from `words[*i]` on. False if there is none.
bool WholeNumber(const std::vector<absl::string_view>& words, size_t* i,
                 int64_t* value) {
  int64_t total = 0;
  int64_t smallest = int64_t{1} << 60;  // Scales fall.
  bool any = false;
  while (smallest > 1 && *i < words.size()) {
    size_t next = *i;
    int64_t group = 0;
    if (!Group(words, &next, &group)) break;
    const std::optional<int64_t> large =
        next < words.size() ? Find(kLarge, words[next]) : std::nullopt;
    const int64_t scale = large.value_or(1);
    if (scale >= smallest) break;
    *i = next + (large.has_value() ? 1 : 0);
    total += group * scale;
    smallest = scale;
    any = true;
  }
  *value = total;
  return any;
}

std::optional<int64_t> PartsOf(absl::string_view word) {
  std::optional<int64_t> parts = Find(kParts, word);
  if (!parts.has_value() && absl::ConsumeSuffix(&word, "s")) {
    parts = Find(kParts, word);
  }
  return parts;
}

}  // namespace

std::string NormalText(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const std::string latex = UnicodeToLatex(text);
  absl::string_view rest = latex;
  std::string out;
  out.reserve(rest.size());
  std::vector<bool> dropped;   // Of the open braces: whether they are left out.
  bool after_command = false;  // Of text: its braces are left out.
  bool space = false;
  const auto append = [&](char c) {
    // "1 2" is not "12".
    const char before = out.empty() ? ' ' : out.back();
    if (space && ((IsDigit(before) && (IsDigit(c) || c == '.')) ||
                  (before == ',' && IsDigit(c)))) {
      out += ' ';
    }
    space = false;
    out += c;
  };
  while (!rest.empty()) {
    if (out.empty() && ConsumeArticle(&rest)) continue;
    const char c = rest[0];
    if (c == '\\') {
      const absl::string_view* command = std::find_if(
          std::begin(kTextCommands), std::end(kTextCommands),
          [&](absl::string_view name) {
            return absl::StartsWith(rest, name) &&
                   (rest.size() == name.size() || !IsLetter(rest[name.size()]));
          });
      if (command != std::end(kTextCommands)) {
        rest.remove_prefix(command->size());
        space = true;
        after_command = true;
        continue;
      }
      if (rest.size() > 1 && absl::StrContains(",;:! ", rest.substr(1, 1))) {
        rest.remove_prefix(2);
        space = true;
        continue;
      }
      if (absl::StartsWith(rest, "\\$")) {
        rest.remove_prefix(2);
        continue;
      }
      append(c);
      rest.remove_prefix(1);
      // An escaped brace is no brace.
      if (!rest.empty() && !IsLetter(rest[0])) {
        append(rest[0]);
        rest.remove_prefix(1);
      }
      continue;
    }
    rest.remove_prefix(1);
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '~') {
      space = true;
      continue;
    }
    if (c == '{') {
      dropped.push_back(after_command);
      after_command = false;
      if (!dropped.back()) append(c);
      continue;
    }
    if (c == '}') {
      const bool drop = !dropped.empty() && dropped.back();
      if (!dropped.empty()) dropped.pop_back();
      if (!drop) append(c);
      continue;
    }
    after_command = false;
    if (c != '$' && c != '"') append(c);
  }
  absl::string_view view = out;
  while (absl::ConsumePrefix(&view, "**") || absl::ConsumeSuffix(&view, "**")) {
  }
  // A full stop, but not three.
  if (!absl::EndsWith(view, "..")) {
    if (!absl::ConsumeSuffix(&view, ".")) absl::ConsumeSuffix(&view, ",");
  }
  if (view.size() > 2 && view.front() == '\'' && view.back() == '\'') {
    view = view.substr(1, view.size() - 2);
  }
  // (C) and C)
  if (view.size() == 3 && view[0] == '(' && view[2] == ')' &&
      IsLetter(view[1])) {
    view = view.substr(1, 1);
  } else if (view.size() == 2 && view[1] == ')' && IsLetter(view[0])) {
    view = view.substr(0, 1);
  }
  if (view.empty()) return "";
  std::string normal(view);
  const size_t letters = std::count_if(normal.begin(), normal.end(), IsLetter);
  const bool rest_lower =
      std::all_of(normal.begin() + 1, normal.end(), absl::ascii_islower);
  const bool upper =
      std::all_of(normal.begin(), normal.end(), absl::ascii_isupper);
  if (letters > 1 && letters == normal.size() &&
      (rest_lower || (upper ? normal.size() > 3 : normal.size() > 4))) {
    absl::AsciiStrToLower(&normal);
  }
  return normal;
}

bool DeniesOrHedges(absl::string_view text) {
  static constexpr absl::string_view kWords[] = {
      "minus",      "plus",        "times",     "squared",    "cubed",
      "over",       "divided",     "by",        "not",        "no",
      "nor",        "never",       "less",      "more",       "root",
      "wrong",      "incorrect",   "false",     "factorial",  "mod",
      "to",         "but",         "maybe",     "perhaps",    "possibly",
      "probably",   "than",        "otherwise", "is",         "isnt",
      "isn't",      "isn",         "are",       "arent",      "aren't",
      "if",         "when",        "unless",    "except",     "negative",
      "score",      "power",       "doubled",   "tripled",    "either",
      "neither",    "or",          "and",       "instead",    "rather",
      "almost",     "nearly",      "cannot",    "can't",      "cant",
      "dont",       "don't",       "without",   "actually",   "double",
      "twice",      "half",        "dozen",     "dozens",     "tens",
      "hundreds",   "thousands",   "millions",  "billions",   "trillions",
      "nines",      "zeros",       "zeroes",    "ones",       "twos",
      "gross",      "grand",       "lakh",      "lakhs",      "crore",
      "crores",     "zillion",     "imaginary", "inverse",    "theta",
      "radical",    "radicals",    "pi",        "alpha",      "beta",
      "thousandth", "thousandths", "millionth", "millionths", "th",
      "below",      "above",       "infinity",  "the",        "halves",
      "quarter",    "quarters",    "unknown",   "any"};
  const std::string lower = absl::AsciiStrToLower(text);
  for (const absl::string_view word :
       absl::StrSplit(lower, absl::ByAnyChar(" -(),;."), absl::SkipEmpty())) {
    if (std::find(std::begin(kWords), std::end(kWords), word) !=
        std::end(kWords)) {
      return true;
    }
    const bool is_time = word == "second" || word == "seconds";
    if (!is_time &&
        (Find(kSmall, word).has_value() || Find(kLarge, word).has_value() ||
         PartsOf(word).has_value())) {
      return true;
    }
  }
  return false;
}

std::optional<Rational> NumberInWords(absl::string_view text) {
  if (text.size() > 200 || absl::StrContains(text, ",")) return std::nullopt;
  const std::string lower = absl::AsciiStrToLower(text);
  std::vector<absl::string_view> words =
      absl::StrSplit(lower, absl::ByAnyChar(" -{}$\\."), absl::SkipEmpty());
  words.erase(std::remove_if(words.begin(), words.end(),
                             [](absl::string_view word) {
                               return word == "text" || word == "textbf" ||
                                      word == "mbox";
                             }),
              words.end());
  if (words.empty()) return std::nullopt;
  size_t i = 0;
  bool negative = false;
  if (words[0] == "negative" || words[0] == "minus") {
    negative = true;
    ++i;
  }
  int64_t whole = 0;
  int64_t above = 0;
  int64_t below = 1;
  const size_t first = i;
  if (i < words.size() && (words[i] == "a" || words[i] == "an")) {
    above = 1;
    ++i;
    const std::optional<int64_t> large =
        i < words.size() ? Find(kLarge, words[i]) : std::nullopt;
    if (i + 1 == words.size() &&
        (large.has_value() || words[i] == "hundred" || words[i] == "dozen")) {
      const int64_t number = large.value_or(words[i] == "dozen" ? 12 : 100);
      return Rational(negative ? -number : number);
    }
  } else if (!WholeNumber(words, &i, &above)) {
    if (i < words.size() && PartsOf(words[i]).has_value()) {
      above = 1;  // "half"
    } else {
      return std::nullopt;
    }
  }
  if (i < words.size() && words[i] == "and" && i > first) {
    // three and a half
    whole = above;
    ++i;
    if (i < words.size() && (words[i] == "a" || words[i] == "an")) {
      above = 1;
      ++i;
    } else if (!WholeNumber(words, &i, &above)) {
      return std::nullopt;
    }
    if (i >= words.size()) return std::nullopt;
  }
  if (i < words.size()) {
    const std::optional<int64_t> parts = PartsOf(words[i]);
    if (!parts.has_value()) return std::nullopt;
    below = *parts;
    ++i;
  } else if (first < words.size() &&
             (words[first] == "a" || words[first] == "an")) {
    return std::nullopt;
  }
  if (i != words.size()) return std::nullopt;
  Rational value(above);
  const Rational parts(below);
  fmpq_div(value.get(), value.get(), parts.get());
  const Rational integer(whole);
  fmpq_add(value.get(), value.get(), integer.get());
  if (negative) fmpq_neg(value.get(), value.get());
  return value;
}

}  // namespace ponder::math
