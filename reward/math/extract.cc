#include "reward/math/extract.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "reward/boxes.h"
#include "reward/math/expr.h"
#include "reward/math/limits.h"
#include "reward/math/parser.h"
#include "reward/text_search.h"

namespace ponder::math {
namespace {

constexpr auto kNone = absl::string_view::npos;
constexpr int kMaxJoined = 64;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c));
}
bool IsWordCharacter(char c) { return IsDigit(c) || IsLetter(c); }

absl::string_view Strip(absl::string_view text) {
  return absl::StripAsciiWhitespace(text);
}

// What may stand between the parts of one answer: "and", commas, \quad, the
// name of the next part.
bool IsConnector(absl::string_view text) {
  if (text.size() > 40 || absl::StrContains(text, "\n\n")) return false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '?' || c == '!' ||
        (c == '.' && i + 1 < text.size() && text[i + 1] != '\\')) {
      // "\!" is a space.
      if (!(c == '!' && i > 0 && text[i - 1] == '\\')) return false;
    }
    if (!IsLetter(c)) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && IsLetter(text[end])) ++end;
    const absl::string_view word = text.substr(i, end - i);
    const bool command = i > 0 && text[i - 1] == '\\';
    static constexpr absl::string_view kWords[] = {
        "and",  "or",   "for",   "part", "respectively", "with",
        "text", "quad", "qquad", "mbox", "textbf",       "also",
        "case", "the",  "other", "then", "und",          "oder",
        "et",   "ou",   "y",     "o"};
    const bool known = std::find(std::begin(kWords), std::end(kWords), word) !=
                       std::end(kWords);
    if (!known && (command || word.size() > 1)) return false;
    i = end;
  }
  return true;
}

// "28" behind which "percent" or "\%" stands.
std::string WithPercent(absl::string_view content, absl::string_view behind) {
  while (!behind.empty() &&
         (absl::StrContains(" $\\)]", behind.substr(0, 1)))) {
    if (absl::StartsWith(behind, "\\%")) break;
    behind.remove_prefix(1);
  }
  const bool percent = absl::StartsWith(behind, "\\%") ||
                       absl::StartsWith(behind, "%") ||
                       absl::StartsWithIgnoreCase(behind, "percent") ||
                       absl::StartsWithIgnoreCase(behind, "pct");
  const bool has = absl::StrContains(content, "%");
  return absl::StrCat(content, percent && !has ? "\\%" : "");
}

std::optional<Extraction> FromBoxes(absl::string_view text,
                                    size_t* begin_of_last) {
  std::optional<Box> box = LastBox(text);
  if (!box.has_value()) return std::nullopt;
  if (begin_of_last != nullptr) *begin_of_last = box->begin;
  std::vector<std::string> parts = {
      WithPercent(box->content, text.substr(box->end))};
  size_t begin = box->begin;
  for (int i = 1; i < kMaxJoined; ++i) {
    box = LastBox(text.substr(0, begin));
    if (!box.has_value() ||
        !IsConnector(text.substr(box->end, begin - box->end))) {
      break;
    }
    parts.push_back(WithPercent(box->content, text.substr(box->end)));
    begin = box->begin;
  }
  std::reverse(parts.begin(), parts.end());
  // The same box twice is one answer.
  const bool repeated =
      std::all_of(parts.begin(), parts.end(),
                  [&](const std::string& part) { return part == parts[0]; });
  if (repeated) parts.resize(1);
  return Extraction{absl::StrJoin(parts, ", "), "box"};
}

absl::string_view FirstLine(absl::string_view text) {
  return text.substr(0, std::min(text.find('\n'), text.size()));
}

std::optional<absl::string_view> AfterHashes(absl::string_view text) {
  const size_t hashes = FindLast(text, "####");
  if (hashes == kNone) return std::nullopt;
  return Strip(FirstLine(text.substr(hashes + 4)));
}

// A sentence ends at a full stop that no digit follows.
absl::string_view FirstSentence(absl::string_view text) {
  text = FirstLine(text);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool at_end =
        i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '"';
    if ((text[i] == '.' && at_end) ||
        (text[i] == '!' && at_end && i > 0 && text[i - 1] == ' ')) {
      return text.substr(0, i);
    }
    if (absl::StartsWith(text.substr(i), "\xe3\x80\x82")) {
      return text.substr(0, i);
    }
  }
  return text;
}

// A formula in the text.
struct Formula {
  size_t begin;  // Of the opening delimiter.
  size_t end;    // Behind the closing one.
  absl::string_view content;
};

// "$5 and then $" is money.
bool IsMoney(absl::string_view content) {
  if (content.empty() || !IsDigit(content[0])) return false;
  int words = 0;
  for (size_t i = 0; i < content.size();) {
    if (!IsLetter(content[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < content.size() && IsLetter(content[end])) ++end;
    const bool command = i > 0 && content[i - 1] == '\\';
    if (!command && end - i >= 3) ++words;
    i = end;
  }
  return words >= 2;
}

// The formula that begins at `at`, if one does.
std::optional<Formula> FormulaAt(absl::string_view text, size_t at) {
  const absl::string_view rest = text.substr(at);
  const auto closed = [&](size_t open, absl::string_view close,
                          bool one_line) -> std::optional<Formula> {
    const size_t begin = at + open;
    size_t end = FindFirst(text, close, begin);
    while (end != kNone && close == "$" && end > begin &&
           text[end - 1] == '\\') {
      end = FindFirst(text, close, end + 1);
    }
    if (end == kNone) return std::nullopt;
    const absl::string_view content = text.substr(begin, end - begin);
    if (one_line && FindFirst(content, "\n\n") != kNone) return std::nullopt;
    return Formula{at, end + close.size(), content};
  };
  if (absl::StartsWith(rest, "$$")) return closed(2, "$$", false);
  if (absl::StartsWith(rest, "$")) return closed(1, "$", true);
  if (absl::StartsWith(rest, "\\[")) return closed(2, "\\]", false);
  if (absl::StartsWith(rest, "\\(")) return closed(2, "\\)", true);
  return std::nullopt;
}

// The last formulas of the text, in order, at most kMaxJoined.
std::vector<Formula> Formulas(absl::string_view text) {
  // One pass from the front: only so is it known which $ opens.
  std::vector<Formula> all;
  bool round_closes = true;  // There may be one more \) further on.
  bool square_closes = true;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c != '$' && c != '\\') {
      ++i;
      continue;
    }
    if (c == '\\' && i + 1 < text.size() && text[i + 1] != '[' &&
        text[i + 1] != '(') {
      i += 2;
      continue;
    }
    const bool round = c == '\\' && i + 1 < text.size() && text[i + 1] == '(';
    const bool square = c == '\\' && !round;
    if ((round && !round_closes) || (square && !square_closes)) {
      i += 2;
      continue;
    }
    const std::optional<Formula> formula = FormulaAt(text, i);
    if (!formula.has_value()) {
      // Without a closing delimiter here there is none further on either.
      if (round) round_closes = FindFirst(text, "\\)", i) != kNone;
      if (square) square_closes = false;
      ++i;
      continue;
    }
    if (c == '$' && IsMoney(formula->content)) {
      ++i;
      continue;
    }
    all.push_back(*formula);
    i = formula->end;
  }
  if (all.size() > kMaxJoined) all.erase(all.begin(), all.end() - kMaxJoined);
  return all;
}

// Of rows below each other the last.
absl::string_view LastRow(absl::string_view formula) {
  if (absl::StrContains(formula, "matrix}") ||
      absl::StrContains(formula, "{array}") ||
      absl::StrContains(formula, "{cases}")) {
    return formula;
  }
  for (const absl::string_view environment :
       {"\\end{aligned}", "\\end{align*}", "\\end{align}", "\\end{gathered}",
        "\\end{split}", "\\end{eqnarray*}"}) {
    const size_t end = formula.rfind(environment);
    if (end != kNone) formula = formula.substr(0, end);
  }
  formula = Strip(formula);
  while (absl::ConsumeSuffix(&formula, "\\\\")) formula = Strip(formula);
  const size_t row = formula.rfind("\\\\");
  if (row != kNone && row + 2 < formula.size() && !IsLetter(formula[row + 2])) {
    formula = formula.substr(row + 2);
  }
  return formula;
}

std::string WithoutAmpersands(absl::string_view formula) {
  std::string out;
  const bool matrix = absl::StrContains(formula, "\\begin");
  for (const char c : formula) {
    if (c != '&' || matrix) out += c;
  }
  return out;
}

// The last formula, with those that are joined to it.
std::optional<Extraction> FromFormulas(absl::string_view text,
                                       const std::vector<Formula>& formulas) {
  if (formulas.empty()) return std::nullopt;
  std::vector<std::string> parts;
  size_t begin = text.size();
  for (auto it = formulas.rbegin(); it != formulas.rend(); ++it) {
    if (it != formulas.rbegin()) {
      const absl::string_view between = text.substr(it->end, begin - it->end);
      // Only "and", "or" and commas join formulas.
      if (Strip(between).empty() || !IsConnector(between)) break;
    }
    parts.push_back(WithPercent(WithoutAmpersands(LastRow(it->content)),
                                text.substr(it->end)));
    begin = it->begin;
  }
  std::reverse(parts.begin(), parts.end());
  return Extraction{absl::StrJoin(parts, ", "), "last formula"};
}

// --- Phrases ----------------------------------------------------------------

struct Phrase {
  absl::string_view text;  // Lower case.
  size_t rare;             // Index of its rarest byte.
  bool is_final;
};

constexpr Phrase kPhrases[] = {
    {"final answer is", 9, true},
    {"answer is", 3, false},
    {"answer:", 3, false},
    {"answer :", 3, false},
    {"answer =", 3, false},
    {"answer**:", 3, false},
    {"answer:**", 3, false},
    {"answers are", 3, false},
    {"die antwort ist", 7, false},  // de
    {"die antwort lautet", 7, false},
    {"antwort:", 3, false},
    {"la r\xc3\xa9ponse est", 6, false},  // fr
    {"r\xc3\xa9ponse :", 3, false},
    {"la respuesta es", 6, false},  // es
    {"respuesta:", 3, false},
    {"a resposta \xc3\xa9", 5, false},                   // pt
    {"la risposta \xc3\xa8", 6, false},                  // it
    {"\xe7\xad\x94\xe6\xa1\x88\xe6\x98\xaf", 0, false},  // zh: answer is
    {"\xe7\xad\x94\xe6\xa1\x88\xe4\xb8\xba", 0, false},  // zh: answer is
    {"\xe7\xad\x94\xe6\xa1\x88\xef\xbc\x9a", 0, false},  // zh: answer:
    {"\xe7\xad\x94\xe6\xa1\x88:", 0, false},
    {"\xe7\xad\x94\xe3\x81\x88\xe3\x81\xaf", 0, false},  // ja: answer
    {"\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82:", 3, false},     // ru: [ans]wer:
    {"\xeb\x8b\xb5\xec\x9d\x80", 0, false},              // ko: answer
};

// Bytes that are the rare one of some phrase.
struct RareBytes {
  constexpr RareBytes() {
    for (const Phrase& phrase : kPhrases) {
      const char c = phrase.text[phrase.rare];
      is_rare[static_cast<unsigned char>(c)] = true;
      if (c >= 'a' && c <= 'z') is_rare[c - 'a' + 'A'] = true;
    }
  }
  bool is_rare[256] = {};
};
constexpr RareBytes kRareBytes;

// Where the text behind the last phrase begins; kNone without one.
struct PhraseEnds {
  size_t any = kNone;
  size_t final_answer = kNone;
};

char Lower(char c) {
  return absl::ascii_tolower(static_cast<unsigned char>(c));
}

// One pass from the end, which looks closer at rare bytes only.
PhraseEnds LastPhrases(absl::string_view text) {
  PhraseEnds ends;
  for (size_t i = text.size(); i > 0; --i) {
    const auto byte = static_cast<unsigned char>(text[i - 1]);
    if (!kRareBytes.is_rare[byte]) continue;
    const char lower = Lower(text[i - 1]);
    size_t any = kNone;
    size_t final_answer = kNone;
    for (const Phrase& phrase : kPhrases) {
      if (phrase.text[phrase.rare] != lower || phrase.rare > i - 1) continue;
      const size_t begin = i - 1 - phrase.rare;
      const size_t end = begin + phrase.text.size();
      if (end > text.size() || Lower(text[end - 1]) != phrase.text.back() ||
          !absl::EqualsIgnoreCase(text.substr(begin, phrase.text.size()),
                                  phrase.text)) {
        continue;
      }
      if (any == kNone || end > any) any = end;
      if (phrase.is_final) final_answer = end;
    }
    if (ends.any == kNone) ends.any = any;
    if (final_answer != kNone) {
      ends.final_answer = final_answer;
      break;
    }
  }
  return ends;
}

// What is declared behind a phrase. Empty if nothing is.
std::string Declaration(absl::string_view rest) {
  while (!rest.empty()) {
    if (absl::StrContains(":* \n=\"'", rest.substr(0, 1))) {
      rest.remove_prefix(1);
    } else if (absl::StartsWith(rest, "\xef\xbc\x9a")) {
      rest.remove_prefix(3);
    } else if (absl::ConsumePrefix(&rest, "is ") ||
               absl::ConsumePrefix(&rest, "that ")) {
      continue;
    } else {
      break;
    }
  }
  constexpr size_t kMaxDeclaration = 2 * kMaxAnswerBytes;
  rest = rest.substr(0, kMaxDeclaration);
  // A formula, and those joined to it.
  if (FormulaAt(rest, 0).has_value() && !IsMoney(FormulaAt(rest, 0)->content)) {
    std::vector<std::string> parts;
    size_t at = 0;
    while (parts.size() < kMaxJoined) {
      const std::optional<Formula> formula = FormulaAt(rest, at);
      if (!formula.has_value()) break;
      parts.push_back(WithPercent(WithoutAmpersands(LastRow(formula->content)),
                                  rest.substr(formula->end)));
      size_t next = formula->end;
      while (next < rest.size() && rest[next] != '$' && rest[next] != '\n' &&
             !(rest[next] == '\\' && next + 1 < rest.size() &&
               (rest[next + 1] == '(' || rest[next + 1] == '['))) {
        ++next;
      }
      const absl::string_view between =
          rest.substr(formula->end, next - formula->end);
      if (next >= rest.size() || Strip(between).empty() ||
          !IsConnector(between)) {
        break;
      }
      at = next;
    }
    return absl::StrJoin(parts, ", ");
  }
  absl::string_view sentence = Strip(FirstSentence(rest));
  while (absl::ConsumeSuffix(&sentence, "*") ||
         absl::ConsumeSuffix(&sentence, "\"")) {
  }
  return std::string(Strip(sentence));
}

// --- Numbers ----------------------------------------------------------------

// The last run of digits with what belongs to a number around it, unless it is
// part of a name such as B2A.
std::optional<absl::string_view> LastNumber(absl::string_view text,
                                            size_t* at) {
  const auto is_part = [&](size_t i) {
    if (IsDigit(text[i])) return true;
    const bool digit_before = i > 0 && IsDigit(text[i - 1]);
    const bool digit_after = i + 1 < text.size() && IsDigit(text[i + 1]);
    return ((text[i] == '.' || text[i] == ',' || text[i] == '/' ||
             text[i] == '*' || text[i] == '^') &&
            (digit_before || text[i] == '*') &&
            (digit_after || text[i] == '*')) ||
           (text[i] == '.' && digit_after);
  };
  size_t end = text.size();
  size_t begin = 0;
  while (true) {
    while (end > 0 && !IsDigit(text[end - 1])) --end;
    if (end == 0) return std::nullopt;
    begin = end;
    while (begin > 0 && end - begin <= kMaxAnswerBytes && is_part(begin - 1)) {
      --begin;
    }
    while (begin < end && text[begin] == '*') ++begin;
    const bool letter_before = begin > 0 && IsLetter(text[begin - 1]);
    const bool letter_after = end < text.size() && IsLetter(text[end]);
    if (!letter_before || !letter_after) break;
    end = begin;
  }
  // A sign, unless it is a minus with something to take away from: "10-6".
  if (begin > 0 && text[begin - 1] == '-') {
    const char before = begin > 1 ? text[begin - 2] : ' ';
    if (!IsWordCharacter(before) && before != ')' && before != '}') --begin;
  } else if (begin > 2 &&
             absl::StartsWith(text.substr(begin - 3), "\xe2\x88\x92")) {
    begin -= 3;
  } else if (begin > 1 && text[begin - 1] == '$' && text[begin - 2] == '-') {
    begin -= 2;
  }
  *at = begin;
  return text.substr(begin, end - begin);
}

// No words, only mathematics.
bool LooksLikeMathematics(absl::string_view text) {
  if (text.empty() || text.size() > kMaxAnswerBytes) return false;
  for (size_t i = 0; i < text.size();) {
    if (!IsLetter(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && IsLetter(text[end])) ++end;
    const bool command = i > 0 && text[i - 1] == '\\';
    absl::string_view word = text.substr(i, end - i);
    // x=1orx=2
    if (i > 0 && IsDigit(text[i - 1])) absl::ConsumePrefix(&word, "or");
    static constexpr absl::string_view kSentence[] = {
        "is", "so", "of", "to", "in", "it", "at", "be", "by", "we", "an", "as",
        "no", "on", "if", "he", "me", "my", "do", "go", "up", "us", "am", "So",
        "It", "We", "No", "If", "In", "He", "As", "At", "By", "My"};
    if (!command && std::find(std::begin(kSentence), std::end(kSentence),
                              word) != std::end(kSentence)) {
      return false;
    }
    static constexpr absl::string_view kKnown[] = {
        "sin", "cos", "tan", "log", "sqrt", "exp", "and", "abs", "max", "min"};
    if (!command && word.size() >= 3 &&
        std::find(std::begin(kKnown), std::end(kKnown), word) ==
            std::end(kKnown)) {
      // Letters in \text{} are no words of a sentence.
      const bool braces = i > 0 && text[i - 1] == '{';
      if (!braces) return false;
    }
    i = end;
  }
  return true;
}

bool IsMathematics(absl::string_view text) {
  if (!LooksLikeMathematics(text)) return false;
  Arena arena;
  return Parse(text, Reading(), &arena).root != kNoId;
}

// [5.0] and [45 degrees], at the end of a sentence.
absl::string_view InSquareBrackets(absl::string_view text) {
  text = Strip(text);
  absl::ConsumeSuffix(&text, ".");
  if (!absl::EndsWith(text, "]")) return "";
  const size_t open = text.rfind('[');
  if (open == kNone || text.size() - open > 200) return "";
  const absl::string_view inside =
      text.substr(open + 1, text.size() - open - 2);
  if (absl::StrContains(inside, ",") || absl::StrContains(inside, "\\")) {
    return "";
  }
  return inside;
}

}  // namespace

std::optional<Extraction> DeclaredAnswer(absl::string_view text) {
  if (const auto tag = AnswerTag(text); tag.has_value()) {
    if (auto boxes = FromBoxes(*tag, nullptr); boxes.has_value()) return boxes;
    return Extraction{std::string(Strip(*tag)), "answer tag"};
  }
  if (auto boxes = FromBoxes(text, nullptr); boxes.has_value()) return boxes;
  if (const auto hashes = AfterHashes(text); hashes.has_value()) {
    return Extraction{std::string(*hashes), "####"};
  }
  const size_t phrase = LastPhrases(text).any;
  if (phrase != kNone) {
    std::string declared = Declaration(text.substr(phrase));
    if (!declared.empty()) return Extraction{std::move(declared), "phrase"};
  }
  const absl::string_view whole = Strip(text);
  if (whole.size() <= kMaxAnswerBytes && !absl::StrContains(whole, '\n') &&
      IsMathematics(whole) &&
      std::any_of(whole.begin(), whole.end(), IsDigit)) {
    return Extraction{std::string(whole), "whole answer"};
  }
  return std::nullopt;
}

std::optional<Extraction> AnyAnswer(absl::string_view text,
                                    const ExtractOptions& options) {
  text = Strip(text);
  size_t box_at = 0;
  std::optional<Extraction> box;
  if (options.boxes) box = FromBoxes(text, &box_at);
  if (const auto tag = AnswerTag(text); tag.has_value() && !box.has_value()) {
    return Extraction{std::string(Strip(*tag)), "answer tag"};
  }
  const PhraseEnds phrases = LastPhrases(text);
  const size_t final_at = phrases.final_answer;
  if (box.has_value() && (final_at == kNone || final_at < box_at)) return box;
  if (final_at != kNone) {
    std::string declared = Declaration(text.substr(final_at));
    if (IsMathematics(declared)) {
      return Extraction{std::move(declared), "final answer"};
    }
  }
  if (box.has_value()) return box;
  if (const auto hashes = AfterHashes(text); hashes.has_value()) {
    return Extraction{std::string(*hashes), "####"};
  }
  const size_t phrase = phrases.any;
  if (phrase != kNone) {
    std::string declared = Declaration(text.substr(phrase));
    if (!declared.empty() &&
        (IsMathematics(declared) ||
         !std::any_of(declared.begin(), declared.end(), IsDigit))) {
      return Extraction{std::move(declared), "phrase"};
    }
    // "The answer is 18 because 9 times 2 is 18."
    size_t at;
    const auto number = LastNumber(declared, &at);
    if (number.has_value()) {
      return Extraction{WithPercent(*number, absl::string_view(declared).substr(
                                                 at + number->size())),
                        "phrase"};
    }
  }
  if (options.numbers && text.size() <= kMaxAnswerBytes &&
      !absl::StrContains(text, "\n\n") && !absl::StrContains(text, "$") &&
      IsMathematics(text)) {
    return Extraction{std::string(text), "whole answer"};
  }
  const absl::string_view brackets = InSquareBrackets(text);
  if (options.numbers && !brackets.empty()) {
    return Extraction{std::string(brackets), "brackets"};
  }
  std::vector<Formula> formulas;
  if (options.formulas) formulas = Formulas(text);
  size_t number_at = 0;
  std::optional<absl::string_view> number;
  if (options.numbers) number = LastNumber(text, &number_at);
  const bool formula_last =
      !formulas.empty() &&
      (!number.has_value() || number_at < formulas.back().end);
  if (formula_last) return FromFormulas(text, formulas);
  if (number.has_value()) {
    return Extraction{
        WithPercent(*number, text.substr(number_at + number->size())),
        "last number"};
  }
  return std::nullopt;
}

std::optional<Extraction> ChoiceLetter(absl::string_view text,
                                       absl::string_view letters) {
  const auto stands_alone = [&](size_t i) {
    const bool before = i > 0 && IsWordCharacter(text[i - 1]);
    const bool after = i + 1 < text.size() && IsWordCharacter(text[i + 1]);
    return absl::StrContains(letters, text.substr(i, 1)) && !before && !after;
  };
  const auto found = [&](size_t i) {
    return Extraction{std::string(text.substr(i, 1)), "choice"};
  };
  const size_t phrase = LastPhrases(text).any;
  if (phrase != kNone) {
    for (size_t i = phrase; i < text.size(); ++i) {
      if (stands_alone(i)) return found(i);
    }
  }
  size_t first = 0;
  while (first < text.size() && !IsWordCharacter(text[first])) ++first;
  if (first < text.size() && stands_alone(first)) return found(first);
  for (size_t i = text.size(); i > 0; --i) {
    if (stands_alone(i - 1)) return found(i - 1);
  }
  return std::nullopt;
}

std::string GoldAnswer(absl::string_view text) {
  if (text.size() > kMaxResponseBytes) return "";
  if (const auto hashes = AfterHashes(text); hashes.has_value()) {
    return std::string(*hashes);
  }
  if (std::optional<Extraction> boxes = FromBoxes(text, nullptr);
      boxes.has_value()) {
    return std::move(boxes->text);
  }
  return std::string(Strip(text));
}

}  // namespace ponder::math
