#include "reward/math/attacks_for_test.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ponder::math {
namespace {

std::string Repeated(const std::string& text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t k = 0; k < count; ++k) out += text;
  return out;
}

std::string Boxed(const std::string& answer) {
  return absl::StrCat("\\boxed{", answer, "}");
}

// open open ... inside ... close close
std::string Nested(const std::string& open, const std::string& inside,
                   const std::string& close, size_t depth) {
  return absl::StrCat(Repeated(open, depth), inside, Repeated(close, depth));
}

std::string Numbers(size_t count, const std::string& between) {
  std::vector<std::string> items;
  for (size_t k = 0; k < count; ++k) items.push_back(absl::StrCat(k * 7 + 3));
  return absl::StrJoin(items, between);
}

std::string SquareRoots(size_t count) {
  std::vector<std::string> items;
  for (size_t k = 2; k < count + 2; ++k) {
    items.push_back(absl::StrCat("\\sqrt{", k, "}"));
  }
  return absl::StrJoin(items, "+");
}

std::string SquareRootList(size_t count, size_t first) {
  std::vector<std::string> items;
  for (size_t k = 0; k < count; ++k) {
    items.push_back(absl::StrCat("\\sqrt{", k + first, "}"));
  }
  return absl::StrJoin(items, ",");
}

std::string Matrix(size_t size) {
  std::vector<std::string> rows;
  for (size_t r = 0; r < size; ++r) {
    std::vector<std::string> cells;
    for (size_t c = 0; c < size; ++c)
      cells.push_back(absl::StrCat("x_{", r, c, "}"));
    rows.push_back(absl::StrJoin(cells, "&"));
  }
  return absl::StrCat("\\begin{pmatrix}", absl::StrJoin(rows, "\\\\ "),
                      "\\end{pmatrix}");
}

}  // namespace

std::vector<Attack> Attacks() {
  constexpr size_t kMega = size_t{1} << 20;
  std::vector<Attack> attacks;
  const auto boxed = [&](const std::string& name, const std::string& answer,
                         const std::string& gold = "5") {
    attacks.push_back({name, gold, Boxed(answer)});
  };
  const auto plain = [&](const std::string& name, std::string response,
                         const std::string& gold = "5") {
    attacks.push_back({name, gold, std::move(response)});
  };
  // Numbers that are too large.
  boxed("7^{100000000}", "7^{100000000}");
  boxed("10^{10^{10}}", "10^{10^{10}}");
  boxed("2^{2^{40}}", "2^{2^{40}}");
  boxed("2^{2^{2^{2^{2^{2}}}}}", "2^{2^{2^{2^{2^{2}}}}}");
  boxed("power tower against itself and one", "9^{9^{9^{9}}}+1",
        "9^{9^{9^{9}}}");
  boxed("10000000!", "10000000!");
  boxed("(10^9)!", "(10^{9})!");
  boxed("((10!)!)!", "((10!)!)!");
  boxed("3!!!!!!!!", Nested("(", "3", ")!", 8));
  boxed("binomial", "\\binom{10^7}{5\\cdot 10^6}");
  boxed("binomial of a variable", "\\binom{n}{10^7}", "n");
  boxed("harmonic sum", "\\sum_{k=1}^{10^7} \\frac{1}{k}");
  boxed("long sum of powers", "\\sum_{k=1}^{2000} k^{2000}");
  boxed("sums in sums",
        "\\sum_{a=1}^{2000}\\sum_{b=1}^{2000}\\sum_{c=1}^{2000} abc");
  boxed("product of factorials", "\\prod_{k=1}^{2000} k!");
  boxed("e tower", "e^{e^{e^{e^{e}}}}");
  boxed("e tower of a variable", "e^{e^{e^{e^{e^{x}}}}}", "x");
  boxed("tiny", "10^{-10^{9}}", "0");
  boxed("tiny against a decimal", "\\pi\\cdot 10^{-10^{10}}", "0.5");
  boxed("1e999999999", "1e999999999");
  boxed("1e-999999999", "1e-999999999", "0");
  boxed("huge exponent of a decimal", "1.0000001^{10^{12}}");
  boxed("sine of a huge number", "\\sin(10^{10^{10}})");
  boxed("root of a huge number", "\\sqrt{7^{100000000}}");
  boxed("huge root index", "\\sqrt[10^{18}]{2}", "1");
  boxed("gamma of a large number", "(10^{8}+\\frac{1}{2})!");
  plain("plain power tower", "The answer is 9^9^9^9");
  plain("plain powers", "99999999**9999999");
  plain("million digits", std::string(kMega - 100, '7'));
  boxed("million digits in a box", std::string(kMega - 100, '7'));
  boxed("decimals", absl::StrCat("1.", std::string(200000, '0'), "1"), "1");
  boxed("4000 digits", std::string(4000, '3'));
  boxed("quotient of long numbers",
        absl::StrCat("\\frac{", std::string(1900, '3'), "}{",
                     std::string(1900, '7'), "}"));
  boxed("product of long numbers",
        Repeated(absl::StrCat("(", std::string(90, '9'), ")"), 40));
  boxed("powers of powers", Nested("(", "2", ")^{9}", 40));
  boxed("sum of powers", Repeated("3^{5000}+7^{4000}+", 100) + "1");
  // Depth and length.
  boxed("parentheses", Nested("(", "6", ")", 300));
  boxed("10,000 parentheses", Nested("(", "6", ")", 10000));
  boxed("fractions", Nested("\\frac{1}{1+", "1", "}", 200), "1");
  boxed("10,000 fractions", Nested("\\frac{1}{1+", "1", "}", 10000), "1");
  boxed("roots", Nested("\\sqrt{2+", "3", "}", 60), "2");
  boxed("cube roots of variables", Nested("\\sqrt[3]{x+", "y", "}", 70), "x");
  boxed("absolute values", Nested("|", "x", "|", 70), "y");
  boxed("minus signs", absl::StrCat(std::string(3000, '-'), "5"));
  boxed("sines", Nested("\\sin(", "x", ")", 70), "x");
  boxed("exponents", Nested("x^{", "x", "}", 70), "x");
  boxed("subscripts", Nested("x_{", "1", "}", 500), "x");
  boxed("factorials", absl::StrCat("x", std::string(500, '!')), "x");
  boxed("primes", absl::StrCat("f", std::string(1000, '\''), "(x)"), "f(x)");
  boxed("plus-minus", Repeated("\\pm 1 ", 200), "1");
  boxed("choices of signs", "1\\pm 2\\pm 3\\pm 4\\pm 5\\pm 6\\pm 7", "1");
  boxed("chain", Repeated("x=", 900) + "6");
  boxed("chain of inequalities", Repeated("x<", 900) + "5");
  boxed("set of 3,000", absl::StrCat("\\{", Numbers(3000, ","), "\\}"));
  boxed("set of 250 against another",
        absl::StrCat("\\{", Numbers(250, ","), "\\}"),
        absl::StrCat("\\{", Numbers(249, ","), ",1\\}"));
  boxed("set of 100 roots against another",
        absl::StrCat("\\{", SquareRootList(100, 3), "\\}"),
        absl::StrCat("\\{", SquareRootList(100, 2), "\\}"));
  boxed("sum of 200 roots", SquareRoots(200));
  boxed("sum of roots against itself and one", SquareRoots(100) + "+1",
        SquareRoots(100));
  boxed("20x20 matrix", Matrix(20), "1");
  boxed("product of matrices",
        Repeated("\\begin{pmatrix}1&1\\\\ 1&0\\end{pmatrix}", 60), "1");
  boxed("power of a matrix",
        Nested("(", "\\begin{pmatrix}1&1\\\\ 1&0\\end{pmatrix}", ")^8", 20),
        "1");
  boxed("many variables", "(a+b+c+d+f)^{20}", "(a+b+c+d+f)^{20}+a");
  boxed("multinomial", "(x+y+z+w+1)^{60}", "(x+y+z+w)^{60}");
  boxed("large powers", "(x+1)^{1000000007}", "(x+1)^{1000000006}");
  boxed("intervals", Repeated("[0,1]\\cup", 150) + "[2,3]", "[0,1]\\cup[2,4]");
  boxed("intersections", Repeated("[0,\\sqrt{3}]\\cap", 150) + "[1,3]",
        "[1,\\sqrt{3}]\\cup\\{5\\}");
  boxed("integral", "\\int_0^\\infty \\sin(x^x)\\,dx");
  boxed("wild integral", "\\int_0^{100} \\sin(e^{x^2})\\,dx");
  boxed("integral of an absolute value",
        "\\int_0^{10} |\\sin(x)|^{\\frac{1}{3}}\\,dx");
  boxed("integrals in integrals",
        "\\int_0^1\\int_0^1\\int_0^1 e^{xyz} dx dy dz");
  boxed("integral in a sum", "\\sum_{k=1}^{2000}\\int_0^1 e^{kx} dx");
  boxed("limit", "\\lim_{x\\to 0} \\frac{\\sin x}{x}", "1");
  boxed("gcd", absl::StrCat("\\gcd(", Numbers(200, ","), ")"));
  boxed("maximum of roots",
        absl::StrCat("\\max(", SquareRootList(150, 2), ")"));
  boxed("quadratic inequality", "x^2-2x-10^{400}<0", "0<x<1");
  boxed("units", Repeated("5\\text{ cm}", 200));
  boxed("powers of units", "5\\text{ cm}^{99999999999}");
  // Text for searches.
  plain("unclosed boxes", Repeated("\\boxed{", kMega / 7));
  plain("unclosed box, long",
        absl::StrCat("\\boxed{", std::string(kMega, 'a')));
  plain("boxes", Repeated("\\boxed{1}", kMega / 9));
  plain("display formulas", Repeated("\\[ ", 20000));
  plain("inline formulas", Repeated("\\( ", 20000));
  plain("formulas without end", Repeated("\\(1", kMega / 3));
  plain("dollars", std::string(kMega, '$'));
  plain("dollars and digits", Repeated("$1", kMega / 2));
  plain("dollars and lines", Repeated("$1\n\n", kMega / 4));
  plain("backslashes", std::string(kMega, '\\'));
  plain("braces", std::string(kMega, '{'));
  plain("x", std::string(kMega, 'x'));
  plain("answer", Repeated("answer ", kMega / 7));
  plain("answer is", Repeated("answer is ", kMega / 10));
  plain("w", std::string(kMega, 'w'));
  plain("hashes", std::string(kMega, '#'));
  plain("thoughts", Repeated("<think>", kMega / 7));
  plain("closed thoughts", Repeated("</think>", kMega / 8));
  plain("answer tags", Repeated("<answer>", kMega / 8));
  plain("stars", Repeated("1*", kMega / 2));
  plain("words", Repeated("word ", kMega / 5));
  plain("invalid UTF-8", std::string(kMega, '\xff'));
  plain("Chinese", Repeated("\xe7\xad\x94", kMega / 3));
  attacks.push_back({"a megabyte of prose before the box", "42",
                     Repeated("So we go on. ", kMega / 13) + "\\boxed{42}",
                     true});
  attacks.push_back({"four megabytes of prose before the box", "42",
                     Repeated("So we go on. ", 4 * kMega / 13) + "\\boxed{42}",
                     true});
  // What wants to be right.
  boxed("all of the above", "\\text{all of the above}");
  boxed("reference", "\\text{the reference answer}");
  boxed("tautology", "x=x");
  boxed("hedge", "5, 6");
  boxed("hedge by or", "5 \\text{ or } 6");
  boxed("both signs", "\\pm 5");
  boxed("all numbers", "\\mathbb{R}");
  boxed("undefined", "\\frac{0}{0}");
  boxed("undefined zero", "\\infty-\\infty", "0");
  boxed("zero width space", "5\xe2\x80\x8b");
  boxed("right-to-left mark",
        "\xe2\x80\x8f"
        "5");
  boxed("variation selector", "5\xef\xb8\x8f");
  boxed("wrong equation", "4=5");
  boxed("wrong chain", "x=6=5");
  boxed("Cyrillic a", "\xd0\xb0", "a");
  boxed("empty box", "");
  boxed("spaces", "   ");
  boxed("any constant", "5+C");
  boxed("any variable", "n");
  boxed("code", "\\text{__import__('os').system('id')}");
  boxed("number with a dot for each digit", ".....5");
  plain("every box", "\\boxed{A}\\boxed{B}\\boxed{C}\\boxed{D}", "D");
  plain("every number", absl::StrCat("The answer is ", Numbers(200, ", ")),
        "3");
  return attacks;
}

}  // namespace ponder::math
