// libFuzzer target of the maths verifier: raw bytes, soups of the language's
// tokens, and answers of the generator with bytes changed.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "reward/math/answer_generator_for_test.h"
#include "reward/math/compare.h"
#include "reward/math/limits.h"
#include "reward/math/verify.h"

namespace ponder {
namespace {

// Bytes of the input, and zeros behind them.
class Bytes {
 public:
  Bytes(const uint8_t* bytes, size_t size) : bytes_(bytes), size_(size) {}
  uint32_t Next(uint32_t bound) {
    if (size_ == 0) return 0;
    const uint32_t byte = *bytes_++;
    --size_;
    return byte % bound;
  }
  bool empty() const { return size_ == 0; }
  std::string Rest() {
    std::string rest(reinterpret_cast<const char*>(bytes_), size_);
    size_ = 0;
    return rest;
  }

 private:
  const uint8_t* bytes_;
  size_t size_;
};

constexpr const char* kTokens[] = {"0",
                                   "1",
                                   "7",
                                   "12",
                                   "999",
                                   "1.5",
                                   ".3",
                                   "1e9",
                                   "1,234",
                                   "10^{10}",
                                   "x",
                                   "y",
                                   "n",
                                   "e",
                                   "i",
                                   "\\pi ",
                                   "\\alpha ",
                                   "\\infty ",
                                   "+",
                                   "-",
                                   "*",
                                   "/",
                                   "^",
                                   "_",
                                   "!",
                                   "'",
                                   "%",
                                   "\\%",
                                   "^\\circ ",
                                   "=",
                                   "<",
                                   "\\le ",
                                   "\\ne ",
                                   "\\approx ",
                                   "\\in ",
                                   ",",
                                   ";",
                                   ":",
                                   "|",
                                   "\\mid ",
                                   "(",
                                   ")",
                                   "[",
                                   "]",
                                   "{",
                                   "}",
                                   "\\{",
                                   "\\}",
                                   "\\left(",
                                   "\\right)",
                                   "\\frac",
                                   "\\frac{1}{",
                                   "\\sqrt",
                                   "\\sqrt[3]{",
                                   "\\binom{",
                                   "\\sin ",
                                   "\\ln ",
                                   "\\log_2 ",
                                   "\\max(",
                                   "\\gcd(",
                                   "\\sum_{k=1}^{",
                                   "\\prod_{k=1}^{9}",
                                   "\\int_0^1 ",
                                   "dx",
                                   "\\lim_{x\\to 0}",
                                   "\\pm ",
                                   "\\mp ",
                                   "\\bmod ",
                                   "\\pmod{",
                                   "\\equiv ",
                                   "\\cup ",
                                   "\\cap ",
                                   "\\setminus ",
                                   "\\mathbb{R}",
                                   "\\emptyset ",
                                   "\\overline{",
                                   "\\begin{pmatrix}",
                                   "\\end{pmatrix}",
                                   "&",
                                   "\\\\",
                                   "\\text{",
                                   "\\text{ cm}",
                                   "\\text{ and }",
                                   " or ",
                                   "\\quad ",
                                   "\\boxed{",
                                   "\\fbox{",
                                   "$",
                                   "\\(",
                                   "\\)",
                                   "\\[",
                                   "\\]",
                                   "the answer is ",
                                   "####",
                                   "<answer>",
                                   "</answer>",
                                   "<think>",
                                   "</think>",
                                   "\n",
                                   " ",
                                   "\xe2\x88\x9a",
                                   "\xc2\xb2",
                                   "\xe2\x88\x92",
                                   "\xe2\x80\x8b",
                                   "\\lfloor ",
                                   "\\rfloor ",
                                   "percent",
                                   "two-thirds",
                                   "_5",
                                   "million"};

std::string Soup(Bytes* bytes) {
  std::string soup;
  const uint32_t count = 1 + bytes->Next(64);
  for (uint32_t k = 0; k < count && !bytes->empty(); ++k) {
    soup += kTokens[bytes->Next(std::size(kTokens))];
  }
  return soup;
}

void Check(bool holds) {
  if (!holds) std::abort();
}

void Verify(const std::string& gold, const std::string& response) {
  const MathResult result = VerifyMath(gold, response);
  Check(result.steps >= 0 && result.steps <= math::kMaxSteps);
  // What is correct is correct when the forms are searched less strictly.
  Check(result.verdict != MathVerdict::kCorrect || result.flexible_correct);
}

}  // namespace
}  // namespace ponder

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using ponder::math::Match;
  ponder::Bytes bytes(data, size);
  const uint32_t mode = bytes.Next(4);
  std::string gold;
  std::string answer;
  if (mode == 0) {
    const std::string all = bytes.Rest();
    const size_t cut = std::min(all.find('\0'), all.size());
    gold = all.substr(0, cut);
    answer = all.substr(std::min(cut + 1, all.size()));
  } else if (mode == 1) {
    gold = ponder::Soup(&bytes);
    answer = ponder::Soup(&bytes);
  } else {
    ponder::math::AnswerGenerator generator(
        [&bytes](uint32_t bound) { return bytes.Next(bound); });
    const ponder::math::Term term = generator.Answer();
    gold = generator.Written(term);
    answer = generator.Written(generator.NearMiss(term));
    // A few bytes of it changed.
    for (int k = 0; k < 3 && !answer.empty() && !bytes.empty(); ++k) {
      answer[bytes.Next(answer.size())] = static_cast<char>(bytes.Next(128));
    }
  }
  ponder::Verify(gold, answer);
  ponder::Verify(gold, "\\boxed{" + answer + "}");
  // An answer equals itself, unless it is none.
  ponder::math::Budget budget;
  const Match self =
      ponder::math::CompareAnswers(answer, answer, {}, &budget).match;
  ponder::Check(
      self == Match::kSame || self == Match::kBadGold ||
      ponder::math::CompareAnswers(answer, answer, {}, &budget).match == self);
  return 0;
}
