#include "reward/math/commands.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "reward/math/expr.h"

namespace ponder::math {
namespace {

using Meanings = absl::flat_hash_map<absl::string_view, Meaning>;
using Entry = std::pair<const char*, Meaning>;

constexpr Meaning Call(Function function) {
  return {Token::kFunction, static_cast<int>(function)};
}
constexpr Meaning Compare(Relation relation) {
  return {Token::kRelation, static_cast<int>(relation)};
}

// With and without a backslash.
constexpr Entry kFunctions[] = {
    // Trigonometry.
    {"sin", Call(Function::kSin)},
    {"cos", Call(Function::kCos)},
    {"tan", Call(Function::kTan)},
    {"tg", Call(Function::kTan)},
    {"cot", Call(Function::kCot)},
    {"ctg", Call(Function::kCot)},
    {"sec", Call(Function::kSec)},
    {"csc", Call(Function::kCsc)},
    {"cosec", Call(Function::kCsc)},
    {"arcsin", Call(Function::kArcsin)},
    {"asin", Call(Function::kArcsin)},
    {"arccos", Call(Function::kArccos)},
    {"acos", Call(Function::kArccos)},
    {"arctan", Call(Function::kArctan)},
    {"atan", Call(Function::kArctan)},
    {"arctg", Call(Function::kArctan)},
    {"arccot", Call(Function::kArccot)},
    {"acot", Call(Function::kArccot)},
    {"arcsec", Call(Function::kArcsec)},
    {"asec", Call(Function::kArcsec)},
    {"arccsc", Call(Function::kArccsc)},
    {"acsc", Call(Function::kArccsc)},
    // The hyperbola's.
    {"sinh", Call(Function::kSinh)},
    {"cosh", Call(Function::kCosh)},
    {"tanh", Call(Function::kTanh)},
    {"coth", Call(Function::kCoth)},
    {"sech", Call(Function::kSech)},
    {"csch", Call(Function::kCsch)},
    {"arsinh", Call(Function::kArsinh)},
    {"arcsinh", Call(Function::kArsinh)},
    {"asinh", Call(Function::kArsinh)},
    {"arcosh", Call(Function::kArcosh)},
    {"arccosh", Call(Function::kArcosh)},
    {"acosh", Call(Function::kArcosh)},
    {"artanh", Call(Function::kArtanh)},
    {"arctanh", Call(Function::kArtanh)},
    {"atanh", Call(Function::kArtanh)},
    {"arcoth", Call(Function::kArcoth)},
    {"acoth", Call(Function::kArcoth)},
    {"arsech", Call(Function::kArsech)},
    {"asech", Call(Function::kArsech)},
    {"arcsch", Call(Function::kArcsch)},
    {"acsch", Call(Function::kArcsch)},
    // Exponentials and logarithms.
    {"exp", Call(Function::kExp)},
    {"ln", Call(Function::kLn)},
    {"log", Call(Function::kLog)},
    {"lg", Call(Function::kLog)},
    // Integers.
    {"gcd", Call(Function::kGcd)},
    {"lcm", Call(Function::kLcm)},
    {"binomial", Call(Function::kBinomial)},
    {"factorial", Call(Function::kFactorial)},
    {"Mod", Call(Function::kMod)},
    // Parts and sizes.
    {"abs", Call(Function::kAbs)},
    {"floor", Call(Function::kFloor)},
    {"ceil", Call(Function::kCeil)},
    {"max", Call(Function::kMax)},
    {"min", Call(Function::kMin)},
    {"sgn", Call(Function::kSign)},
};

constexpr Entry kCommands[] = {
    // Functions whose names are also words or products.
    {"sign", Call(Function::kSign)},
    {"Re", Call(Function::kRe)},
    {"Im", Call(Function::kIm)},
    {"det", Call(Function::kDet)},
    // With arguments.
    {"frac", {Token::kFraction}},
    {"dfrac", {Token::kFraction}},
    {"tfrac", {Token::kFraction}},
    {"cfrac", {Token::kFraction}},
    {"nicefrac", {Token::kFraction}},
    {"sfrac", {Token::kFraction}},
    {"flatfrac", {Token::kFraction}},
    {"sqrt", {Token::kSqrt}},
    {"surd", {Token::kSqrt}},
    {"binom", {Token::kBinomial}},
    {"dbinom", {Token::kBinomial}},
    {"tbinom", {Token::kBinomial}},
    {"choose", {Token::kChoose}},
    {"sum", {Token::kSum}},
    {"prod", {Token::kProduct}},
    {"int", {Token::kIntegral}},
    {"lim", {Token::kLimit}},
    // Constants.
    {"pi", {Token::kPi}},
    {"exponentialE", {Token::kEuler}},
    {"imaginaryI", {Token::kImaginary}},
    {"imath", {Token::kImaginary}},
    {"infty", {Token::kInfinity}},
    {"infinity", {Token::kInfinity}},
    {"emptyset", {Token::kEmptySet}},
    {"varnothing", {Token::kEmptySet}},
    {"ldots", {Token::kDots}},
    {"dots", {Token::kDots}},
    {"cdots", {Token::kDots}},
    {"dotsc", {Token::kDots}},
    {"dotsb", {Token::kDots}},
    {"dotsm", {Token::kDots}},
    // Operators.
    {"pm", {Token::kPlusMinus}},
    {"mp", {Token::kMinusPlus}},
    {"times", {Token::kTimes}},
    {"cdot", {Token::kTimes}},
    {"cdotp", {Token::kTimes}},
    {"ast", {Token::kTimes}},
    {"div", {Token::kSlash}},
    {"over", {Token::kOver}},
    {"mod", {Token::kMod}},
    {"bmod", {Token::kMod}},
    {"pmod", {Token::kParenthesisMod}},
    {"prime", {Token::kPrime}},
    {"circ", {Token::kDegree}},
    {"degree", {Token::kDegree}},
    {"degrees", {Token::kDegree}},
    {"pounds", {Token::kCurrency, 0, "pound sterling"}},
    {"euro", {Token::kCurrency, 0, "euro"}},
    // Sets.
    {"cup", {Token::kUnion}},
    {"bigcup", {Token::kUnion}},
    {"cap", {Token::kIntersection}},
    {"setminus", {Token::kSetMinus}},
    {"backslash", {Token::kSetMinus}},
    {"in", {Token::kIn}},
    {"notin", {Token::kUnknown}},
    {"mid", {Token::kSuchThat}},
    // Relations and statements.
    {"le", Compare(Relation::kLe)},
    {"leq", Compare(Relation::kLe)},
    {"leqslant", Compare(Relation::kLe)},
    {"leqq", Compare(Relation::kLe)},
    {"ge", Compare(Relation::kGe)},
    {"geq", Compare(Relation::kGe)},
    {"geqslant", Compare(Relation::kGe)},
    {"geqq", Compare(Relation::kGe)},
    {"lt", Compare(Relation::kLt)},
    {"gt", Compare(Relation::kGt)},
    {"ne", Compare(Relation::kNe)},
    {"neq", Compare(Relation::kNe)},
    {"coloneqq", Compare(Relation::kEq)},
    {"approx", {Token::kApprox}},
    {"approxeq", {Token::kApprox}},
    {"simeq", {Token::kApprox}},
    {"cong", {Token::kApprox}},
    {"sim", {Token::kApprox}},
    {"equiv", {Token::kEquiv}},
    {"to", {Token::kArrow}},
    {"rightarrow", {Token::kArrow}},
    {"longrightarrow", {Token::kArrow}},
    {"Rightarrow", {Token::kImplies}},
    {"implies", {Token::kImplies}},
    {"Longrightarrow", {Token::kImplies}},
    {"iff", {Token::kImplies}},
    {"Leftrightarrow", {Token::kImplies}},
    {"therefore", {Token::kImplies}},
    {"land", {Token::kAnd}},
    {"wedge", {Token::kAnd}},
    {"lor", {Token::kAnd, 2}},
    {"vee", {Token::kAnd, 2}},
    {"quad", {Token::kAnd, 1}},
    {"qquad", {Token::kAnd, 1}},
    {"colon", {Token::kColon}},
    {"newline", {Token::kRowEnd}},
    {"cr", {Token::kRowEnd}},
    // Brackets.
    {"vert", {Token::kBar}},
    {"lvert", {Token::kBar}},
    {"rvert", {Token::kBar}},
    {"Vert", {Token::kNorm}},
    {"lVert", {Token::kNorm}},
    {"rVert", {Token::kNorm}},
    {"lfloor", {Token::kOpen, 'f'}},
    {"rfloor", {Token::kClose, 'f'}},
    {"llcorner", {Token::kOpen, 'f'}},
    {"lrcorner", {Token::kClose, 'f'}},
    {"lceil", {Token::kOpen, 'c'}},
    {"rceil", {Token::kClose, 'c'}},
    {"ulcorner", {Token::kOpen, 'c'}},
    {"urcorner", {Token::kClose, 'c'}},
    {"langle", {Token::kOpen, '<'}},
    {"rangle", {Token::kClose, '<'}},
    {"lbrace", {Token::kOpen, 'S'}},
    {"rbrace", {Token::kClose, 'S'}},
    {"lbrack", {Token::kOpen, '['}},
    {"rbrack", {Token::kClose, '['}},
    {"lgroup", {Token::kOpen, '('}},
    {"rgroup", {Token::kClose, '('}},
    {"lparen", {Token::kOpen, '('}},
    {"rparen", {Token::kClose, '('}},
    // Accents.
    {"overline", {Token::kAccent, 0, "bar"}},
    {"bar", {Token::kAccent, 0, "bar"}},
    {"dot", {Token::kAccent, 0, "dot"}},
    {"ddot", {Token::kAccent, 0, "ddot"}},
    {"vec", {Token::kAccent, 0, "vec"}},
    {"overrightarrow", {Token::kAccent, 0, "vec"}},
    {"hat", {Token::kAccent, 0, "hat"}},
    {"widehat", {Token::kAccent, 0, "hat"}},
    {"tilde", {Token::kAccent, 0, "tilde"}},
    {"widetilde", {Token::kAccent, 0, "tilde"}},
    // Letters that are written otherwise.
    {"top", {Token::kLetter, 0, "T"}},
    {"varepsilon", {Token::kLetter, 0, "epsilon"}},
    {"vartheta", {Token::kLetter, 0, "theta"}},
    {"varphi", {Token::kLetter, 0, "phi"}},
    {"varrho", {Token::kLetter, 0, "rho"}},
    {"varsigma", {Token::kLetter, 0, "sigma"}},
    {"varpi", {Token::kLetter, 0, "pi"}},
    {"varkappa", {Token::kLetter, 0, "kappa"}},
};

// Commands that name a letter.
constexpr const char* kLetters[] = {
    "alpha",   "beta",  "gamma",  "delta",  "epsilon", "zeta",    "eta",
    "theta",   "iota",  "kappa",  "lambda", "mu",      "nu",      "xi",
    "omicron", "rho",   "sigma",  "tau",    "upsilon", "phi",     "chi",
    "psi",     "omega", "Gamma",  "Delta",  "Theta",   "Lambda",  "Xi",
    "Pi",      "Sigma", "Phi",    "Psi",    "Omega",   "Upsilon", "ell",
    "hbar",    "nabla", "partial"};

constexpr Entry kWords[] = {{"sqrt", {Token::kSqrt}},
                            {"cbrt", {Token::kSqrt, 3}},
                            {"pi", {Token::kPi}},
                            {"infinity", {Token::kInfinity}},
                            {"inf", {Token::kInfinity}},
                            {"oo", {Token::kInfinity}},
                            {"and", {Token::kAnd}},
                            {"or", {Token::kAnd, 2}},
                            {"percent", {Token::kPercent}},
                            {"pct", {Token::kPercent}},
                            {"percentage", {Token::kPercent}},
                            {"degrees", {Token::kDegree}},
                            {"degree", {Token::kDegree}},
                            {"deg", {Token::kDegree}},
                            {"mod", {Token::kMod}},
                            {"union", {Token::kUnion}},
                            {"choose", {Token::kChoose}}};

const Meaning* Find(const Meanings& meanings, absl::string_view name) {
  const auto found = meanings.find(name);
  return found == meanings.end() ? nullptr : &found->second;
}

}  // namespace

const Meaning* MeaningOfCommand(absl::string_view name) {
  static const Meanings* const kMeanings = [] {
    auto* all = new Meanings(std::begin(kFunctions), std::end(kFunctions));
    all->insert(std::begin(kCommands), std::end(kCommands));
    for (const char* letter : kLetters) {
      all->emplace(letter, Meaning{Token::kLetter, 0, letter});
    }
    return all;
  }();
  return Find(*kMeanings, name);
}

const Meaning* MeaningOfWord(absl::string_view word) {
  static const Meanings* const kMeanings = [] {
    auto* all = new Meanings(std::begin(kFunctions), std::end(kFunctions));
    all->insert(std::begin(kWords), std::end(kWords));
    return all;
  }();
  return Find(*kMeanings, word);
}

bool IsSilentCommand(absl::string_view name) {
  static const auto* const kSilent = new absl::flat_hash_set<absl::string_view>{
      // The size of brackets.
      "left", "right", "mleft", "mright", "middle", "big", "Big", "bigg",
      "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl",
      "Biggr",
      // The kind and size of letters.
      "mathbf", "boldsymbol", "bm", "mathit", "mathcal", "mathscr", "mathfrak",
      "mathsf", "rm", "bf", "it", "tiny", "small", "large", "Large",
      "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits",
      "ensuremath",
      // What is drawn around or below.
      "boxed", "fbox", "cancel", "underline", "underbrace",
      // Space and lines.
      "mathstrut", "strut", "hfill", "noindent", "hline", "nonumber", "notag",
      "enspace", "thinspace", "negthinspace",
      // Signs that say nothing of the answer.
      "angle", "triangle", "because", "square", "blacksquare", "checkmark"};
  return kSilent->contains(name);
}

bool IsTextCommand(absl::string_view name) {
  return name == "text" || name == "textbf" || name == "textit" ||
         name == "textrm" || name == "textsf" || name == "texttt" ||
         name == "mbox" || name == "hbox" || name == "mathrm" ||
         name == "operatorname" || name == "textnormal" || name == "mathop" ||
         name == "emph";
}

bool TakesHiddenGroup(absl::string_view name) {
  return name == "hspace" || name == "vspace" || name == "phantom" ||
         name == "hphantom" || name == "vphantom" || name == "label" ||
         name == "tag" || name == "color" || name == "textcolor" ||
         name == "bbox" || name == "colorbox";
}

bool IsCommand(absl::string_view name) {
  return MeaningOfCommand(name) != nullptr || IsSilentCommand(name) ||
         IsTextCommand(name) || TakesHiddenGroup(name) || name == "begin" ||
         name == "end" || name == "mathbb" || name == "not" ||
         name == "xrightarrow" || name == "char" || name == "stackrel";
}

bool LooksLikeWord(absl::string_view letters) {
  bool vowel = false;
  bool rising = true;
  for (size_t k = 0; k < letters.size(); ++k) {
    const char c = absl::ascii_tolower(static_cast<unsigned char>(letters[k]));
    vowel |= absl::StrContains("aeiouy", absl::string_view(&c, 1));
    rising &= k == 0 || c > absl::ascii_tolower(
                                static_cast<unsigned char>(letters[k - 1]));
  }
  const bool variables =
      letters.find_first_not_of("xyzwtuv") == absl::string_view::npos;
  return vowel && !rising && !variables;
}

bool IsShortWord(absl::string_view letters) {
  static constexpr absl::string_view kShort[] = {
      "yes", "no",  "Yes", "No",   "the",  "The", "is",  "are", "not",
      "for", "all", "All", "of",   "to",   "one", "two", "six", "ten",
      "odd", "Odd", "day", "per",  "any",  "men", "pcs", "kgs", "tsp",
      "sq",  "cu",  "Any", "None", "none", "DNE", "if",  "If"};
  return std::find(std::begin(kShort), std::end(kShort), letters) !=
         std::end(kShort);
}

}  // namespace ponder::math
