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
#include "reward/math/units.h"
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
    // "y_1 =" names the next one; "+" and a bare "=" calculate.
    if (c == '=') {
      size_t k = i;
      while (k > 0 && text[k - 1] == ' ') --k;
      const char before = k > 0 ? text[k - 1] : ' ';
      if (!IsWordCharacter(before) && before != '}' && before != ')') {
        return false;
      }
    }
    if ((c == '+' || c == '*' || c == '/') &&
        text.find_first_of("=abcdefghijklmnopqrstuvwxyz") != kNone) {
      return false;
    }
    if (c == '!' || (c == '.' && i + 1 < text.size() && text[i + 1] != '\\')) {
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
        "and",      "or",     "for",   "part",     "respectively", "with",
        "text",     "quad",   "qquad", "mbox",     "textbf",       "also",
        "case",     "the",    "other", "then",     "und",          "oder",
        "et",       "ou",     "y",     "o",        "maybe",        "perhaps",
        "possibly", "either", "root",  "solution", "value",        "is",
        "one",      "second", "first"};
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

// What is printed right before and behind a box belongs to it: -\boxed{5},
// \boxed{5}^2, \boxed{5}\text{ m}, "\boxed{5} is not the answer".
std::string WithNeighbours(const Box& box, absl::string_view text) {
  std::string content = WithPercent(box.content, text.substr(box.end));
  absl::string_view before = text.substr(0, box.begin);
  const absl::string_view behind = text.substr(box.end, 64);
  while (absl::ConsumeSuffix(&before, "$") ||
         absl::ConsumeSuffix(&before, " ") ||
         absl::ConsumeSuffix(&before, "\\(")) {
  }
  if (absl::EndsWith(before, "\\ne") || absl::EndsWith(before, "\\neq") ||
      absl::EndsWith(before, " not")) {
    return absl::StrCat("\\ne ", content);
  }
  if (absl::EndsWith(before, "-")) {
    before = Strip(before.substr(0, before.size() - 1));
    const char last = before.empty() ? ' ' : before.back();
    // A sign, not a difference or a dash.
    if (before.empty() || last == '=' || last == '(' || last == '$' ||
        last == ':' || last == ',') {
      content = absl::StrCat("-(", content, ")");
    }
  }
  if (!behind.empty() && (IsDigit(behind[0]) || behind[0] == '^' ||
                          behind[0] == '_' || behind[0] == '!')) {
    size_t end = 1;
    while (end < behind.size() && behind[end] != ' ' && behind[end] != '$' &&
           behind[end] != '\n' && behind[end] != '.' && behind[end] != ',') {
      ++end;
    }
    return behind[0] == '!' && end == 1
               ? content
               : absl::StrCat("(", content, ")", behind.substr(0, end));
  }
  for (const absl::string_view command :
       {"\\text{", "\\mathrm{", "\\,\\text{", "\\ \\text{", "~\\text{"}) {
    if (!absl::StartsWith(behind, command)) continue;
    const size_t close = behind.find('}');
    const absl::string_view unit = Strip(behind.substr(
        command.size(), close == kNone ? 0 : close - command.size()));
    if (close != kNone && ParseUnit(unit).known) {
      absl::StrAppend(&content, behind.substr(0, close + 1));
      if (absl::StartsWith(behind.substr(close + 1), "^2") ||
          absl::StartsWith(behind.substr(close + 1), "^3")) {
        absl::StrAppend(&content, behind.substr(close + 1, 2));
      }
    }
  }
  for (const absl::string_view denial :
       {" is not ", " is wrong", " is incorrect", " isn't "}) {
    if (absl::StartsWith(absl::StripPrefix(behind, "$"), denial)) {
      return absl::StrCat("\\ne ", content);
    }
  }
  return content;
}

// The last box with those that belong to it.
std::optional<Extraction> FromBoxes(absl::string_view text,
                                    std::optional<Box> box) {
  if (!box.has_value()) return std::nullopt;
  std::vector<std::string> parts = {WithNeighbours(*box, text)};
  size_t begin = box->begin;
  for (int i = 1; i < kMaxJoined; ++i) {
    // A joined box ends at most a connector before this one.
    const size_t from =
        begin > kMaxBoxBytes + 64 ? begin - kMaxBoxBytes - 64 : 0;
    box = LastBox(text.substr(from, begin - from));
    if (box.has_value()) {
      box->begin += from;
      box->end += from;
    }
    if (!box.has_value() ||
        !IsConnector(text.substr(box->end, begin - box->end))) {
      break;
    }
    parts.push_back(WithNeighbours(*box, text));
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

// What stands behind the "####" at `hashes`.
absl::string_view AfterHashes(absl::string_view text, size_t hashes) {
  return Strip(FirstLine(text.substr(hashes + 4)));
}

// "#### Step 1" is no answer.
bool IsHeading(absl::string_view line) {
  line = line.substr(0, 100);
  for (const absl::string_view word :
       {"step", "part", "case", "solution", "final", "summary", "conclusion",
        "answer", "method", "verification", "explanation"}) {
    if (absl::StartsWithIgnoreCase(line, word)) {
      return !absl::StartsWithIgnoreCase(line, "answer:");
    }
  }
  return line.empty();
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
  // One pass from the front: only so is it known which $ opens. In a long text
  // from the first paragraph near its end.
  constexpr size_t kWindow = size_t{1} << 15;
  size_t begin = 0;
  if (text.size() > kWindow) {
    begin = text.size() - kWindow;
    const size_t paragraph = FindFirst(text, "\n\n", begin);
    if (paragraph != kNone) begin = paragraph;
  }
  std::vector<Formula> all;
  bool round_closes = true;  // There may be one more \) further on.
  bool square_closes = true;
  for (size_t i = begin; i < text.size();) {
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

// Words for "answer", lower case, with what follows them where they declare
// one. `rare` is the index of a rare byte, at which a search looks closer.
struct Stem {
  absl::string_view text;
  size_t rare;
  absl::string_view endings[12];
};

constexpr Stem kStems[] = {
    {"answer",
     3,
     {" is", ":", " :", " =", "**:", ":**", "s are", " would be", " should be",
      " must be", "\n", "**\n"}},
    {"antwort", 3, {" ist", " lautet", ":"}},                   // de
    {"r\xc3\xa9ponse", 3, {" est", " finale est", " :", ":"}},  // fr
    {"respuesta", 3, {" es", ":", " final es"}},                // es
    {"resposta", 3, {" \xc3\xa9", ":"}},                        // pt
    {"risposta", 3, {" \xc3\xa8", ":"}},                        // it
    {"\xe7\xad\x94\xe6\xa1\x88",                                // zh
     0,
     {"\xe6\x98\xaf", "\xe4\xb8\xba", "\xef\xbc\x9a", ":"}},
    {"\xe7\xad\x94\xe3\x81\x88", 0, {"\xe3\x81\xaf", ":"}},           // ja
    {"\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82", 3, {":", " \xe2\x80\x94"}},  // ru
    {"\xeb\x8b\xb5", 0, {"\xec\x9d\x80", ":"}},                       // ko
};

char Lower(char c) {
  return absl::ascii_tolower(static_cast<unsigned char>(c));
}

// The end of the phrase with the stem at `begin`; kNone if it declares nothing.
size_t PhraseEnd(absl::string_view text, size_t begin, const Stem& stem) {
  const absl::string_view behind = text.substr(begin + stem.text.size(), 12);
  size_t longest = 0;
  for (const absl::string_view ending : stem.endings) {
    if (ending.size() > longest && !behind.empty() && ending[0] == behind[0] &&
        absl::StartsWithIgnoreCase(behind, ending)) {
      longest = ending.size();
    }
  }
  return longest == 0 ? kNone : begin + stem.text.size() + longest;
}

// Bytes at which the search for landmarks looks closer.
enum class Look : unsigned char { kNo, kBox, kTag, kHash, kStem };

struct LookTable {
  constexpr LookTable() {
    for (const Stem& stem : kStems) {
      const char c = stem.text[stem.rare];
      look[static_cast<unsigned char>(c)] = Look::kStem;
      if (c >= 'a' && c <= 'z') look[c - 'a' + 'A'] = Look::kStem;
      const char d = stem.text[stem.rare + 1];
      second[static_cast<unsigned char>(d)] = true;
      if (d >= 'a' && d <= 'z') second[d - 'a' + 'A'] = true;
    }
    look[static_cast<unsigned char>('x')] = Look::kBox;
    look[static_cast<unsigned char>('<')] = Look::kTag;
    look[static_cast<unsigned char>('#')] = Look::kHash;
  }
  Look look[256] = {};
  bool second[256] = {};  // Bytes that may follow a rare byte.
};
constexpr LookTable kLookTable;

// What is declared behind a phrase. Empty if nothing is.
std::string Declaration(absl::string_view rest) {
  bool new_line = false;
  while (!rest.empty()) {
    if (absl::StrContains(":* \n=\"'`_}", rest.substr(0, 1))) {
      new_line |= rest[0] == '\n';
      rest.remove_prefix(1);
      continue;
    }
    // The dash of a list is no minus.
    if ((new_line && absl::ConsumePrefix(&rest, "- ")) ||
        absl::ConsumePrefix(&rest, "\xe2\x80\x94 ") ||
        absl::ConsumePrefix(&rest, "\xef\xbc\x9a")) {
      continue;
    }
    bool filler = false;
    for (const absl::string_view word :
         {"is ", "that ", "therefore ", "simply ", "clearly ", "just ",
          "exactly ", "approximately ", "about ", "indeed ", "thus ",
          "equal to ", "then ", "... "}) {
      filler = filler || absl::ConsumePrefix(&rest, word);
    }
    if (!filler) break;
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
  // A box that is never closed declares nothing.
  if (absl::StrContains(sentence, "\\boxed")) return "";
  for (bool more = true; more;) {
    more = false;
    for (const absl::string_view mark : {"*", "\"", "'", "`", "_", "$", "!"}) {
      // "5!" at the end of a sentence is 5.
      more = absl::ConsumeSuffix(&sentence, mark) || more;
    }
    sentence = Strip(sentence);
  }
  if (absl::StartsWith(sentence, "$") == false &&
      absl::StrContains(sentence, "$")) {
    absl::ConsumePrefix(&sentence, "$");
  }
  // "5 because 2 + 3 = 5"
  for (const absl::string_view reason :
       {" because", ", because", " since", ", since", ", as ", ", which"}) {
    const size_t at = sentence.find(reason);
    if (at != kNone) sentence = Strip(sentence.substr(0, at));
  }
  return std::string(sentence);
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

namespace {

// "The answer is 5" in a box or a tag.
std::string Unwrapped(absl::string_view text) {
  if (text.size() <= kMaxAnswerBytes && !IsMathematics(text)) {
    const size_t phrase = AnswerFinder(text).phrase_end();
    if (phrase != kNone) {
      const absl::string_view whole = Strip(text);
      std::string declared = Declaration(whole.substr(phrase));
      if (!declared.empty()) return declared;
    }
  }
  return std::string(text);
}

}  // namespace

AnswerFinder::AnswerFinder(absl::string_view text)
    : text_(absl::StripAsciiWhitespace(text)) {
  constexpr int kMaxOpenBoxes = 16;
  int open_boxes = 0;
  for (size_t i = text_.size(); i-- > 0;) {
    const Look look = kLookTable.look[static_cast<unsigned char>(text_[i])];
    switch (look) {
      case Look::kNo:
        break;
      case Look::kBox:
        if (i >= 3 && text_[i - 1] == 'o' && !box_.has_value() &&
            open_boxes < kMaxOpenBoxes) {
          open_boxes += LookForBox(i);
        }
        break;
      case Look::kTag:
        if (tag_end_ == kNone) {
          if (absl::StartsWith(text_.substr(i), "</answer>")) tag_end_ = i;
        } else if (tag_begin_ == kNone && text_[i + 1] == 'a' &&
                   absl::StartsWith(text_.substr(i), "<answer>")) {
          tag_begin_ = i + 8;
        }
        break;
      case Look::kHash:
        if (hashes_ == kNone && absl::StartsWith(text_.substr(i), "####") &&
            !IsHeading(AfterHashes(text_, i))) {
          hashes_ = i;
        }
        break;
      case Look::kStem:
        if (final_phrase_ == kNone && i + 1 < text_.size() &&
            kLookTable.second[static_cast<unsigned char>(text_[i + 1])]) {
          LookForPhrase(i);
        }
        break;
    }
  }
}

// At the x of \boxed or \fbox. 1 if it is one that is never closed.
int AnswerFinder::LookForBox(size_t x) {
  const bool boxed = absl::StartsWith(text_.substr(x - 3), "\\boxed");
  const bool fbox = x >= 4 && absl::StartsWith(text_.substr(x - 4), "\\fbox");
  if (!boxed && !fbox) return 0;
  const size_t begin = x - (boxed ? 3 : 4);
  box_ = BoxAt(text_, begin);
  if (!box_.has_value()) return 1;
  // "Put it in \boxed{}" declares nothing.
  if (Strip(box_->content).empty()) box_.reset();
  return 0;
}

// At the rare byte of a word for "answer".
void AnswerFinder::LookForPhrase(size_t rare) {
  const char c = Lower(text_[rare]);
  for (const Stem& stem : kStems) {
    if (stem.text[stem.rare] != c || stem.rare > rare ||
        stem.text[stem.rare + 1] != Lower(text_[rare + 1])) {
      continue;
    }
    const size_t begin = rare - stem.rare;
    const size_t last = begin + stem.text.size() - 1;
    if (last >= text_.size() || Lower(text_[last]) != stem.text.back() ||
        !absl::EqualsIgnoreCase(text_.substr(begin, stem.text.size()),
                                stem.text)) {
      continue;
    }
    const size_t end = PhraseEnd(text_, begin, stem);
    if (end == kNone) return;
    if (phrase_ == kNone) phrase_ = end;
    constexpr absl::string_view kFinal = "final ";
    if (begin >= kFinal.size() &&
        absl::EqualsIgnoreCase(
            text_.substr(begin - kFinal.size(), kFinal.size()), kFinal)) {
      final_phrase_ = end;
    }
    return;
  }
}

std::optional<absl::string_view> AnswerFinder::Tag() const {
  if (tag_begin_ == kNone || tag_begin_ > tag_end_) return std::nullopt;
  const absl::string_view tag = text_.substr(tag_begin_, tag_end_ - tag_begin_);
  // "between <answer> and </answer>" declares nothing if there is a box.
  const absl::string_view inside = Strip(tag);
  if (box_.has_value() && box_->begin > tag_end_ &&
      (inside.empty() || inside == "and" || inside == "...")) {
    return std::nullopt;
  }
  return tag;
}

std::optional<Extraction> AnswerFinder::Declared() const {
  if (const auto tag = Tag(); tag.has_value()) {
    if (auto boxes = FromBoxes(*tag, LastBox(*tag)); boxes.has_value()) {
      return boxes;
    }
    return Extraction{Unwrapped(Strip(*tag)), "answer tag"};
  }
  if (auto boxes = FromBoxes(text_, box_); boxes.has_value()) {
    boxes->text = Unwrapped(boxes->text);
    return boxes;
  }
  if (hashes_ != kNone) {
    return Extraction{Unwrapped(AfterHashes(text_, hashes_)), "####"};
  }
  if (phrase_ != kNone) {
    std::string declared = Declaration(text_.substr(phrase_));
    if (!declared.empty()) return Extraction{std::move(declared), "phrase"};
  }
  // A box that is never closed declares nothing.
  if (text_.size() <= kMaxAnswerBytes && !absl::StrContains(text_, '\n') &&
      !absl::StrContains(text_, "\\boxed") && IsMathematics(text_) &&
      std::any_of(text_.begin(), text_.end(), IsDigit)) {
    return Extraction{std::string(text_), "whole answer"};
  }
  // One word, one letter.
  constexpr size_t kMaxWordBytes = 32;
  if (!text_.empty() && text_.size() <= kMaxWordBytes &&
      text_.find_first_of(" \n\t\\{<") == kNone) {
    return Extraction{std::string(text_), "whole answer"};
  }
  return std::nullopt;
}

std::optional<Extraction> AnswerFinder::Any(
    const ExtractOptions& options) const {
  const bool boxes = options.boxes && box_.has_value();
  if (const auto tag = Tag(); tag.has_value() && !boxes) {
    return Extraction{std::string(Strip(*tag)), "answer tag"};
  }
  if (boxes && (final_phrase_ == kNone || final_phrase_ < box_->begin)) {
    return FromBoxes(text_, box_);
  }
  if (final_phrase_ != kNone) {
    std::string declared = Declaration(text_.substr(final_phrase_));
    if (IsMathematics(declared)) {
      return Extraction{std::move(declared), "final answer"};
    }
  }
  if (boxes) return FromBoxes(text_, box_);
  if (hashes_ != kNone) {
    return Extraction{std::string(AfterHashes(text_, hashes_)), "####"};
  }
  if (phrase_ != kNone) {
    std::string declared = Declaration(text_.substr(phrase_));
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
  if (options.numbers && text_.size() <= kMaxAnswerBytes &&
      !absl::StrContains(text_, "\n\n") && !absl::StrContains(text_, "$") &&
      IsMathematics(text_)) {
    return Extraction{std::string(text_), "whole answer", /*plain=*/true};
  }
  const absl::string_view brackets = InSquareBrackets(text_);
  if (options.numbers && !brackets.empty()) {
    return Extraction{std::string(brackets), "brackets"};
  }
  std::vector<Formula> formulas;
  if (options.formulas) formulas = Formulas(text_);
  size_t number_at = 0;
  std::optional<absl::string_view> number;
  if (options.numbers) number = LastNumber(text_, &number_at);
  const bool formula_last =
      !formulas.empty() &&
      (!number.has_value() || number_at < formulas.back().end);
  if (formula_last) return FromFormulas(text_, formulas);
  if (number.has_value()) {
    return Extraction{
        WithPercent(*number, text_.substr(number_at + number->size())),
        "last number", /*plain=*/true};
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
  const size_t phrase = AnswerFinder(text).phrase_end();
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
  if (const size_t hashes = FindLast(text, "####"); hashes != kNone) {
    return std::string(AfterHashes(text, hashes));
  }
  if (std::optional<Extraction> boxes = FromBoxes(text, LastBox(text));
      boxes.has_value()) {
    return std::move(boxes->text);
  }
  return std::string(Strip(text));
}

}  // namespace ponder::math
