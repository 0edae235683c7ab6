#include "reward/math/compare.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "reward/math/expr.h"
#include "reward/math/expr_text.h"
#include "reward/math/limits.h"
#include "reward/math/parser.h"
#include "reward/math/plain_text.h"
#include "reward/math/prepare.h"
#include "reward/math/scalar.h"
#include "reward/math/statements.h"
#include "reward/math/text_answers.h"
#include "reward/math/tree_compare.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

Comparison Decided(Match match, std::string rule) {
  Comparison comparison;
  comparison.match = match;
  comparison.rule = std::move(rule);
  return comparison;
}

Match MatchOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSame:
      return Match::kSame;
    case Outcome::kDifferent:
    case Outcome::kUndefined:
      return Match::kDifferent;
    case Outcome::kUndecided:
      return Match::kUndecided;
    case Outcome::kBeyond:
      return Match::kBeyond;
  }
  return Match::kDifferent;
}

// Whether the tree is a scalar without a value: 1/0, \infty - \infty.
bool IsUndefined(const Arena& arena, Id id, Budget* budget) {
  if (IsCollection(arena.op(id)) || HasSymbols(arena, id) ||
      arena.Contains(id, Op::kInfinity) || arena.Contains(id, Op::kIntegral) ||
      arena.Contains(id, Op::kLimit)) {
    return false;
  }
  return SameScalar(arena, id, id, budget) == Outcome::kUndefined;
}

// Whether each number or function in it has a value.
bool AllHaveValues(const Arena& arena, Id id, Budget* budget) {
  if (!IsCollection(arena.op(id))) {
    return arena.Contains(id, Op::kInfinity) || HasValue(arena, id, budget);
  }
  const absl::Span<const Id> parts = arena.children(id);
  return std::all_of(parts.begin(), parts.end(), [&](Id part) {
    return AllHaveValues(arena, part, budget);
  });
}

// A comma between digits, which can be read in more than one way.
bool HasDigitComma(absl::string_view text) {
  for (size_t k = 1; k + 1 < text.size(); ++k) {
    if (text[k] == ',' && absl::ascii_isdigit(text[k - 1]) &&
        absl::ascii_isdigit(text[k + 1])) {
      return true;
    }
  }
  return false;
}

// 3m, 5 m^2: letters at the end can be a unit.
bool EndsWithLetter(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  while (absl::ConsumeSuffix(&text, "$") || absl::ConsumeSuffix(&text, "}") ||
         absl::ConsumeSuffix(&text, ".")) {
  }
  if (text.size() < 2) return false;
  for (const absl::string_view power :
       {"{^2", "{^3", "^{2", "^{3", "^2", "^3"}) {
    if (absl::ConsumeSuffix(&text, power)) break;
  }
  return !text.empty() && absl::ascii_isalpha(text.back());
}

bool IsAllReals(absl::string_view text) {
  const std::string normal = absl::AsciiStrToLower(NormalText(text));
  return normal == "allrealnumbers" || normal == "allreals" ||
         normal == "realnumbers" || normal == "allrealx";
}

// The comparison of two texts. Not thread-safe.
class TextComparison {
 public:
  // Nothing is owned; everything outlives this.
  TextComparison(absl::string_view gold, absl::string_view answer,
                 const CompareOptions& options, Budget* budget)
      : gold_(gold), answer_(answer), options_(options), budget_(*budget) {}

  Comparison Run();

  // How the texts were read; empty if they weren't.
  std::string gold_read() const { return TextOf(gold_root_); }
  std::string answer_read() const { return TextOf(answer_root_); }

 private:
  enum class Side { kGold, kAnswer };

  std::string TextOf(Id root) const {
    return root == kNoId ? "" : ExprText(arena_, root);
  }

  Parsed Read(absl::string_view text, const Reading& reading);
  Parsed ReadAnswer();
  void CompareTrees();
  void TryReading(Side side, const Reading& reading);
  void TryCommas();
  void TryUnits();
  void TryDecimalLogs();
  Comparison Conclusion();

  const absl::string_view gold_;
  const absl::string_view answer_;
  const CompareOptions& options_;
  Budget& budget_;
  Arena arena_;
  Id gold_root_ = kNoId;
  Id answer_root_ = kNoId;
  // Of the trees, in the reading that was tried last with success.
  Outcome outcome_ = Outcome::kUndecided;
  std::string rule_;
};

Parsed TextComparison::Read(absl::string_view text, const Reading& reading) {
  const std::optional<Rational> words = NumberInWords(text);
  if (words.has_value()) return Parsed{arena_.MakeNumber(*words), false};
  if (IsAllReals(text)) {
    return Parsed{arena_.Make(Op::kNamedSet, {}, arena_.Name("R")), false};
  }
  return Parse(text, reading, &arena_);
}

Parsed TextComparison::ReadAnswer() {
  const Parsed parsed = Read(answer_, Reading());
  if (parsed.root != kNoId || parsed.beyond_limits || !HasDigitComma(answer_)) {
    return parsed;
  }
  Reading brackets;
  brackets.brackets_thousands = true;
  return Read(answer_, brackets);
}

void TextComparison::CompareTrees() {
  Comparer comparer(&arena_, options_, &budget_);
  const Id gold = Simplified(&arena_, gold_root_, &budget_);
  const Id answer = Simplified(&arena_, answer_root_, &budget_);
  outcome_ = comparer.Same(gold, answer);
  rule_ = comparer.rule();
}

// Another reading of the same text counts if it makes the answers the same.
void TextComparison::TryReading(Side side, const Reading& reading) {
  if (outcome_ == Outcome::kSame || outcome_ == Outcome::kBeyond) return;
  const bool is_gold = side == Side::kGold;
  const Parsed other = Read(is_gold ? gold_ : answer_, reading);
  if (other.root == kNoId) return;
  Comparer comparer(&arena_, options_, &budget_);
  const Outcome outcome = is_gold ? comparer.Same(other.root, answer_root_)
                                  : comparer.Same(gold_root_, other.root);
  if (outcome != Outcome::kSame) return;
  outcome_ = outcome;
  rule_ = comparer.rule();
}

void TextComparison::TryCommas() {
  Reading list;
  list.comma_is_list = true;
  Reading decimal;
  decimal.comma_is_decimal = true;
  if (HasDigitComma(answer_)) {
    TryReading(Side::kAnswer, list);
    if (options_.plain_answer) TryReading(Side::kAnswer, decimal);
  }
  if (HasDigitComma(gold_) && options_.plain_gold) {
    TryReading(Side::kGold, decimal);
  }
}

void TextComparison::TryUnits() {
  Reading units;
  units.letters_are_units = true;
  // 1 m is not one times m if the answer is 100 cm.
  if (EndsWithLetter(gold_) && arena_.Is(answer_root_, Op::kUnit) &&
      ParseUnit(arena_.name(answer_root_)).known) {
    TryReading(Side::kGold, units);
  }
  if (EndsWithLetter(answer_) && !arena_.Contains(gold_root_, Op::kSymbol)) {
    TryReading(Side::kAnswer, units);
  }
}

void TextComparison::TryDecimalLogs() {
  if (outcome_ != Outcome::kDifferent) return;
  if (!HasBareLog(arena_, gold_root_) && !HasBareLog(arena_, answer_root_)) {
    return;
  }
  Comparer comparer(&arena_, options_, &budget_);
  const Id gold = WithDecimalLog(&arena_, gold_root_);
  const Id answer = WithDecimalLog(&arena_, answer_root_);
  outcome_ = comparer.Same(gold, answer);
  rule_ = "with logarithms to base 10";
}

Comparison TextComparison::Conclusion() {
  if (outcome_ == Outcome::kUndefined || outcome_ == Outcome::kUndecided) {
    if (IsUndefined(arena_, gold_root_, &budget_)) {
      return Decided(Match::kBadGold, "the gold answer has no value");
    }
    if (IsUndefined(arena_, answer_root_, &budget_)) {
      return Decided(Match::kDifferent, "the answer has no value");
    }
    // What only the answer makes undecidable is wrong: a policy must not hide
    // behind it.
    Budget check(kMaxSteps / 2);
    if (AllHaveValues(arena_, gold_root_, &check) &&
        !AllHaveValues(arena_, answer_root_, &check)) {
      return Decided(Match::kDifferent, "the answer can't be evaluated");
    }
  }
  if (budget_.exhausted() && outcome_ != Outcome::kSame) {
    return Decided(Match::kBeyond, "the comparison is beyond the limits");
  }
  return Decided(MatchOf(outcome_), rule_);
}

Comparison TextComparison::Run() {
  if (gold_.size() > kMaxAnswerBytes) {
    return Decided(Match::kBadGold, "the gold answer is too long");
  }
  if (answer_.size() > kMaxAnswerBytes) {
    return Decided(Match::kBeyond, "the answer is too long");
  }
  const std::string gold_text = NormalText(gold_);
  const std::string answer_text = NormalText(answer_);
  if (gold_text.empty()) {
    return Decided(Match::kBadGold, "the gold answer is empty");
  }
  if (answer_text.empty()) {
    return Decided(Match::kDifferent, "the answer is empty");
  }

  const Parsed gold = Read(gold_, Reading());
  if (gold.beyond_limits) {
    return Decided(Match::kBadGold, "the gold answer is beyond the limits");
  }
  gold_root_ = gold.root;
  const bool words = IsWordAnswer(gold_text) && IsWordAnswer(answer_text);
  if (IsSameText(gold_text, answer_text)) {
    if (gold_root_ != kNoId && !words &&
        IsUndefined(arena_, gold_root_, &budget_)) {
      return Decided(Match::kBadGold, "the gold answer has no value");
    }
    return Decided(Match::kSame, "as text");
  }
  const bool times = IsClock(gold_text) && IsClock(answer_text);
  if (words || times || IsDateOrTime(gold_text) || gold_root_ == kNoId) {
    return Decided(Match::kDifferent, "as text");
  }

  const Parsed answer = ReadAnswer();
  if (answer.beyond_limits) {
    return Decided(Match::kBeyond, "the answer is beyond the limits");
  }
  if (answer.root == kNoId) {
    return Decided(Match::kDifferent, "the answer can't be read");
  }
  answer_root_ = answer.root;

  CompareTrees();
  TryCommas();
  TryUnits();
  TryDecimalLogs();
  return Conclusion();
}

}  // namespace

Comparison CompareAnswers(absl::string_view gold, absl::string_view answer,
                          const CompareOptions& options, Budget* budget) {
  TextComparison texts(gold, answer, options, budget);
  Comparison comparison = texts.Run();
  if (options.explain) {
    comparison.gold_read = texts.gold_read();
    comparison.answer_read = texts.answer_read();
  }
  return comparison;
}

bool IsGoldAnswer(absl::string_view text) {
  Budget budget;
  const Comparison self = CompareAnswers(text, text, {}, &budget);
  return self.match == Match::kSame;
}

}  // namespace ponder::math
