#include "reward/math/extract.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "reward/boxes.h"
#include "reward/characters.h"
#include "reward/math/answer_parts.h"
#include "reward/math/expr.h"
#include "reward/math/limits.h"
#include "reward/math/parser.h"
#include "reward/text_search.h"

namespace ponder::math {
namespace {

constexpr auto kNone = absl::string_view::npos;

absl::string_view Strip(absl::string_view text) {
  return absl::StripAsciiWhitespace(text);
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
    if (ending.empty() || behind.empty() || ending[0] != behind[0]) continue;
    // A text of nothing but stems gets here for each: two bytes, then a call.
    if (ending.size() > 1 && behind.size() > 1 &&
        Lower(behind[1]) != ending[1]) {
      continue;
    }
    if (ending.size() > longest && absl::StartsWithIgnoreCase(behind, ending)) {
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
  if (std::optional<std::string> formulas = LeadingFormulas(rest);
      formulas.has_value()) {
    return *std::move(formulas);
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
    if (auto boxes = JoinedBoxes(*tag, LastBox(*tag)); boxes.has_value()) {
      return Extraction{*std::move(boxes), "box"};
    }
    return Extraction{Unwrapped(Strip(*tag)), "answer tag"};
  }
  if (auto boxes = JoinedBoxes(text_, box_); boxes.has_value()) {
    return Extraction{Unwrapped(*boxes), "box"};
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
    return Extraction{*JoinedBoxes(text_, box_), "box"};
  }
  if (final_phrase_ != kNone) {
    std::string declared = Declaration(text_.substr(final_phrase_));
    if (IsMathematics(declared)) {
      return Extraction{std::move(declared), "final answer"};
    }
  }
  if (boxes) return Extraction{*JoinedBoxes(text_, box_), "box"};
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
  if (formula_last) {
    return Extraction{*JoinedFormulas(text_, formulas), "last formula"};
  }
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
  if (std::optional<std::string> boxes = JoinedBoxes(text, LastBox(text));
      boxes.has_value()) {
    return *std::move(boxes);
  }
  return std::string(Strip(text));
}

}  // namespace ponder::math
