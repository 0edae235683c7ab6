#include "reward/math/answer_parts.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "reward/characters.h"
#include "reward/math/units.h"
#include "reward/text_search.h"

namespace ponder::math {
namespace {

constexpr auto kNone = absl::string_view::npos;
constexpr size_t kMaxJoined = 64;  // Parts of one answer.

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

// --- Formulas
// ------------------------------------------------------------------

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

std::string FormulaText(absl::string_view text, const Formula& formula) {
  return WithPercent(WithoutAmpersands(LastRow(formula.content)),
                     text.substr(formula.end));
}

}  // namespace

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

std::optional<std::string> JoinedBoxes(absl::string_view text,
                                       std::optional<Box> box) {
  if (!box.has_value()) return std::nullopt;
  std::vector<std::string> parts = {WithNeighbours(*box, text)};
  size_t begin = box->begin;
  for (size_t i = 1; i < kMaxJoined; ++i) {
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
  return absl::StrJoin(parts, ", ");
}

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

std::optional<std::string> JoinedFormulas(
    absl::string_view text, const std::vector<Formula>& formulas) {
  if (formulas.empty()) return std::nullopt;
  std::vector<std::string> parts;
  size_t begin = text.size();
  for (auto it = formulas.rbegin(); it != formulas.rend(); ++it) {
    if (it != formulas.rbegin()) {
      const absl::string_view between = text.substr(it->end, begin - it->end);
      // Only "and", "or" and commas join formulas.
      if (Strip(between).empty() || !IsConnector(between)) break;
    }
    parts.push_back(FormulaText(text, *it));
    begin = it->begin;
  }
  std::reverse(parts.begin(), parts.end());
  return absl::StrJoin(parts, ", ");
}

std::optional<std::string> LeadingFormulas(absl::string_view text) {
  std::optional<Formula> formula = FormulaAt(text, 0);
  if (!formula.has_value() || IsMoney(formula->content)) return std::nullopt;
  std::vector<std::string> parts;
  while (formula.has_value() && parts.size() < kMaxJoined) {
    parts.push_back(FormulaText(text, *formula));
    size_t next = formula->end;
    while (next < text.size() && text[next] != '$' && text[next] != '\n' &&
           !(text[next] == '\\' && next + 1 < text.size() &&
             (text[next + 1] == '(' || text[next + 1] == '['))) {
      ++next;
    }
    const absl::string_view between =
        text.substr(formula->end, next - formula->end);
    if (next >= text.size() || Strip(between).empty() ||
        !IsConnector(between)) {
      break;
    }
    formula = FormulaAt(text, next);
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace ponder::math
