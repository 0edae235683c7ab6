#include "reward/builtin_verifiers.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "reward/countdown_verifier.h"
#include "reward/format_verifier.h"
#include "reward/language_share.h"
#include "reward/length_penalty.h"
#include "reward/math/verify.h"
#include "reward/repetition_penalty.h"
#include "reward/response_parts.h"

namespace ponder {
namespace {

constexpr char kTruncated[] = "the response ended at the token limit";

VerifierScore Judged(bool correct, std::string reason) {
  VerifierScore score;
  score.verdict = correct ? CORRECT : WRONG;
  score.value = correct ? 1 : 0;
  score.reason = std::move(reason);
  return score;
}

VerifierScore Unscorable(std::string reason) {
  VerifierScore score;
  score.reason = std::move(reason);
  return score;
}

// `best`: the value that a response can have at most.
VerifierScore Valued(double value, double best, std::string reason) {
  VerifierScore score = Judged(value >= best, std::move(reason));
  score.value = value;
  return score;
}

// The options of the problem's component `name`; defaults if there is none.
const RewardComponent& OptionsOf(const Problem& problem,
                                 absl::string_view name) {
  for (const RewardComponent& component : problem.components()) {
    if (component.name() == name) return component;
  }
  return RewardComponent::default_instance();
}

// A verifier whose work is bounded and cannot fail.
class FunctionVerifier final : public Verifier {
 public:
  using Function = VerifierScore (*)(const Problem&, const ResponseToScore&);

  explicit FunctionVerifier(Function function) : function_(function) {}

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> samples,
      const CancelToken* /*cancel*/) override {
    std::vector<VerifierScore> scores;
    scores.reserve(samples.size());
    for (const SampleToScore& sample : samples) {
      scores.push_back(function_(*sample.problem, *sample.response));
    }
    return scores;
  }

 private:
  const Function function_;
};

VerifierScore ScoreMath(const Problem& problem,
                        const ResponseToScore& response) {
  MathOptions options;
  options.thought_opened = response.thought_opened();
  MathResult math = VerifyMath(problem.answer(), response.text(), options);
  VerifierScore score = math.verdict == MathVerdict::kUnscorable
                            ? Unscorable(std::move(math.reason))
                            : Judged(math.verdict == MathVerdict::kCorrect,
                                     std::move(math.reason));
  score.flexible_correct = math.flexible_correct;
  score.beyond_limits = math.beyond_limits;
  score.extracted = std::move(math.extracted);
  return score;
}

// The row's column; null if it has none.
const Value* Column(const Problem& problem, absl::string_view name) {
  for (const Field& field : problem.row().fields()) {
    if (field.name() == name) return &field.value();
  }
  return nullptr;
}

// Reads columns `target` and `numbers` (or `nums`) of the row.
VerifierScore ScoreCountdown(const Problem& problem,
                             const ResponseToScore& response) {
  const Value* target = Column(problem, "target");
  if (target == nullptr || !target->has_int_value()) {
    return Unscorable("the row has no column target with an integer");
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
    return Unscorable("the row has no column numbers with a list of integers");
  }
  CountdownResult countdown = VerifyCountdown(
      target->int_value(), numbers, response.text(), response.thought_opened());
  const bool correct = countdown.verdict == CountdownVerdict::kCorrect;
  VerifierScore score = countdown.verdict == CountdownVerdict::kUnscorable
                            ? Unscorable(std::move(countdown.reason))
                            : Judged(correct, std::move(countdown.reason));
  score.flexible_correct = correct;
  score.extracted = std::move(countdown.extracted);
  return score;
}

VerifierScore ScoreFormat(const Problem& problem,
                          const ResponseToScore& response) {
  if (response.truncated()) return Judged(false, kTruncated);
  FormatResult format =
      VerifyFormat(response.text(), response.thought_opened(),
                   OptionsOf(problem, "format").format().answer_tags());
  return Judged(format.correct, std::move(format.reason));
}

absl::string_view LastBytes(absl::string_view text) {
  return text.substr(text.size() -
                     std::min<size_t>(text.size(), kMaxResponseBytes));
}

VerifierScore ScoreLanguage(const Problem& problem,
                            const ResponseToScore& response) {
  const LanguageOptions& options = OptionsOf(problem, "language").language();
  if (options.has_target() && !IsKnownLanguage(options.target())) {
    return Unscorable(absl::StrCat("language.target: \"", options.target(),
                                   "\" is no language that is known"));
  }
  const LanguageShare share =
      MeasureLanguage(LastBytes(response.text()), options.target(),
                      LastBytes(problem.prompt()));
  return Valued(share.value(), /*best=*/1,
                absl::StrCat(share.target_words, " of ", share.words,
                             " words are in the language ",
                             share.language.empty() ? "of the text, which is "
                                                      "not known"
                                                    : share.language));
}

VerifierScore ScoreLength(const Problem& problem,
                          const ResponseToScore& response) {
  const LengthOptions& options = OptionsOf(problem, "length").length();
  if (options.max_tokens() < 1) {
    return Unscorable("length.max_tokens is not set");
  }
  const int64_t cache_tokens = options.has_cache_tokens()
                                   ? options.cache_tokens()
                                   : options.max_tokens() / 5;
  const int64_t tokens = response.ids_size();
  return Valued(
      LengthPenalty(tokens, options.max_tokens(), cache_tokens),
      /*best=*/0,
      absl::StrCat(tokens, " tokens of at most ", options.max_tokens(),
                   ", free up to ", options.max_tokens() - cache_tokens));
}

VerifierScore ScoreRepetition(const Problem& problem,
                              const ResponseToScore& response) {
  const int n = OptionsOf(problem, "repetition").repetition().ngram_words();
  const double value = RepetitionPenalty(LastBytes(response.text()), n);
  return Valued(
      value, /*best=*/0,
      absl::StrCat(-100 * value, " % of the ", n, "-grams were there before"));
}

// Runs programs: on threads of its own, one for each slot of the sandbox.
class CodeScorer final : public Verifier {
 public:
  CodeScorer(Sandbox* sandbox, const CodeVerifier::Options& options)
      : verifier_(sandbox, options), num_slots_(sandbox->num_slots()) {}

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> samples,
      const CancelToken* cancel) override {
    std::vector<VerifierScore> scores;
    for (const SampleToScore& sample : samples) {
      PONDER_ASSIGN_OR_RETURN(
          VerifierScore score,
          ScoreOne(*sample.problem, *sample.response, cancel));
      scores.push_back(std::move(score));
    }
    return scores;
  }

  int num_threads() const override { return num_slots_; }

 private:
  absl::StatusOr<VerifierScore> ScoreOne(const Problem& problem,
                                         const ResponseToScore& response,
                                         const CancelToken* cancel) {
    if (problem.tests().visible().empty() && problem.tests().hidden().empty()) {
      return Unscorable("a code problem needs tests, this one has none");
    }
    if (response.truncated()) return Judged(false, kTruncated);
    const ResponseParts parts =
        SplitResponse(response.text(), response.thought_opened());
    if (parts.has_thought && !parts.thought_closed) {
      return Judged(false, "the thought was not closed");
    }
    const ExtractedProgram program =
        ExtractProgram(parts.answer, problem.tests().language());
    absl::StatusOr<CodeResult> code =
        verifier_.Verify(program, problem.tests(), cancel);
    VerifierScore score;
    if (absl::IsInvalidArgument(code.status())) {
      // The tests are at fault: what a bad gold answer is to maths.
      score = Unscorable(std::string(code.status().message()));
    } else if (!code.ok()) {
      return code.status();
    } else {
      score = Judged(code->correct, std::move(code->reason));
      score.value = code->value;
      // The form is a block of code; there is no second, looser reading of it.
      score.flexible_correct = code->correct;
      score.timed_out = code->timed_out;
    }
    score.extracted = std::string(program.source);
    return score;
  }

  CodeVerifier verifier_;
  const int num_slots_;
};

class NoCodeScorer final : public Verifier {
 public:
  explicit NoCodeScorer(std::string why) : why_(std::move(why)) {}

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> /*samples*/,
      const CancelToken* /*cancel*/) override {
    return absl::FailedPreconditionError(why_);
  }

 private:
  const std::string why_;
};

}  // namespace

VerifierMap BuiltInVerifiers(Sandbox* sandbox,
                             const CodeVerifier::Options& options,
                             std::string why_no_sandbox) {
  VerifierMap verifiers;
  const auto add = [&](const char* name, FunctionVerifier::Function function) {
    verifiers[name] = std::make_unique<FunctionVerifier>(function);
  };
  add("math", ScoreMath);
  add("countdown", ScoreCountdown);
  add("format", ScoreFormat);
  add("language", ScoreLanguage);
  add("length", ScoreLength);
  add("repetition", ScoreRepetition);
  if (sandbox != nullptr) {
    verifiers["code"] = std::make_unique<CodeScorer>(sandbox, options);
  } else {
    verifiers["code"] =
        std::make_unique<NoCodeScorer>(std::move(why_no_sandbox));
  }
  return verifiers;
}

bool JudgesAnswer(absl::string_view name) {
  return name == "math" || name == "countdown" || name == "code";
}

}  // namespace ponder
