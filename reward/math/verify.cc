#include "reward/math/verify.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "reward/math/budget.h"
#include "reward/math/compare.h"
#include "reward/math/limits.h"
#include "reward/math/unicode_latex.h"
#include "reward/response_parts.h"

namespace ponder {
namespace {

using math::Comparison;
using math::Extraction;
using math::Match;
using Find = MathOptions::Find;

std::optional<Extraction> FindAnswer(absl::string_view text,
                                     const math::AnswerFinder& finder,
                                     Find find, const MathOptions& options) {
  switch (find) {
    case Find::kDeclared:
      return finder.Declared();
    case Find::kAny:
      return finder.Any(options.extract);
    case Find::kWhole:
      return Extraction{std::string(absl::StripAsciiWhitespace(text)),
                        "whole answer"};
    case Find::kChoice:
      return math::ChoiceLetter(text, options.choices);
  }
  return std::nullopt;
}

Extraction FindGold(absl::string_view gold, const MathOptions& options) {
  switch (options.find_gold) {
    case Find::kDeclared:
      return {math::GoldAnswer(gold), "gold"};
    case Find::kWhole:
      return {std::string(absl::StripAsciiWhitespace(gold)), "gold"};
    case Find::kAny:
    case Find::kChoice:
      break;
  }
  std::optional<Extraction> found =
      FindAnswer(gold, math::AnswerFinder(gold), options.find_gold, options);
  if (found.has_value()) return *std::move(found);
  return {std::string(absl::StripAsciiWhitespace(gold)), "gold"};
}

Comparison Compare(const Extraction& gold, const Extraction& answer,
                   const MathOptions& options, math::Budget* budget) {
  if (math::HasInvisibleCharacters(
          absl::string_view(answer.text).substr(0, math::kMaxAnswerBytes))) {
    Comparison invisible;
    invisible.rule = "it has invisible characters";
    return invisible;
  }
  math::CompareOptions compare;
  compare.float_rounding = options.float_rounding;
  compare.any_variable_names = options.any_variable_names;
  compare.inequality_for_set = options.inequality_for_set;
  compare.ordered_lists = options.ordered_lists;
  compare.explain = options.explain;
  compare.plain_gold = gold.plain;
  compare.plain_answer = answer.plain;
  return math::CompareAnswers(gold.text, answer.text, compare, budget);
}

std::string Reason(const Extraction& answer, const Comparison& comparison) {
  const absl::string_view text = absl::string_view(answer.text).substr(0, 120);
  switch (comparison.match) {
    case Match::kSame:
      return absl::StrCat("the ", answer.rule, " \"", text,
                          "\" is the gold answer (", comparison.rule, ")");
    case Match::kDifferent:
      return absl::StrCat("the ", answer.rule, " \"", text,
                          "\" is not the gold answer (", comparison.rule, ")");
    case Match::kUndecided:
      return absl::StrCat("whether the ", answer.rule, " \"", text,
                          "\" is the gold answer can't be decided");
    case Match::kBadGold:
      return comparison.rule;
    case Match::kBeyond:
      return absl::StrCat("the ", answer.rule, " is beyond the limits (",
                          comparison.rule, ")");
  }
  return "";
}

}  // namespace

MathResult VerifyMath(absl::string_view gold, absl::string_view response,
                      const MathOptions& options) {
  MathResult result;
  const Extraction gold_answer = FindGold(gold, options);
  const std::string& wanted = gold_answer.text;
  if (options.explain) result.gold = wanted;
  if (wanted.empty()) {
    result.verdict = MathVerdict::kUnscorable;
    result.reason = "the gold answer is empty";
    return result;
  }
  const ResponseParts parts = SplitResponse(response, options.thought_opened);
  absl::string_view everything = StripSpecialTokens(response);
  if (everything.size() > math::kMaxResponseBytes) {
    everything.remove_prefix(everything.size() - math::kMaxResponseBytes);
  }
  const bool open_thought = !options.ignore_thought_tags && parts.has_thought &&
                            !parts.thought_closed;
  // A form that is missing does not make the answer less right: the flexible
  // verdict reads on where the strict one stops.
  const absl::string_view answer =
      open_thought || options.ignore_thought_tags ? everything : parts.answer;

  math::Budget budget;
  const auto finish = [&] {
    result.steps = math::kMaxSteps - std::max<int64_t>(budget.left(), 0);
    return result;
  };
  std::optional<Comparison> comparison;
  const math::AnswerFinder finder(answer);
  std::optional<Extraction> extraction =
      FindAnswer(answer, finder, options.find, options);
  if (extraction.has_value()) {
    comparison = Compare(gold_answer, *extraction, options, &budget);
    result.reason = Reason(*extraction, *comparison);
    result.flexible_correct = comparison->match == Match::kSame;
    if (open_thought) {
      result.reason = "the thought was not closed";
    } else if (comparison->match == Match::kSame) {
      result.verdict = MathVerdict::kCorrect;
    } else if (comparison->match == Match::kUndecided) {
      result.verdict = MathVerdict::kUnscorable;
    }
  } else {
    result.reason = "there is no answer in a box, tags or after \"answer is\"";
    result.rule = "none";
  }
  // The looser search, where it can find something else.
  if (options.find == Find::kDeclared && !result.flexible_correct &&
      (!comparison.has_value() || comparison->match == Match::kDifferent)) {
    std::optional<Extraction> loose = finder.Any(options.extract);
    if (loose.has_value() &&
        (!extraction.has_value() || loose->text != extraction->text)) {
      const Comparison second = Compare(gold_answer, *loose, options, &budget);
      result.flexible_correct = second.match == Match::kSame;
      if (!extraction.has_value()) {
        comparison = second;
        result.reason = open_thought ? "the thought was not closed"
                                     : absl::StrCat(result.reason, "; ",
                                                    Reason(*loose, second));
      }
    }
    if (!extraction.has_value()) extraction = std::move(loose);
  }
  if (comparison.has_value() && comparison->match == Match::kBadGold) {
    result.verdict = MathVerdict::kUnscorable;
    result.reason = absl::StrCat("the gold answer \"",
                                 absl::string_view(wanted).substr(0, 80),
                                 "\" is none: ", comparison->rule);
  } else if (comparison.has_value()) {
    result.beyond_limits = comparison->match == Match::kBeyond;
  }
  if (comparison.has_value()) {
    result.gold_read = std::move(comparison->gold_read);
    result.answer_read = std::move(comparison->answer_read);
  }
  if (extraction.has_value()) {
    result.rule = extraction->rule;
    result.extracted = extraction->text.substr(0, math::kMaxAnswerBytes);
  } else if (!comparison.has_value() && !math::IsGoldAnswer(wanted)) {
    result.verdict = MathVerdict::kUnscorable;
    result.reason =
        absl::StrCat("the gold answer \"",
                     absl::string_view(wanted).substr(0, 80), "\" is none");
  }
  return finish();
}

bool IsMathGold(absl::string_view gold) {
  const std::string wanted = math::GoldAnswer(gold);
  return !wanted.empty() && math::IsGoldAnswer(wanted);
}

}  // namespace ponder

extern "C" enum ponder_math_verdict ponder_math_verify(
    const char* gold, size_t gold_size, const char* response,
    size_t response_size, char* reason, size_t reason_size) {
  const ponder::MathResult result =
      ponder::VerifyMath(absl::string_view(gold, gold_size),
                         absl::string_view(response, response_size));
  if (reason != nullptr && reason_size > 0) {
    const size_t size = std::min(result.reason.size(), reason_size - 1);
    std::memcpy(reason, result.reason.data(), size);
    reason[size] = '\0';
  }
  switch (result.verdict) {
    case ponder::MathVerdict::kCorrect:
      return PONDER_MATH_CORRECT;
    case ponder::MathVerdict::kWrong:
      return PONDER_MATH_WRONG;
    case ponder::MathVerdict::kUnscorable:
      break;
  }
  return PONDER_MATH_UNSCORABLE;
}
