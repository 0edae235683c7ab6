#include "reward/scorer.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "reward/countdown_verifier.h"
#include "reward/format_verifier.h"
#include "reward/math_verifier.h"
#include "reward/response_parts.h"

namespace ponder {
namespace {

constexpr char kAccuracy[] = "accuracy";
constexpr char kFormat[] = "format";
constexpr size_t kMaxExtractedBytes = 4096;

Verdict FromBool(bool correct) { return correct ? CORRECT : WRONG; }

// Text on the wire must be UTF-8; a response may be anything. A byte that
// belongs to no character becomes a question mark.
std::string ValidUtf8(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](size_t k) {
      return i + k < text.size() ? static_cast<uint8_t>(text[i + k]) : 0;
    };
    const uint8_t first = byte(0);
    const size_t size = first < 0x80                    ? 1
                        : first >= 0xc2 && first < 0xe0 ? 2
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
    bool valid = size > 0;
    for (size_t k = 1; k < size; ++k) valid &= (byte(k) & 0xc0) == 0x80;
    // Overlong forms, surrogates and what is beyond U+10FFFF.
    if (first == 0xe0) valid &= byte(1) >= 0xa0;
    if (first == 0xed) valid &= byte(1) < 0xa0;
    if (first == 0xf0) valid &= byte(1) >= 0x90;
    if (first == 0xf4) valid &= byte(1) < 0x90;
    if (valid) {
      out.append(text.data() + i, size);
      i += size;
    } else {
      out.push_back('?');
      ++i;
    }
  }
  return out;
}

// What is known of a response once its verifiers have run.
struct Verified {
  Verdict accuracy = WRONG;
  bool flexible_correct = false;
  bool timed_out = false;
  std::string extracted;
  std::string reason;
};

Verified VerifyMathResponse(const Problem& problem,
                            const ResponseToScore& response) {
  MathOptions options;
  options.thought_opened = response.thought_opened();
  MathResult math = VerifyMath(problem.answer(), response.text(), options);
  Verified verified;
  switch (math.verdict) {
    case MathVerdict::kCorrect:
      verified.accuracy = CORRECT;
      break;
    case MathVerdict::kWrong:
      verified.accuracy = WRONG;
      break;
    case MathVerdict::kUnscorable:
      verified.accuracy = UNSCORABLE;
      break;
  }
  verified.flexible_correct = math.flexible_correct;
  verified.extracted = std::move(math.extracted);
  verified.reason = std::move(math.reason);
  return verified;
}

// The row's column; null if it has none.
const Value* Column(const Problem& problem, absl::string_view name) {
  for (const Field& field : problem.row().fields()) {
    if (field.name() == name) return &field.value();
  }
  return nullptr;
}

// Reads columns `target` and `numbers` (or `nums`) of the row.
Verified VerifyCountdownResponse(const Problem& problem,
                                 const ResponseToScore& response) {
  Verified verified;
  verified.accuracy = UNSCORABLE;
  const Value* target = Column(problem, "target");
  if (target == nullptr || !target->has_int_value()) {
    verified.reason = "the row has no column target with an integer";
    return verified;
  }
  const Value* list = Column(problem, "numbers");
  if (list == nullptr) list = Column(problem, "nums");
  std::vector<int64_t> numbers;
  bool whole = list != nullptr && list->has_list();
  if (whole) {
    for (const Value& value : list->list().values()) {
      whole &= value.has_int_value();
      numbers.push_back(value.int_value());
    }
  }
  if (!whole) {
    verified.reason = "the row has no column numbers with a list of integers";
    return verified;
  }
  CountdownResult countdown = VerifyCountdown(
      target->int_value(), numbers, response.text(), response.thought_opened());
  if (countdown.verdict != CountdownVerdict::kUnscorable) {
    verified.accuracy =
        FromBool(countdown.verdict == CountdownVerdict::kCorrect);
  }
  verified.flexible_correct = verified.accuracy == CORRECT;
  verified.extracted = std::move(countdown.extracted);
  verified.reason = std::move(countdown.reason);
  return verified;
}

// Of the verifiers that run no program.
Verified VerifyTextResponse(const Problem& problem,
                            const ResponseToScore& response) {
  return problem.verifier() == "countdown"
             ? VerifyCountdownResponse(problem, response)
             : VerifyMathResponse(problem, response);
}

absl::StatusOr<Verified> VerifyCodeResponse(CodeVerifier& verifier,
                                            const Problem& problem,
                                            const ResponseToScore& response,
                                            const CancelToken* cancel) {
  const ResponseParts parts =
      SplitResponse(response.text(), response.thought_opened());
  Verified verified;
  if (parts.has_thought && !parts.thought_closed) {
    verified.reason = "the thought was not closed";
    return verified;
  }
  const absl::string_view program = ExtractProgram(parts.answer);
  verified.extracted = std::string(program);
  absl::StatusOr<CodeResult> code =
      verifier.Verify(program, problem.tests(), cancel);
  if (absl::IsInvalidArgument(code.status())) {
    // The tests are at fault: what a bad gold answer is to maths.
    verified.accuracy = UNSCORABLE;
    verified.reason = std::string(code.status().message());
    return verified;
  }
  if (!code.ok()) return code.status();
  verified.accuracy = FromBool(code->correct);
  // The form is a block of code; there is no second, looser reading of it.
  verified.flexible_correct = code->correct;
  verified.timed_out = code->timed_out;
  verified.reason = std::move(code->reason);
  return verified;
}

}  // namespace

absl::Status ValidateProblem(const Problem& problem) {
  if (problem.verifier() != "math" && problem.verifier() != "code" &&
      problem.verifier() != "countdown") {
    return absl::InvalidArgumentError(
        absl::StrCat("problem ", problem.id(), ": verifier: got \"",
                     problem.verifier(), "\", wanted math, code or countdown"));
  }
  if (problem.verifier() == "code" && problem.tests().visible().empty() &&
      problem.tests().hidden().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("problem ", problem.id(), ": a code problem needs tests"));
  }
  for (const RewardComponent& component : problem.components()) {
    if (component.name() != kAccuracy && component.name() != kFormat) {
      return absl::InvalidArgumentError(absl::StrCat(
          "problem ", problem.id(), ": component: got \"", component.name(),
          "\", wanted ", kAccuracy, " or ", kFormat));
    }
    if (!std::isfinite(component.weight())) {
      return absl::InvalidArgumentError(
          absl::StrCat("problem ", problem.id(), ": component ",
                       component.name(), ": the weight is not a number"));
    }
  }
  return absl::OkStatus();
}

Scorer::Scorer(SandboxPool* pool, const CodeVerifier::Options& options,
               std::string why_no_pool)
    : why_no_pool_(std::move(why_no_pool)) {
  if (pool != nullptr) code_ = std::make_unique<CodeVerifier>(pool, options);
}

absl::StatusOr<ScoredResponse> Scorer::Score(const Problem& problem,
                                             const ResponseToScore& response,
                                             const CancelToken* cancel) {
  PONDER_RETURN_IF_ERROR(ValidateProblem(problem));
  const absl::Time start = absl::Now();
  Verified verified;
  if (response.truncated()) {
    verified.reason = "the response ended at the token limit";
    // A bad gold is one whatever the response is.
    if (problem.verifier() != "code" &&
        VerifyTextResponse(problem, ResponseToScore()).accuracy == UNSCORABLE) {
      verified.accuracy = UNSCORABLE;
    }
  } else if (problem.verifier() != "code") {
    verified = VerifyTextResponse(problem, response);
  } else if (code_ == nullptr) {
    return absl::FailedPreconditionError(why_no_pool_);
  } else {
    PONDER_ASSIGN_OR_RETURN(
        verified, VerifyCodeResponse(*code_, problem, response, cancel));
  }

  ScoredResponse scored;
  scored.set_index(response.index());
  scored.set_verdict(verified.accuracy);
  scored.set_extracted(ValidUtf8(
      absl::string_view(verified.extracted).substr(0, kMaxExtractedBytes)));
  scored.set_reason(ValidUtf8(verified.reason));
  scored.set_flexible_correct(verified.flexible_correct);
  scored.set_timed_out(verified.timed_out);

  RewardComponent accuracy;
  accuracy.set_name(kAccuracy);
  accuracy.set_weight(1);
  double reward = 0;
  bool has_reward = true;
  const auto add = [&](const RewardComponent& component) {
    ComponentScore* score = scored.add_components();
    score->set_name(component.name());
    score->set_weight(component.weight());
    if (component.name() == kFormat) {
      const bool formed =
          !response.truncated() &&
          VerifyFormat(response.text(), response.thought_opened()).correct;
      score->set_value(formed ? 1 : 0);
    } else if (verified.accuracy != UNSCORABLE) {
      score->set_value(verified.accuracy == CORRECT ? 1 : 0);
    }
    if (component.weight() == 0) return;
    has_reward &= score->has_value();
    reward += component.weight() * score->value();
  };
  for (const RewardComponent& component : problem.components()) add(component);
  if (problem.components().empty()) add(accuracy);
  if (has_reward) scored.set_reward(reward);
  scored.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
  return scored;
}

}  // namespace ponder
