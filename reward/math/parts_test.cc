// The parts of the maths verifier, each by itself.

#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "reward/math/ball.h"
#include "reward/math/cases.h"
#include "reward/math/exact.h"
#include "reward/math/expr_text.h"
#include "reward/math/modular.h"
#include "reward/math/parser.h"
#include "reward/math/plain_text.h"
#include "reward/math/real_set.h"
#include "reward/math/scalar.h"
#include "reward/math/unicode_latex.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

// How a text is read; "text" if it is no mathematics.
std::string Read(const std::string& text, const Reading& reading = {}) {
  Arena arena;
  const Parsed parsed = Parse(text, reading, &arena);
  return parsed.root == kNoId ? "text" : ExprText(arena, parsed.root);
}

TEST(ParserTest, ReadsNumbers) {
  EXPECT_EQ(Read("1,234"), "1234");
  EXPECT_EQ(Read("1,23"), "1, 23");
  EXPECT_EQ(Read("1,234,5"), "1, 234, 5");
  EXPECT_EQ(Read("(1,234)"), "(1, 234)");
  EXPECT_EQ(Read("1 234"), "1234");
  EXPECT_EQ(Read("1{,}234{,}567"), "1234567");
  EXPECT_EQ(Read("0,5"), "0, 5");
  EXPECT_EQ(Read("3{,}21"), "321/100");
  EXPECT_EQ(Read("2.50"), "5/2");
  EXPECT_EQ(Read("2.5E2"), "250");
  EXPECT_EQ(Read("0.1\\overline{6}"), "1/6");
  EXPECT_EQ(Read("0.(3)"), "1/3");
  EXPECT_EQ(Read("3\\frac{1}{2}"), "(3 + (1/2))");
  EXPECT_EQ(Read("3 1/2"), "(3 + (1/2))");
  EXPECT_EQ(Read("3\\frac{5}{2}"), "(3*(5/2))");
  EXPECT_EQ(Read("3 4"), "text");
  Reading list;
  list.comma_is_list = true;
  EXPECT_EQ(Read("1,234", list), "1, 234");
  Reading decimal;
  decimal.comma_is_decimal = true;
  EXPECT_EQ(Read("2,74", decimal), "137/50");
}

TEST(ParserTest, ReadsPrecedence) {
  EXPECT_EQ(Read("a+b*c^d"), "(a + (b*(c^d)))");
  EXPECT_EQ(Read("-x^2"), "(-1*(x^2))");
  EXPECT_EQ(Read("2^3^2"), "(2^(3^2))");
  EXPECT_EQ(Read("1/2x"), "((1/2)*x)");
  EXPECT_EQ(Read("a/2x"), "(a/(2*x))");
  EXPECT_EQ(Read("\\sin 2x\\cos x"), "(sin((2*x))*cos(x))");
  EXPECT_EQ(Read("\\sin^2 x"), "(sin(x)^2)");
  EXPECT_EQ(Read("\\sin^{-1} x"), "arcsin(x)");
  EXPECT_EQ(Read("\\log_2 8"), "log(8, 2)");
  EXPECT_EQ(Read("n(n+1)"), "(n*(n + 1))");
  EXPECT_EQ(Read("f(x+1)"), "f((x + 1))");
  EXPECT_EQ(Read("||x||"), "abs(abs(x))");
  EXPECT_EQ(Read("\\sqrt[3]{x}"), "root(x, 3)");
  EXPECT_EQ(Read("x_1^2"), "(x_1^2)");
  EXPECT_EQ(Read("x^2_1"), "(x_1^2)");
  EXPECT_EQ(Read("n!!"), "double_factorial(n)");
}

TEST(ParserTest, ReadsCollectionsAndStatements) {
  EXPECT_EQ(Read("\\{1,2\\}"), "{1, 2}");
  EXPECT_EQ(Read("[0,1)"), "[0, 1)");
  EXPECT_EQ(Read("]0,1["), "]0, 1[");
  EXPECT_EQ(Read("1 \\text{ and } 2"), "1, 2");
  EXPECT_EQ(Read("1 or 2"), "1 or 2");
  EXPECT_EQ(Read("1<x\\le 2"), "1 < x <= 2");
  EXPECT_EQ(Read("\\{x \\mid x>3\\}"), "{x | x > 3}");
  EXPECT_EQ(Read("x \\in [1,2]"), "x in [1, 2]");
  EXPECT_EQ(Read("(1,2)\\cup(3,4)"), "((1, 2) union (3, 4))");
  EXPECT_EQ(Read("a:b"), "a:b");
  EXPECT_EQ(Read("x\\equiv 2\\pmod 5"), "x = 2 = 5 (congruent)");
  EXPECT_EQ(Read("5\\text{ cm}^2"), "5 [cm^2]");
  EXPECT_EQ(Read("50\\%"), "50 percent");
  EXPECT_EQ(Read("204_5"), "204 to the base 5");
  EXPECT_EQ(Read("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}"),
            "matrix of 2 columns (1, 2, 3, 4)");
  EXPECT_EQ(Read("1\\pm 2"), "(1 + +-2)");
}

TEST(ParserTest, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"", "()", ")", "^", "_", "\\int", "\\frac{}{2}",
                           "||x|", "\\sqrt", "%", "\\unknown x", "5 minus 1",
                           "(1,2", "a + ", "@", "\\lfloor a \\rceil"}) {
    EXPECT_EQ(Read(text), "text") << text;
  }
}

TEST(LexerTest, FindsInvisibleCharacters) {
  EXPECT_FALSE(HasInvisibleCharacters("5 \xc3\xa9\n"));
  EXPECT_TRUE(HasInvisibleCharacters("5\xe2\x80\x8b"));  // U+200B
  EXPECT_TRUE(
      HasInvisibleCharacters("\xef\xbb\xbf"
                             "5"));  // U+FEFF
  EXPECT_TRUE(HasInvisibleCharacters("5\x01"));
}

TEST(LexerTest, TurnsUnicodeIntoLatex) {
  EXPECT_EQ(UnicodeToLatex("x\xc2\xb2\xc2\xb3"), "x^{23}");
  EXPECT_EQ(UnicodeToLatex("\xe2\x88\x92"
                           "5"),
            "-5");
  EXPECT_EQ(UnicodeToLatex("\xef\xbc\x95"), "5");
  EXPECT_EQ(UnicodeToLatex("x\xe2\x82\x81"), "x_{1}");
}

TEST(ExactTest, KeepsToTheLimits) {
  Arena arena;
  Budget budget;
  const auto value = [&](const std::string& text) {
    return ExactValue(arena, Parse(text, {}, &arena).root, &budget);
  };
  EXPECT_TRUE(*value("2^{10}") == Rational(1024));
  EXPECT_TRUE(*value("\\sqrt{16}") == Rational(4));
  EXPECT_TRUE(*value("\\gcd(12,18)") == Rational(6));
  EXPECT_TRUE(*value("-7 \\bmod 3") == Rational(2));
  EXPECT_TRUE(*value("\\lceil 2.1\\rceil") == Rational(3));
  EXPECT_FALSE(value("\\sqrt{2}").has_value());
  EXPECT_FALSE(value("2^{100000}").has_value());
  EXPECT_FALSE(value("1/0").has_value());
  EXPECT_FALSE(value("0^0").has_value());
  EXPECT_FALSE(value("x").has_value());
  EXPECT_FALSE(BasedValue("29", 8).has_value());
  EXPECT_TRUE(*BasedValue("ff", 16) == Rational(255));
}

TEST(ModularTest, TellsFunctionsApart) {
  Arena arena;
  Budget budget;
  const Id a = Parse("(x+1)^{1000}", {}, &arena).root;
  const Id b = Parse("(1+x)^{1000}", {}, &arena).root;
  const Id c = Parse("(x+1)^{1001}", {}, &arena).root;
  ModularEvaluator evaluator(arena, 0, 1, &budget);
  EXPECT_EQ(evaluator.Of(a), evaluator.Of(b));
  EXPECT_NE(evaluator.Of(a), evaluator.Of(c));
  EXPECT_FALSE(evaluator.met_opaque());
  EXPECT_EQ(DegreeBound(arena, a), 1000);
  // i is a square root of -1, and 0 has no inverse.
  const Id i = Parse("i^2+1", {}, &arena).root;
  EXPECT_EQ(evaluator.Of(i), uint64_t{0});
  EXPECT_FALSE(evaluator.Of(Parse("1/(x-x)", {}, &arena).root).has_value());
  EXPECT_TRUE(evaluator.divided_by_zero());
  evaluator.Of(Parse("\\sqrt{x}", {}, &arena).root);
  EXPECT_TRUE(evaluator.met_opaque());
}

TEST(BallTest, EnclosesValues) {
  Arena arena;
  Budget budget;
  const auto value = [&](const std::string& text, Field field) {
    return BallValue(arena, Parse(text, {}, &arena).root, {}, field, 128,
                     &budget);
  };
  const Ball pi = value("4\\arctan 1", Field::kComplex);
  EXPECT_NEAR(arf_get_d(arb_midref(pi.re()), ARF_RND_NEAR), 3.14159265358979,
              1e-13);
  EXPECT_TRUE(value("\\sqrt{-1}", Field::kComplex).is_finite());
  EXPECT_FALSE(value("\\sqrt{-1}", Field::kReal).is_finite());
  EXPECT_FALSE(value("1/0", Field::kComplex).is_finite());
  EXPECT_FALSE(value("x", Field::kComplex).is_finite());
  EXPECT_NEAR(
      arf_get_d(arb_midref(value("\\int_0^1 e^x dx", Field::kComplex).re()),
                ARF_RND_NEAR),
      1.718281828459045, 1e-13);
}

TEST(ScalarTest, SignsAndOrder) {
  Arena arena;
  Budget budget;
  const auto sign = [&](const std::string& text) {
    return SignOf(arena, Parse(text, {}, &arena).root, &budget);
  };
  EXPECT_EQ(sign("\\sqrt{2}-1"), 1);
  EXPECT_EQ(sign("3-\\pi"), -1);
  EXPECT_EQ(sign("\\sqrt{8}-2\\sqrt{2}"), 0);
  EXPECT_EQ(sign("i"), std::nullopt);
}

TEST(ScalarTest, TheBudgetEnds) {
  Arena arena;
  const Id a = Parse("\\sin(\\sin(\\sin x))", {}, &arena).root;
  const Id b = Parse("\\cos(\\cos(\\cos x))", {}, &arena).root;
  Budget budget(100);
  EXPECT_EQ(SameScalar(arena, a, b, &budget), Outcome::kBeyond);
  EXPECT_TRUE(budget.exhausted());
}

TEST(RealSetTest, SolvesInequalities) {
  Arena arena;
  Budget budget;
  const auto same = [&](const std::string& relation, const std::string& set) {
    const auto a =
        SolutionsOf(&arena, Parse(relation, {}, &arena).root, &budget);
    const auto b = RealSetOf(&arena, Parse(set, {}, &arena).root, &budget);
    return a.has_value() && b.has_value() &&
           SameRealSet(arena, *a, *b, &budget);
  };
  EXPECT_TRUE(same("2x+1>5", "(2,\\infty)"));
  EXPECT_TRUE(same("-x\\ge 1", "(-\\infty,-1]"));
  EXPECT_TRUE(same("x^2<2", "(-\\sqrt2,\\sqrt2)"));
  EXPECT_TRUE(same("x^2\\ge 4", "(-\\infty,-2]\\cup[2,\\infty)"));
  EXPECT_TRUE(same("-x^2+x+6>0", "(-2,3)"));
  EXPECT_TRUE(same("x^2+1>0", "\\mathbb{R}"));
  EXPECT_TRUE(same("x^2+1<0", "\\emptyset"));
  EXPECT_TRUE(same("|2x-1|\\le 3", "[-1,2]"));
  EXPECT_FALSE(same("x>2", "[2,\\infty)"));
  EXPECT_FALSE(same("x+y>2", "(2,\\infty)"));
}

TEST(UnitsTest, KnowsDimensionsAndFactors) {
  EXPECT_EQ(ParseUnit("cm").dimension, "length");
  EXPECT_EQ(ParseUnit("square centimeters").dimension,
            ParseUnit("cm^2").dimension);
  EXPECT_EQ(ParseUnit("km/h").dimension,
            ParseUnit("meters per second").dimension);
  EXPECT_TRUE(ParseUnit("km").factor == Rational(1000));
  EXPECT_EQ(ParseUnit("dollars").dimension, "usd");
  EXPECT_EQ(ParseUnit("apples").dimension, ParseUnit("apple").dimension);
  EXPECT_NE(ParseUnit("apples").dimension, ParseUnit("pears").dimension);
  EXPECT_TRUE(IsUnitWord("miles"));
  EXPECT_FALSE(IsUnitWord("apples"));
}

TEST(PlainTextTest, NormalisesText) {
  EXPECT_EQ(NormalText("\\text{Evelyn}."), "evelyn");
  EXPECT_EQ(NormalText("(C)"), "C");
  EXPECT_EQ(NormalText("\\textbf{C}"), "C");
  EXPECT_EQ(NormalText("**Yes**"), "yes");
  EXPECT_EQ(NormalText("1 2"), "1 2");
  EXPECT_EQ(NormalText("x + 1"), "x+1");
  // Braces that mean something stay.
  EXPECT_NE(NormalText("\\sqrt{x+1}"), NormalText("\\sqrt{x}+1"));
}

TEST(PlainTextTest, ReadsNumbersInWords) {
  const auto is = [](const char* words, int64_t above, int64_t below) {
    const std::optional<Rational> value = NumberInWords(words);
    Rational wanted(above);
    fmpz_set_si(wanted.den(), below);
    return value.has_value() && *value == wanted;
  };
  EXPECT_TRUE(is("two-thirds", 2, 3));
  EXPECT_TRUE(is("forty two", 42, 1));
  EXPECT_TRUE(is("two hundred and five", 205, 1));
  EXPECT_TRUE(is("three million", 3000000, 1));
  EXPECT_TRUE(is("three and a half", 7, 2));
  EXPECT_TRUE(is("a quarter", 1, 4));
  EXPECT_TRUE(is("minus one", -1, 1));
  for (const char* words :
       {"", "a", "and", "two and", "twos company", "half a"}) {
    EXPECT_FALSE(NumberInWords(words).has_value()) << words;
  }
}

TEST(CasesTest, ReadsConfigurations) {
  const auto parsed = ParseMathCase(
      R"({"id": "a", "gold": "$1/3$", "pred": "0.333", "gold_config": ["latex"],)"
      R"( "pred_config": ["latex", "expr"], "params": {"float_rounding": 3,)"
      R"( "strict": false}, "expected": true, "flag": "policy"})");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_TRUE(parsed->has_value());
  const MathCase& test = **parsed;
  EXPECT_EQ(test.id, "a");
  EXPECT_EQ(test.options.find, MathOptions::Find::kAny);
  EXPECT_EQ(test.options.float_rounding, 3);
  EXPECT_TRUE(test.options.any_variable_names);
  EXPECT_EQ(test.expected, true);
  EXPECT_TRUE(test.flagged);
  EXPECT_EQ(VerifyMath(test.gold, test.response, test.options).verdict,
            MathVerdict::kCorrect);
}

// What other graders hold differently is an option.
TEST(CasesTest, PoliciesOfOtherGraders) {
  const auto verdict = [](absl::string_view gold, absl::string_view answer,
                          absl::string_view params) {
    const auto test = ParseMathCase(absl::StrCat(
        R"({"gold": ")", gold, R"(", "pred": ")", answer,
        R"(", "gold_config": ["raw"], "pred_config": ["raw"], "params": {)",
        params, "}}"));
    EXPECT_TRUE(test.ok()) << test.status();
    return VerifyMath((*test)->gold, (*test)->response, (*test)->options)
        .verdict;
  };
  const std::string ordered = R"("ordered_lists": true)";
  EXPECT_EQ(verdict("4, 10, -2", "10, 4, -2", ""), MathVerdict::kCorrect);
  EXPECT_EQ(verdict("4, 10, -2", "10, 4, -2", ordered), MathVerdict::kWrong);
  EXPECT_EQ(verdict("4, 10, -2", "4, 10, -2.0", ordered),
            MathVerdict::kCorrect);
  EXPECT_EQ(verdict(R"(\\{1, 2\\})", R"(\\{2, 1\\})", ordered),
            MathVerdict::kCorrect);
  const std::string strict_sets = R"("allow_set_relation_comp": false)";
  EXPECT_EQ(verdict("(1, 2)", "1 < x < 2", ""), MathVerdict::kCorrect);
  EXPECT_EQ(verdict("(1, 2)", "1 < x < 2", strict_sets), MathVerdict::kWrong);
  EXPECT_EQ(verdict("1 < x < 2", "(1, 2)", strict_sets), MathVerdict::kCorrect);
}

TEST(CasesTest, PassesOverOtherKindsAndRefusesBadLines) {
  EXPECT_FALSE(ParseMathCase(R"({"kind": "normalize"})")->has_value());
  for (const char* line :
       {"", "[]", "{", R"({"pred": "1"})", R"({"gold": "1"})",
        R"({"gold": "1", "pred": "1", "pred_config": ["fast"]})",
        R"({"gold": "1", "pred": "1", "pred_config": 7})",
        R"({"gold": "1", "pred_gen": [["x", -1]]})",
        R"({"gold": "1", "pred_gen": [["x", 99999999999]]})",
        R"({"gold": "1", "pred": "1", "params": {"float_rounding": 999}})",
        R"({"gold": "1", "pred": "1", "params": {"float_rounding": "2"}})",
        R"({"gold": "1", "pred": "1", "params": {"strict": "no"}})",
        R"({"gold": "1", "pred": "1", "params": [1]})",
        R"({"gold": "1", "pred": "1", "pred_config": [{"type": 3}]})",
        R"({"gold": "1", "pred": "1", "pred_config":)"
        R"( [{"type": "latex", "boxed_match_priority": "high"}]})"}) {
    EXPECT_FALSE(ParseMathCase(line).ok()) << line;
  }
  const auto generated = ParseMathCase(
      R"({"gold": "5", "pred_gen": [["\\boxed{", 1], ["5", 2]]})");
  ASSERT_TRUE(generated.ok());
  EXPECT_EQ((*generated)->response, "\\boxed{55");
}

TEST(CInterfaceTest, JudgesAndExplains) {
  const std::string gold = "1/2";
  const std::string response = "so \\boxed{0.5}";
  char reason[16];
  EXPECT_EQ(ponder_math_verify(gold.data(), gold.size(), response.data(),
                               response.size(), reason, sizeof(reason)),
            PONDER_MATH_CORRECT);
  EXPECT_EQ(std::string(reason).size(), sizeof(reason) - 1);
  EXPECT_EQ(ponder_math_verify(gold.data(), gold.size(), "6", 1, nullptr, 0),
            PONDER_MATH_WRONG);
  EXPECT_EQ(ponder_math_verify("", 0, "6", 1, nullptr, 0),
            PONDER_MATH_UNSCORABLE);
}

}  // namespace
}  // namespace ponder::math
