#include "reward/math_verifier.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "reward/boxes.h"
#include "reward/math_answer.h"
#include "reward/response_parts.h"

namespace ponder {
namespace {

constexpr auto kNone = absl::string_view::npos;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

absl::string_view Strip(absl::string_view text) {
  return absl::StripAsciiWhitespace(text);
}

// An answer as it stands in the text.
struct Extraction {
  absl::string_view text;
  absl::string_view rule;
  std::vector<absl::string_view> more;  // Boxes before it that belong to it.
};

// "5} \text{ and } \boxed{6": what may stand between boxes of one answer.
bool IsConnector(absl::string_view text) {
  if (text.size() > 40) return false;
  std::string letters;
  for (const char c : text) {
    if (IsDigit(c)) return false;
    if (absl::ascii_isalpha(static_cast<unsigned char>(c))) letters += c;
  }
  return letters.empty() || letters == "and" || letters == "or" ||
         letters == "textand" || letters == "textor" || letters == "quad" ||
         letters == "quadtextandquad" || letters == "quadtextorquad";
}

std::optional<Extraction> FromBoxes(absl::string_view text) {
  const std::optional<Box> last = LastBox(text);
  if (!last.has_value()) return std::nullopt;
  Extraction extraction{last->content, "box", {}};
  size_t begin = last->begin;
  for (size_t i = 1; i < kMaxAnswerItems; ++i) {
    const std::optional<Box> before = LastBox(text.substr(0, begin));
    if (!before.has_value() ||
        !IsConnector(text.substr(before->end, begin - before->end))) {
      break;
    }
    extraction.more.insert(extraction.more.begin(), before->content);
    begin = before->begin;
  }
  return extraction;
}

// Up to the end of the line.
absl::string_view FirstLine(absl::string_view text) {
  return text.substr(0, std::min(text.find('\n'), text.size()));
}

std::optional<absl::string_view> AfterHashes(absl::string_view text) {
  const size_t hashes = text.rfind("####");
  if (hashes == kNone) return std::nullopt;
  return Strip(FirstLine(text.substr(hashes + 4)));
}

// A sentence ends at a full stop that no digit follows.
absl::string_view FirstSentence(absl::string_view text) {
  text = FirstLine(text);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool at_end = i + 1 == text.size() || text[i + 1] == ' ';
    if ((text[i] == '.' || text[i] == '!') && at_end) return text.substr(0, i);
    if (absl::StartsWith(text.substr(i), "\xe3\x80\x82")) {
      return text.substr(0, i);
    }
  }
  return text;
}

// What follows the last "answer is", "answer:" and their like.
std::optional<absl::string_view> AfterPhrase(absl::string_view text) {
  static constexpr absl::string_view kPhrases[] = {
      "answer is",
      "answer:",
      "answer is:",
      "answer =",
      "answer**:",
      "answer:**",
      "\xe7\xad\x94\xe6\xa1\x88\xe6\x98\xaf"};
  const std::string lower = absl::AsciiStrToLower(text);
  size_t best = kNone;
  for (const absl::string_view phrase : kPhrases) {
    const size_t at = absl::string_view(lower).rfind(phrase);
    if (at == kNone) continue;
    const size_t end = at + phrase.size();
    if (best == kNone || end > best) best = end;
  }
  if (best == kNone) return std::nullopt;
  absl::string_view rest = text.substr(best);
  // "**Answer:** 17", or a formula on the next line.
  while (!rest.empty() && (rest[0] == ':' || rest[0] == '*' || rest[0] == ' ' ||
                           rest[0] == '\n' || rest[0] == '=')) {
    rest.remove_prefix(1);
  }
  absl::string_view sentence = Strip(FirstSentence(rest));
  if (absl::StartsWith(sentence, "\\[")) {
    const size_t end = rest.find("\\]");
    if (end != kNone) sentence = rest.substr(2, end - 2);
  }
  return sentence;
}

// A number, or a list of numbers.
bool IsNumeric(const MathAnswer& answer) {
  if (answer.kind == MathAnswer::Kind::kNumber) return true;
  return answer.kind == MathAnswer::Kind::kList &&
         std::all_of(answer.items.begin(), answer.items.end(), IsNumeric);
}

std::optional<Extraction> Declared(absl::string_view answer) {
  if (const auto tag = AnswerTag(answer); tag.has_value()) {
    if (auto boxes = FromBoxes(*tag); boxes.has_value()) return boxes;
    return Extraction{Strip(*tag), "answer tag", {}};
  }
  if (auto boxes = FromBoxes(answer); boxes.has_value()) return boxes;
  if (const auto hashes = AfterHashes(answer); hashes.has_value()) {
    return Extraction{*hashes, "####", {}};
  }
  if (const auto phrase = AfterPhrase(answer);
      phrase.has_value() && !phrase->empty()) {
    return Extraction{*phrase, "phrase", {}};
  }
  const absl::string_view whole = Strip(answer);
  if (!absl::StrContains(whole, '\n')) {
    const std::optional<MathAnswer> parsed = ParseMathAnswer(whole);
    if (parsed.has_value() && IsNumeric(*parsed)) {
      return Extraction{whole, "whole answer", {}};
    }
  }
  return std::nullopt;
}

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c));
}

// The last run of digits with what belongs to a number around it, unless it is
// part of a name such as B2A.
std::optional<Extraction> LastNumber(absl::string_view text) {
  const auto is_part = [&](size_t i) {
    if (IsDigit(text[i])) return true;
    const bool digit_before = i > 0 && IsDigit(text[i - 1]);
    const bool digit_after = i + 1 < text.size() && IsDigit(text[i + 1]);
    return ((text[i] == '.' || text[i] == ',' || text[i] == '/') &&
            digit_before && digit_after) ||
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
    if (begin == 0 || end == text.size() || !IsWordCharacter(text[begin - 1]) ||
        !IsWordCharacter(text[end])) {
      break;
    }
    end = begin;
  }
  // A sign, unless it is a minus with something to take away from: "10-6".
  if (begin > 0 && text[begin - 1] == '-') {
    const char before = begin > 1 ? text[begin - 2] : ' ';
    if (!IsWordCharacter(before) && before != ')' && before != '}') --begin;
  } else if (begin > 1 && text[begin - 1] == '$' && text[begin - 2] == '-') {
    begin -= 2;
  }
  if (end < text.size() && text[end] == '%') ++end;
  return Extraction{text.substr(begin, end - begin), "last number", {}};
}

struct Comparison {
  bool same = false;
  std::string reason;
  bool beyond_limits = false;
};

Comparison Compare(const MathAnswer& gold, const Extraction& extraction) {
  if (Strip(extraction.text).empty()) {
    return {false, absl::StrCat("the ", extraction.rule, " is empty")};
  }
  if (extraction.text.size() > kMaxAnswerBytes) {
    return {false, "the answer is beyond the limits", true};
  }
  if (HasInvisibleCharacters(extraction.text)) {
    return {false, "the answer has invisible characters"};
  }
  const std::optional<MathAnswer> answer = ParseMathAnswer(extraction.text);
  if (!answer.has_value())
    return {false, "the answer is beyond the limits", true};
  if (SameMathAnswer(gold, *answer)) return {true, "the answer is the gold's"};
  // Neighbouring boxes are one list, if a list is wanted.
  if (gold.kind == MathAnswer::Kind::kList &&
      gold.items.size() == extraction.more.size() + 1 &&
      !extraction.more.empty()) {
    std::string joined;
    for (const absl::string_view part : extraction.more) {
      absl::StrAppend(&joined, part, ", ");
    }
    absl::StrAppend(&joined, extraction.text);
    const std::optional<MathAnswer> list = ParseMathAnswer(joined);
    if (list.has_value() && SameMathAnswer(gold, *list)) {
      return {true, "the boxes together are the gold's list"};
    }
  }
  const auto kind = [](const MathAnswer& answer) -> absl::string_view {
    switch (answer.kind) {
      case MathAnswer::Kind::kNumber:
        return "number";
      case MathAnswer::Kind::kList:
        return "list";
      case MathAnswer::Kind::kText:
        break;
    }
    return "text";
  };
  return {false, absl::StrCat("the ", kind(*answer), " is not the gold's ",
                              kind(gold))};
}

}  // namespace

absl::string_view ExtractGold(absl::string_view gold) {
  if (gold.size() > kMaxResponseBytes) return "";
  if (const auto hashes = AfterHashes(gold); hashes.has_value()) {
    return *hashes;
  }
  if (const std::optional<Box> box = LastBox(gold); box.has_value()) {
    return Strip(box->content);
  }
  return Strip(gold);
}

MathResult VerifyMath(absl::string_view gold, absl::string_view response,
                      const MathOptions& options) {
  MathResult result;
  const absl::string_view gold_text = ExtractGold(gold);
  const std::optional<MathAnswer> wanted = ParseMathAnswer(gold_text);
  if (!wanted.has_value()) {
    result.verdict = MathVerdict::kUnscorable;
    result.reason = absl::StrCat("the gold answer \"", gold_text.substr(0, 80),
                                 "\" is empty or beyond the limits");
    return result;
  }

  const ResponseParts parts = SplitResponse(response, options.thought_opened);
  // A form that is missing does not make the answer less right: the flexible
  // verdict reads on where the strict one stops.
  absl::string_view everything = StripSpecialTokens(response);
  if (everything.size() > kMaxResponseBytes) {
    everything.remove_prefix(everything.size() - kMaxResponseBytes);
  }
  const bool open_thought = parts.has_thought && !parts.thought_closed;
  const absl::string_view answer = open_thought ? everything : parts.answer;
  std::optional<Extraction> extraction = Declared(answer);
  const bool declared = extraction.has_value();
  if (!declared) extraction = LastNumber(answer);
  if (!extraction.has_value()) {
    result.reason = "there is no answer";
    result.rule = "none";
    return result;
  }
  Comparison comparison = Compare(*wanted, *extraction);
  result.extracted = std::string(extraction->text.substr(0, kMaxAnswerBytes));
  result.rule = std::string(extraction->rule);
  result.flexible_correct = comparison.same;
  result.beyond_limits = comparison.beyond_limits;
  // "The answer is 18 because 9 times 2 is 18": flexibly the phrase's number.
  if (!comparison.same && extraction->rule == "phrase") {
    const std::optional<Extraction> number = LastNumber(extraction->text);
    result.flexible_correct =
        number.has_value() && Compare(*wanted, *number).same;
  }
  if (open_thought) {
    result.reason = "the thought was not closed";
  } else if (!declared) {
    result.reason =
        absl::StrCat("no answer in a box, tags or after \"the answer is\"; ",
                     comparison.reason);
  } else {
    result.reason = std::move(comparison.reason);
    if (comparison.same) result.verdict = MathVerdict::kCorrect;
  }
  return result;
}

}  // namespace ponder
