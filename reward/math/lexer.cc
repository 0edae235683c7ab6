#include "reward/math/lexer.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "reward/math/expr.h"
#include "reward/math/limits.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c));
}
bool IsSpace(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c));
}

struct Meaning {
  T type = T::kUnknown;
  int value = 0;
  const char* text = "";
};

using Meanings = absl::flat_hash_map<absl::string_view, Meaning>;

int Of(Function function) { return static_cast<int>(function); }
int Of(Relation relation) { return static_cast<int>(relation); }

void AddFunctions(Meanings* all) {
  const std::pair<const char*, Function> functions[] = {
      {"sin", Function::kSin},
      {"cos", Function::kCos},
      {"tan", Function::kTan},
      {"tg", Function::kTan},
      {"cot", Function::kCot},
      {"ctg", Function::kCot},
      {"sec", Function::kSec},
      {"csc", Function::kCsc},
      {"cosec", Function::kCsc},
      {"arcsin", Function::kArcsin},
      {"asin", Function::kArcsin},
      {"arccos", Function::kArccos},
      {"acos", Function::kArccos},
      {"arctan", Function::kArctan},
      {"atan", Function::kArctan},
      {"arctg", Function::kArctan},
      {"arccot", Function::kArccot},
      {"acot", Function::kArccot},
      {"arcsec", Function::kArcsec},
      {"asec", Function::kArcsec},
      {"arccsc", Function::kArccsc},
      {"acsc", Function::kArccsc},
      {"sinh", Function::kSinh},
      {"cosh", Function::kCosh},
      {"tanh", Function::kTanh},
      {"coth", Function::kCoth},
      {"sech", Function::kSech},
      {"csch", Function::kCsch},
      {"arsinh", Function::kArsinh},
      {"arcsinh", Function::kArsinh},
      {"asinh", Function::kArsinh},
      {"arcosh", Function::kArcosh},
      {"arccosh", Function::kArcosh},
      {"acosh", Function::kArcosh},
      {"artanh", Function::kArtanh},
      {"arctanh", Function::kArtanh},
      {"atanh", Function::kArtanh},
      {"exp", Function::kExp},
      {"arcoth", Function::kArcoth},
      {"acoth", Function::kArcoth},
      {"arsech", Function::kArsech},
      {"asech", Function::kArsech},
      {"arcsch", Function::kArcsch},
      {"acsch", Function::kArcsch},
      {"ln", Function::kLn},
      {"log", Function::kLog},
      {"lg", Function::kLog},
      {"abs", Function::kAbs},
      {"floor", Function::kFloor},
      {"ceil", Function::kCeil},
      {"gcd", Function::kGcd},
      {"lcm", Function::kLcm},
      {"max", Function::kMax},
      {"min", Function::kMin},
      {"sgn", Function::kSign},
      {"sign", Function::kSign},
      {"Re", Function::kRe},
      {"Im", Function::kIm},
      {"det", Function::kDet},
      {"binomial", Function::kBinomial},
      {"factorial", Function::kFactorial},
      {"Mod", Function::kMod},
  };
  for (const auto& [name, function] : functions) {
    all->emplace(name, Meaning{T::kFunction, Of(function)});
  }
}

// Commands of LaTeX, without the backslash.
const Meanings& Commands() {
  static const Meanings* const kCommands = [] {
    auto* all = new Meanings();
    AddFunctions(all);
    const std::pair<const char*, Meaning> entries[] = {
        {"frac", {T::kFraction}},
        {"dfrac", {T::kFraction}},
        {"tfrac", {T::kFraction}},
        {"cfrac", {T::kFraction}},
        {"sqrt", {T::kSqrt}},
        {"surd", {T::kSqrt}},
        {"binom", {T::kBinomial}},
        {"dbinom", {T::kBinomial}},
        {"tbinom", {T::kBinomial}},
        {"choose", {T::kChoose}},
        {"pi", {T::kPi}},
        {"exponentialE", {T::kEuler}},
        {"imaginaryI", {T::kImaginary}},
        {"imath", {T::kImaginary}},
        {"infty", {T::kInfinity}},
        {"infinity", {T::kInfinity}},
        {"sum", {T::kSum}},
        {"prod", {T::kProduct}},
        {"int", {T::kIntegral}},
        {"lim", {T::kLimit}},
        {"to", {T::kArrow}},
        {"rightarrow", {T::kArrow}},
        {"longrightarrow", {T::kArrow}},
        {"pm", {T::kPlusMinus}},
        {"mp", {T::kMinusPlus}},
        {"times", {T::kTimes}},
        {"cdot", {T::kTimes}},
        {"cdotp", {T::kTimes}},
        {"ast", {T::kTimes}},
        {"div", {T::kSlash}},
        {"over", {T::kOver}},
        {"nicefrac", {T::kFraction}},
        {"sfrac", {T::kFraction}},
        {"flatfrac", {T::kFraction}},
        {"mod", {T::kMod}},
        {"bmod", {T::kMod}},
        {"pmod", {T::kParenthesisMod}},
        {"cup", {T::kUnion}},
        {"bigcup", {T::kUnion}},
        {"cap", {T::kIntersection}},
        {"setminus", {T::kSetMinus}},
        {"backslash", {T::kSetMinus}},
        {"emptyset", {T::kEmptySet}},
        {"varnothing", {T::kEmptySet}},
        {"in", {T::kIn}},
        {"notin", {T::kNotIn}},
        {"mid", {T::kSuchThat}},
        {"vert", {T::kBar}},
        {"lvert", {T::kBar}},
        {"rvert", {T::kBar}},
        {"Vert", {T::kNorm}},
        {"lVert", {T::kNorm}},
        {"rVert", {T::kNorm}},
        {"le", {T::kRelation, Of(Relation::kLe)}},
        {"leq", {T::kRelation, Of(Relation::kLe)}},
        {"leqslant", {T::kRelation, Of(Relation::kLe)}},
        {"leqq", {T::kRelation, Of(Relation::kLe)}},
        {"ge", {T::kRelation, Of(Relation::kGe)}},
        {"geq", {T::kRelation, Of(Relation::kGe)}},
        {"geqslant", {T::kRelation, Of(Relation::kGe)}},
        {"geqq", {T::kRelation, Of(Relation::kGe)}},
        {"lt", {T::kRelation, Of(Relation::kLt)}},
        {"gt", {T::kRelation, Of(Relation::kGt)}},
        {"ne", {T::kRelation, Of(Relation::kNe)}},
        {"neq", {T::kRelation, Of(Relation::kNe)}},
        {"coloneqq", {T::kRelation, Of(Relation::kEq)}},
        {"approx", {T::kApprox}},
        {"approxeq", {T::kApprox}},
        {"simeq", {T::kApprox}},
        {"cong", {T::kApprox}},
        {"sim", {T::kApprox}},
        {"equiv", {T::kEquiv}},
        {"Rightarrow", {T::kImplies}},
        {"implies", {T::kImplies}},
        {"Longrightarrow", {T::kImplies}},
        {"iff", {T::kImplies}},
        {"Leftrightarrow", {T::kImplies}},
        {"therefore", {T::kImplies}},
        {"lfloor", {T::kOpen, 'f'}},
        {"rfloor", {T::kClose, 'f'}},
        {"llcorner", {T::kOpen, 'f'}},
        {"lrcorner", {T::kClose, 'f'}},
        {"lceil", {T::kOpen, 'c'}},
        {"rceil", {T::kClose, 'c'}},
        {"ulcorner", {T::kOpen, 'c'}},
        {"urcorner", {T::kClose, 'c'}},
        {"langle", {T::kOpen, '<'}},
        {"rangle", {T::kClose, '<'}},
        {"lbrace", {T::kOpen, 'S'}},
        {"rbrace", {T::kClose, 'S'}},
        {"lbrack", {T::kOpen, '['}},
        {"rbrack", {T::kClose, '['}},
        {"lgroup", {T::kOpen, '('}},
        {"rgroup", {T::kClose, '('}},
        {"lparen", {T::kOpen, '('}},
        {"rparen", {T::kClose, '('}},
        {"overline", {T::kAccent, 0, "bar"}},
        {"bar", {T::kAccent, 0, "bar"}},
        {"dot", {T::kAccent, 0, "dot"}},
        {"ddot", {T::kAccent, 0, "ddot"}},
        {"vec", {T::kAccent, 0, "vec"}},
        {"overrightarrow", {T::kAccent, 0, "vec"}},
        {"hat", {T::kAccent, 0, "hat"}},
        {"widehat", {T::kAccent, 0, "hat"}},
        {"tilde", {T::kAccent, 0, "tilde"}},
        {"widetilde", {T::kAccent, 0, "tilde"}},

        {"land", {T::kAnd}},
        {"lor", {T::kAnd, 2}},
        {"wedge", {T::kAnd}},
        {"vee", {T::kAnd, 2}},
        {"quad", {T::kAnd, 1}},
        {"qquad", {T::kAnd, 1}},
        {"newline", {T::kRowEnd}},
        {"cr", {T::kRowEnd}},
        {"top", {T::kLetter, 0, "T"}},
        {"circ", {T::kDegree}},
        {"degree", {T::kDegree}},
        {"degrees", {T::kDegree}},
        {"prime", {T::kPrime}},
        {"ldots", {T::kDots}},
        {"dots", {T::kDots}},
        {"cdots", {T::kDots}},
        {"dotsc", {T::kDots}},
        {"dotsb", {T::kDots}},
        {"dotsm", {T::kDots}},
        {"lcm", {T::kFunction, Of(Function::kLcm)}},
        {"colon", {T::kColon}},
        {"pounds", {T::kCurrency, 0, "pound sterling"}},
        {"euro", {T::kCurrency, 0, "euro"}},
        {"Re", {T::kFunction, Of(Function::kRe)}},
        {"Im", {T::kFunction, Of(Function::kIm)}},
    };
    for (const auto& [name, meaning] : entries) all->emplace(name, meaning);
    for (const char* name :
         {"alpha",   "beta",  "gamma",  "delta",  "epsilon", "zeta",    "eta",
          "theta",   "iota",  "kappa",  "lambda", "mu",      "nu",      "xi",
          "omicron", "rho",   "sigma",  "tau",    "upsilon", "phi",     "chi",
          "psi",     "omega", "Gamma",  "Delta",  "Theta",   "Lambda",  "Xi",
          "Pi",      "Sigma", "Phi",    "Psi",    "Omega",   "Upsilon", "ell",
          "hbar",    "nabla", "partial"}) {
      all->emplace(name, Meaning{T::kLetter, 0, name});
    }
    const std::pair<const char*, const char*> variants[] = {
        {"varepsilon", "epsilon"}, {"vartheta", "theta"}, {"varphi", "phi"},
        {"varrho", "rho"},         {"varsigma", "sigma"}, {"varpi", "pi"},
        {"varkappa", "kappa"}};
    for (const auto& [name, letter] : variants) {
      all->emplace(name, Meaning{T::kLetter, 0, letter});
    }
    return all;
  }();
  return *kCommands;
}

// Commands that show nothing, or only how to show what follows.
bool IsSilent(absl::string_view name) {
  static const auto* const kSilent =
      new absl::flat_hash_map<absl::string_view, bool>{
          {"left", true},      {"right", true},        {"mleft", true},
          {"mright", true},    {"middle", true},       {"big", true},
          {"Big", true},       {"bigg", true},         {"Bigg", true},
          {"bigl", true},      {"bigr", true},         {"Bigl", true},
          {"Bigr", true},      {"biggl", true},        {"biggr", true},
          {"Biggl", true},     {"Biggr", true},        {"displaystyle", true},
          {"textstyle", true}, {"scriptstyle", true},  {"limits", true},
          {"nolimits", true},  {"mathbf", true},       {"boldsymbol", true},
          {"bm", true},        {"mathit", true},       {"mathcal", true},
          {"mathscr", true},   {"mathfrak", true},     {"mathsf", true},
          {"boxed", true},     {"fbox", true},         {"angle", true},
          {"triangle", true},  {"cancel", true},       {"ensuremath", true},
          {"underline", true}, {"mathstrut", true},    {"hfill", true},
          {"noindent", true},  {"hline", true},        {"rm", true},
          {"bf", true},        {"it", true},           {"tiny", true},
          {"small", true},     {"large", true},        {"Large", true},
          {"nonumber", true},  {"notag", true},        {"enspace", true},
          {"thinspace", true}, {"negthinspace", true}, {"underbrace", true},
          {"strut", true},     {"mathstrut", true},    {"because", true},
          {"square", true},    {"blacksquare", true},  {"checkmark", true}};
  return kSilent->contains(name);
}

bool IsTextCommand(absl::string_view name) {
  return name == "text" || name == "textbf" || name == "textit" ||
         name == "textrm" || name == "textsf" || name == "texttt" ||
         name == "mbox" || name == "hbox" || name == "mathrm" ||
         name == "operatorname" || name == "textnormal" || name == "mathop" ||
         name == "emph";
}

// Words as they stand in plain text, lower case.
const Meanings& KnownWords() {
  static const Meanings* const kWords = [] {
    auto* all = new Meanings();
    AddFunctions(all);
    all->erase("Re");
    all->erase("Im");
    all->erase("det");
    all->erase("sign");
    const std::pair<const char*, Meaning> entries[] = {
        {"sqrt", {T::kSqrt}},
        {"cbrt", {T::kSqrt, 3}},
        {"pi", {T::kPi}},
        {"infinity", {T::kInfinity}},
        {"inf", {T::kInfinity}},
        {"oo", {T::kInfinity}},
        {"and", {T::kAnd}},
        {"or", {T::kAnd, 2}},
        {"percent", {T::kPercent}},
        {"pct", {T::kPercent}},
        {"percentage", {T::kPercent}},
        {"degrees", {T::kDegree}},
        {"degree", {T::kDegree}},
        {"deg", {T::kDegree}},
        {"mod", {T::kMod}},
        {"union", {T::kUnion}},
        {"choose", {T::kChoose}},
    };
    for (const auto& [name, meaning] : entries) all->emplace(name, meaning);
    return all;
  }();
  return *kWords;
}

struct Character {
  char32_t code = 0;
  size_t size = 1;
};

// An invalid byte is U+FFFD of size 1.
Character Decode(absl::string_view text) {
  const auto byte = [&](size_t k) {
    return k < text.size() ? static_cast<uint8_t>(text[k]) : 0u;
  };
  const auto tail = [&](size_t k) { return (byte(k) & 0xc0) == 0x80; };
  const uint32_t a = byte(0);
  if (a < 0x80) return {a, 1};
  if (a >= 0xc2 && a < 0xe0 && tail(1)) {
    return {(a & 0x1f) << 6 | (byte(1) & 0x3f), 2};
  }
  if (a >= 0xe0 && a < 0xf0 && tail(1) && tail(2)) {
    return {(a & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), 3};
  }
  if (a >= 0xf0 && a < 0xf5 && tail(1) && tail(2) && tail(3)) {
    return {(a & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 |
                (byte(3) & 0x3f),
            4};
  }
  return {0xfffd, 1};
}

// LaTeX or ASCII for a character; null if it stands for itself.
const char* LatexOf(char32_t code) {
  switch (code) {
    case 0x00a0:
    case 0x2002:
    case 0x2003:
    case 0x2004:
    case 0x2005:
    case 0x2006:
    case 0x2007:
    case 0x2008:
    case 0x2009:
    case 0x200a:
    case 0x202f:
    case 0x205f:
    case 0x3000:
      return " ";
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2212:
    case 0xfe63:
    case 0xff0d:
      return "-";
    case 0x00d7:
    case 0x22c5:
    case 0x00b7:
    case 0x2219:
    case 0x2217:
    case 0xff0a:
      return "\\cdot ";
    case 0x00f7:
      return "\\div ";
    case 0x2215:
    case 0x2044:
    case 0xff0f:
      return "/";
    case 0x00b1:
      return "\\pm ";
    case 0x2213:
      return "\\mp ";
    case 0x221a:
      return "\\sqrt ";
    case 0x221b:
      return "\\sqrt[3]";
    case 0x221e:
      return "\\infty ";
    case 0x2264:
    case 0x2a7d:
    case 0x2266:
      return "\\le ";
    case 0x2265:
    case 0x2a7e:
    case 0x2267:
      return "\\ge ";
    case 0x2260:
      return "\\ne ";
    case 0x2248:
    case 0x2245:
      return "\\approx ";
    case 0x2261:
      return "\\equiv ";
    case 0x222a:
      return "\\cup ";
    case 0x2229:
      return "\\cap ";
    case 0x2216:
      return "\\setminus ";
    case 0x2205:
      return "\\emptyset ";
    case 0x2208:
      return "\\in ";
    case 0x2209:
      return "\\notin ";
    case 0x2223:
      return "\\mid ";
    case 0x21d2:
      return "\\Rightarrow ";
    case 0x21d4:
      return "\\iff ";
    case 0x2192:
      return "\\to ";
    case 0x2227:
      return "\\land ";
    case 0x2228:
      return "\\lor ";
    case 0x2211:
      return "\\sum ";
    case 0x220f:
      return "\\prod ";
    case 0x222b:
      return "\\int ";
    case 0x00b0:
      return "^\\circ ";
    case 0x2032:
      return "'";
    case 0x2026:
    case 0x22ef:
      return "\\ldots ";
    case 0x230a:
      return "\\lfloor ";
    case 0x230b:
      return "\\rfloor ";
    case 0x2308:
      return "\\lceil ";
    case 0x2309:
      return "\\rceil ";
    case 0x27e8:
    case 0x3008:
      return "\\langle ";
    case 0x27e9:
    case 0x3009:
      return "\\rangle ";
    case 0x2220:
      return "\\angle ";
    case 0x211d:
      return "\\mathbb{R}";
    case 0x2124:
      return "\\mathbb{Z}";
    case 0x211a:
      return "\\mathbb{Q}";
    case 0x2115:
      return "\\mathbb{N}";
    case 0x2102:
      return "\\mathbb{C}";
    case 0x20ac:
      return "\\euro ";
    case 0x00a3:
      return "\\pounds ";
    case 0x00a2:
      return "\\text{ cents}";
    case 0x2713:
    case 0x2714:
    case 0x2705:
    case 0x2611:
      return " ";
    case 0x2018:
    case 0x2019:
      return "'";
    case 0x201c:
    case 0x201d:
      return "\"";
    case 0x3001:
    case 0xff0c:
      return ",";
    case 0x3002:
    case 0xff0e:
      return ".";
    case 0xff1b:
      return ";";
    case 0xff1a:
      return ":";
    case 0xff08:
      return "(";
    case 0xff09:
      return ")";
    case 0xff3b:
    case 0x3010:
      return "[";
    case 0xff3d:
    case 0x3011:
      return "]";
    case 0xff5b:
      return "\\{";
    case 0xff5d:
      return "\\}";
    case 0xff0b:
      return "+";
    case 0xff1d:
      return "=";
    case 0xff1c:
      return "<";
    case 0xff1e:
      return ">";
    case 0xff05:
      return "\\%";
    case 0xff04:
      return "\\$";
    case 0xff5c:
      return "|";
    case 0x00bd:
      return "\\frac{1}{2}";
    case 0x00bc:
      return "\\frac{1}{4}";
    case 0x00be:
      return "\\frac{3}{4}";
    case 0x2153:
      return "\\frac{1}{3}";
    case 0x2154:
      return "\\frac{2}{3}";
    case 0x2155:
      return "\\frac{1}{5}";
    case 0x2156:
      return "\\frac{2}{5}";
    case 0x2157:
      return "\\frac{3}{5}";
    case 0x2158:
      return "\\frac{4}{5}";
    case 0x2159:
      return "\\frac{1}{6}";
    case 0x215a:
      return "\\frac{5}{6}";
    case 0x215b:
      return "\\frac{1}{8}";
    case 0x215c:
      return "\\frac{3}{8}";
    case 0x215d:
      return "\\frac{5}{8}";
    case 0x215e:
      return "\\frac{7}{8}";
    case 0x212f:
      return "e";
    case 0x2148:
      return "i";
    default:
      return nullptr;
  }
}

const char* GreekOf(char32_t code) {
  static constexpr const char* kSmall[] = {
      "alpha",   "beta", "gamma", "delta",  "epsilon", "zeta", "eta",
      "theta",   "iota", "kappa", "lambda", "mu",      "nu",   "xi",
      "omicron", "pi",   "rho",   "sigma",  "sigma",   "tau",  "upsilon",
      "phi",     "chi",  "psi",   "omega"};
  if (code >= 0x3b1 && code <= 0x3c9) return kSmall[code - 0x3b1];
  switch (code) {
    case 0x393:
      return "Gamma";
    case 0x394:
    case 0x2206:
      return "Delta";
    case 0x398:
      return "Theta";
    case 0x39b:
      return "Lambda";
    case 0x3a0:
      return "Pi";
    case 0x3a3:
      return "Sigma";
    case 0x3a6:
      return "Phi";
    case 0x3a8:
      return "Psi";
    case 0x3a9:
      return "Omega";
    case 0x3d5:
      return "phi";
    case 0x3b5:
    case 0x3f5:
      return "epsilon";
    default:
      return nullptr;
  }
}

// The ASCII character that a superscript or subscript stands for, or 0.
char SuperscriptOf(char32_t code) {
  switch (code) {
    case 0x00b9:
      return '1';
    case 0x00b2:
      return '2';
    case 0x00b3:
      return '3';
    case 0x2070:
      return '0';
    case 0x207a:
      return '+';
    case 0x207b:
      return '-';
    case 0x207f:
      return 'n';
    case 0x02e3:
      return 'x';
    default:
      return code >= 0x2074 && code <= 0x2079
                 ? static_cast<char>('4' + (code - 0x2074))
                 : 0;
  }
}
char SubscriptOf(char32_t code) {
  return code >= 0x2080 && code <= 0x2089
             ? static_cast<char>('0' + (code - 0x2080))
             : 0;
}

bool IsInvisible(char32_t code) {
  return (code >= 0x200b && code <= 0x200f) || code == 0x00ad ||
         (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
         code == 0x180e || code == 0x034f || code == 0x061c || code == 0x115f ||
         code == 0x1160 || code == 0x3164 || code == 0xffa0 ||
         (code >= 0xfe00 && code <= 0xfe0f) ||
         (code >= 0xe0000 && code <= 0xe0fff);
}

class Lexer {
 public:
  Lexer(absl::string_view text, LexedText* out) : text_(text), out_(*out) {}

  bool Run() {
    while (pos_ < text_.size() && ok_) {
      // Room for the last token and for what one command makes.
      if (out_.tokens.size() + 8 > kMaxTokens) return false;
      Step();
    }
    Token end;
    end.space_before = space_;
    end.begin = text_.size();
    out_.tokens.push_back(end);
    return ok_;
  }

 private:
  char At(size_t k) const { return k < text_.size() ? text_[k] : '\0'; }
  bool Follows(absl::string_view what) const {
    return absl::StartsWith(text_.substr(pos_), what);
  }

  void Emit(T type, size_t size, int value = 0, absl::string_view text = "") {
    Token token;
    token.type = type;
    token.space_before = space_;
    token.value = value;
    token.text = text;
    token.begin = pos_;
    token.end = pos_ + size;
    out_.tokens.push_back(token);
    space_ = false;
    pos_ += size;
  }

  // A copy that lives as long as the tokens.
  absl::string_view Own(std::string text) {
    out_.owned.push_back(std::move(text));
    return out_.owned.back();
  }

  void Step() {
    const char c = text_[pos_];
    if (IsSpace(c) || c == '~') {
      space_ = true;
      ++pos_;
    } else if (IsDigit(c) || (c == '.' && IsDigit(At(pos_ + 1)))) {
      Number();
    } else if (c == '\\') {
      Command();
    } else if (IsLetter(c)) {
      Letters();
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      NotAscii();
    } else {
      Punctuation(c);
    }
  }

  void Number() {
    size_t end = pos_;
    while (IsDigit(At(end))) ++end;
    if (At(end) == '.' && IsDigit(At(end + 1))) {
      ++end;
      while (IsDigit(At(end))) ++end;
    } else if (At(end) == '.' &&
               (absl::StartsWith(text_.substr(end + 1), "\\overline") ||
                absl::StartsWith(text_.substr(end + 1), "\\bar") ||
                absl::StartsWith(text_.substr(end + 1), "\\dot{") ||
                (At(end + 1) == '(' && IsDigit(At(end + 2))))) {
      ++end;
    }
    if (At(end) == 'e' || At(end) == 'E') {
      size_t digits = end + 1;
      if (At(digits) == '-' || At(digits) == '+') ++digits;
      if (IsDigit(At(digits))) {
        while (IsDigit(At(digits))) ++digits;
        // 2e3x is no number.
        if (!IsLetter(At(digits))) end = digits;
      }
    }
    if (end - pos_ > kMaxDigits) ok_ = false;
    Emit(T::kNumber, end - pos_, 0, text_.substr(pos_, end - pos_));
  }

  void NotAscii() {
    const Character character = Decode(text_.substr(pos_));
    if (const char* greek = GreekOf(character.code); greek != nullptr) {
      const bool is_pi = character.code == 0x3c0;
      Emit(is_pi ? T::kPi : T::kLetter, character.size, 0, greek);
      return;
    }
    // Letters of other scripts: a word, or a variable.
    size_t end = pos_;
    int count = 0;
    while (end < text_.size()) {
      const Character next = Decode(text_.substr(end));
      if (next.code < 0x80 || next.code == 0xfffd) break;
      end += next.size;
      ++count;
    }
    if (count == 0) {
      Emit(T::kUnknown, character.size);
      return;
    }
    const absl::string_view word = text_.substr(pos_, end - pos_);
    if (absl::StartsWith(word, "\xe6\x88\x96") ||  // or
        absl::StartsWith(word, "\xe5\x92\x8c") ||  // and
        absl::StartsWith(word, "\xe4\xb8\x8e")) {
      Emit(T::kAnd, 3, word[0] == '\xe6' ? 2 : 0);
      return;
    }
    const bool unit =
        !out_.tokens.empty() && FollowsQuantity(out_.tokens.back());
    Emit(count == 1 && !unit ? T::kLetter : T::kWord, end - pos_, 0, word);
  }

  // The content of {...} behind `start`; npos if it isn't closed.
  size_t GroupEnd(size_t start) const {
    int depth = 0;
    for (size_t k = start; k < text_.size(); ++k) {
      if (text_[k] == '\\') {
        ++k;
      } else if (text_[k] == '{') {
        ++depth;
      } else if (text_[k] == '}' && --depth == 0) {
        return k;
      }
    }
    return absl::string_view::npos;
  }

  void Command() {
    const char next = At(pos_ + 1);
    if (next == '\\') {
      // In a matrix the end of a row; elsewhere mostly a backslash too many.
      size_t name = pos_ + 2;
      while (IsLetter(At(name))) ++name;
      const absl::string_view letters = text_.substr(pos_ + 2, name - pos_ - 2);
      const bool escaped =
          environment_depth_ == 0 && !letters.empty() &&
          (Commands().contains(letters) || IsSilent(letters) ||
           IsTextCommand(letters) || letters == "begin" || letters == "mathbb");
      if (escaped) {
        ++pos_;  // The second backslash begins the command.
      } else if (environment_depth_ == 0 &&
                 (At(pos_ + 2) == '{' || At(pos_ + 2) == '}')) {
        ++pos_;
      } else if (environment_depth_ == 0 && At(pos_ + 2) == '%') {
        ++pos_;
      } else {
        Emit(T::kRowEnd, 2);
        if (At(pos_) == '[' && environment_depth_ > 0) {
          // \\[2pt]
          const size_t close = text_.find(']', pos_);
          if (close != absl::string_view::npos && close - pos_ < 8) {
            pos_ = close + 1;
          }
        }
      }
      return;
    }
    if (!IsLetter(next)) {
      switch (next) {
        case '{':
          Emit(T::kOpen, 2, 'S');
          return;
        case '}':
          Emit(T::kClose, 2, 'S');
          return;
        case '%':
          Emit(T::kPercent, 2);
          return;
        case '$':
          Emit(T::kCurrency, 2, 0, "dollar");
          return;
        case '|':
          Emit(T::kNorm, 2);
          return;
        case '&':
        case '#':
        case '_':
          Emit(T::kUnknown, 2);
          return;
        case '!':
          // Draws together what is on both sides.
          pos_ += 2;
          while (IsSpace(At(pos_))) ++pos_;
          space_ = false;
          return;
        case '[':
        case ']':
        case '(':
        case ')':  // Delimiters of mathematics.
          pos_ += 2;
          space_ = true;
          return;
        default:  // \, \; \: \> and a space; a backslash at the end.
          pos_ += next == '\0' ? 1 : 2;
          space_ = true;
          return;
      }
    }
    size_t end = pos_ + 1;
    while (IsLetter(At(end))) ++end;
    absl::string_view name = text_.substr(pos_ + 1, end - pos_ - 1);
    // "\lbracex": the longest beginning that is a command.
    absl::string_view known = name;
    while (!known.empty() && !IsKnown(known)) known.remove_suffix(1);
    if (known.size() >= 2 || IsKnown(name)) name = known;
    NamedCommand(name);
  }

  static bool TakesHiddenGroup(absl::string_view name) {
    return name == "hspace" || name == "vspace" || name == "phantom" ||
           name == "hphantom" || name == "vphantom" || name == "label" ||
           name == "tag" || name == "color" || name == "textcolor" ||
           name == "bbox" || name == "colorbox";
  }

  static bool IsKnown(absl::string_view name) {
    return Commands().contains(name) || IsSilent(name) || IsTextCommand(name) ||
           name == "begin" || name == "end" || name == "mathbb" ||
           name == "lim" || name == "not" || TakesHiddenGroup(name) ||
           name == "xrightarrow" || name == "char" || name == "stackrel" ||
           name == "boxed";
  }

  void NamedCommand(absl::string_view name) {
    const size_t size = name.size() + 1;
    if (IsTextCommand(name)) {
      Text(size, name == "mathrm" || name == "operatorname");
      return;
    }
    if (name == "begin" || name == "end") {
      Environment(name == "begin", size);
      return;
    }
    if (name == "mathbb") {
      size_t k = pos_ + size;
      while (IsSpace(At(k))) ++k;
      const bool braces = At(k) == '{';
      const size_t letter = braces ? k + 1 : k;
      size_t end = letter + 1;
      if (braces) {
        while (end < text_.size() && text_[end] != '}') ++end;
        ++end;
      }
      Emit(T::kNamedSet, std::min(end, text_.size()) - pos_, 0,
           text_.substr(std::min(letter, text_.size()), 1));
      return;
    }
    if (TakesHiddenGroup(name)) {
      // What is in their braces is not shown.
      pos_ += size;
      if (At(pos_) == '*') ++pos_;
      const size_t close =
          At(pos_) == '{' ? GroupEnd(pos_) : absl::string_view::npos;
      if (close != absl::string_view::npos) pos_ = close + 1;
      space_ = true;
      return;
    }
    if (name == "not") {
      pos_ += size;
      while (IsSpace(At(pos_))) ++pos_;
      if (At(pos_) == '=') {
        Emit(T::kRelation, 1, Of(Relation::kNe));
      } else if (Follows("\\in")) {
        Emit(T::kNotIn, 3);
      } else {
        Emit(T::kUnknown, 0);
      }
      return;
    }
    if (name == "left" || name == "mleft" || name == "right" ||
        name == "mright") {
      pos_ += size;
      while (IsSpace(At(pos_))) ++pos_;
      if (At(pos_) == '.') {
        ++pos_;
      } else if (At(pos_) == '{') {
        Emit(T::kOpen, 1, 'S');
      } else if (At(pos_) == '}') {
        Emit(T::kClose, 1, 'S');
      }
      return;
    }
    if (IsSilent(name)) {
      pos_ += size;
      space_ = true;
      return;
    }
    const auto found = Commands().find(name);
    if (found == Commands().end()) {
      Emit(T::kUnknown, size);
      return;
    }
    const Meaning& meaning = found->second;
    Emit(meaning.type, size, meaning.value, meaning.text);
  }

  void Environment(bool begin, size_t size) {
    size_t open = pos_ + size;
    while (IsSpace(At(open))) ++open;
    const size_t close =
        At(open) == '{' ? text_.find('}', open) : absl::string_view::npos;
    if (close == absl::string_view::npos) {
      Emit(T::kUnknown, size);
      return;
    }
    absl::string_view name = text_.substr(open + 1, close - open - 1);
    absl::ConsumeSuffix(&name, "*");
    environment_depth_ += begin ? 1 : -1;
    size_t end = close + 1;
    if (begin && (name == "array" || name == "tabular")) {
      while (IsSpace(At(end))) ++end;
      if (At(end) == '{') {
        const size_t columns = GroupEnd(end);
        if (columns != absl::string_view::npos) end = columns + 1;
      }
    }
    Emit(begin ? T::kBegin : T::kEndEnvironment, end - pos_, 0, name);
  }

  // \text{...} and its like.
  void Text(size_t size, bool upright) {
    size_t open = pos_ + size;
    while (IsSpace(At(open)) || At(open) == '*') ++open;
    if (At(open) != '{') {
      pos_ += size;
      space_ = true;
      return;
    }
    size_t close = GroupEnd(open);
    const bool closed = close != absl::string_view::npos;
    if (!closed) close = text_.size();
    const absl::string_view content = text_.substr(open + 1, close - open - 1);
    const size_t whole = (closed ? close + 1 : close) - pos_;
    absl::string_view word = absl::StripAsciiWhitespace(content);
    if (word.empty()) {
      pos_ += whole;
      space_ = true;
      return;
    }
    if (upright) {
      const auto found = KnownWords().find(word);
      const auto command = Commands().find(word);
      if (word == "d") {
        Emit(T::kLetter, whole, 0, word);
        return;
      }
      if (found != KnownWords().end() ||
          (command != Commands().end() &&
           command->second.type == T::kFunction)) {
        const Meaning& meaning =
            found != KnownWords().end() ? found->second : command->second;
        Emit(meaning.type, whole, meaning.value, meaning.text);
        return;
      }
    }
    // Text without words is mathematics: \text{(C)}, \text{13}.
    int letters = 0;
    int longest = 0;
    for (const char c : word) {
      letters = IsLetter(c) || static_cast<unsigned char>(c) >= 0x80
                    ? letters + 1
                    : 0;
      longest = std::max(longest, letters);
    }
    if (word.size() == 1 && !out_.tokens.empty() && IsUnitWord(word) &&
        FollowsQuantity(out_.tokens.back())) {
      Emit(T::kWord, whole, 0, word);  // 5\text{ m}
      return;
    }
    const bool digits = std::any_of(word.begin(), word.end(), IsDigit);
    if (longest <= 1 || digits || absl::StrContains(word, "\\") ||
        absl::StrContains(word, "$")) {
      if (nesting_ < 4) {
        ++nesting_;
        const size_t end = pos_ + whole;
        const absl::string_view outer = text_;
        text_ = outer.substr(0, open + 1 + content.size());
        pos_ = open + 1;
        space_ = true;
        while (pos_ < text_.size() && ok_ &&
               out_.tokens.size() + 8 <= kMaxTokens) {
          Step();
        }
        text_ = outer;
        pos_ = end;
        --nesting_;
        return;
      }
    }
    TextWords(word, whole);
  }

  void TextWords(absl::string_view word, size_t size) {
    std::string lower = absl::AsciiStrToLower(word);
    absl::string_view view = absl::StripAsciiWhitespace(lower);
    while (absl::ConsumeSuffix(&view, ".") || absl::ConsumeSuffix(&view, ",") ||
           absl::ConsumeSuffix(&view, ":")) {
      view = absl::StripAsciiWhitespace(view);
    }
    if (absl::ConsumePrefix(&view, ", ")) {
      view = absl::StripAsciiWhitespace(view);
    }
    if (view.empty()) {
      Emit(T::kComma, size);
    } else if (view == "and" || view == "or") {
      Emit(T::kAnd, size, view == "or" ? 2 : 0);
    } else if (view == "percent" || view == "pct" || view == "per cent") {
      Emit(T::kPercent, size);
    } else if (view == "degrees" || view == "degree" || view == "deg") {
      Emit(T::kDegree, size);
    } else if (view == "if" || view == "with" || view == "where") {
      Emit(T::kUnknown, size);
    } else {
      // Points keep their case.
      const bool points = std::all_of(word.begin(), word.end(), [](char c) {
        return c >= 'A' && c <= 'Z';
      });
      Emit(T::kWord, size, 0, Own(std::string(points ? word : view)));
    }
  }

  // A run of letters outside of any command.
  void Letters() {
    size_t end = pos_;
    while (IsLetter(At(end))) ++end;
    absl::string_view run = text_.substr(pos_, end - pos_);
    const auto meaning = KnownWords().find(run);
    if (meaning != KnownWords().end()) {
      // "lg" is also a variable times another; a function is followed.
      Emit(meaning->second.type, run.size(), meaning->second.value,
           meaning->second.text);
      return;
    }
    if (run == "x" && space_ && !out_.tokens.empty() &&
        out_.tokens.back().type == T::kNumber && At(end) == ' ' &&
        IsDigit(At(end + 1))) {
      Emit(T::kTimes, 1);  // 1.23 x 10^5
      return;
    }
    if (run.size() == 1) {
      Single(run);
      return;
    }
    // alpha without its backslash
    const auto greek = Commands().find(run);
    if (greek != Commands().end() && greek->second.type == T::kLetter) {
      Emit(T::kLetter, run.size(), 0, greek->second.text);
      return;
    }
    // x=1orx=2
    for (const absl::string_view joined : {"or", "and"}) {
      if (absl::StartsWith(run, joined) && run.size() <= joined.size() + 1 &&
          pos_ > 0 && (IsDigit(text_[pos_ - 1]) || text_[pos_ - 1] == ')')) {
        Emit(T::kAnd, joined.size(), joined == "or" ? 2 : 0);
        return;
      }
    }
    // sinx, lnx, sqrtx, pir.
    for (const absl::string_view prefix :
         {"sin", "cos", "tan", "ln", "log", "sqrt", "pi"}) {
      if (absl::StartsWith(run, prefix) && run.size() <= prefix.size() + 1 &&
          !IsUnitWord(run)) {
        const Meaning& known = KnownWords().at(prefix);
        Emit(known.type, prefix.size(), known.value, known.text);
        Single(text_.substr(pos_, 1));
        return;
      }
    }
    const bool upper = std::all_of(run.begin(), run.end(),
                                   [](char c) { return c >= 'A' && c <= 'Z'; });
    if (upper) {
      Emit(T::kWord, run.size(), 0, run);
      return;
    }
    if ((run == "th" || run == "st" || run == "nd" || run == "rd") &&
        pos_ > 0 && IsDigit(text_[pos_ - 1])) {
      pos_ = end;  // 9th
      return;
    }
    if (IsUnitWord(run) && !out_.tokens.empty() &&
        FollowsQuantity(out_.tokens.back())) {
      Words(run);
      return;
    }
    // 24xyzt is a product.
    const bool adjacent = !space_ && pos_ > 0 && IsDigit(text_[pos_ - 1]);
    if ((run.size() >= 4 && !adjacent && LooksLikeWord(run)) ||
        IsPlainWord(run)) {
      Words(run);
      return;
    }
    // A product of variables.
    while (pos_ < end) Single(text_.substr(pos_, 1));
  }

  bool FollowsOperand() const {
    if (out_.tokens.empty()) return false;
    switch (out_.tokens.back().type) {
      case T::kNumber:
      case T::kLetter:
      case T::kWord:
      case T::kClose:
      case T::kPi:
      case T::kEuler:
      case T::kImaginary:
      case T::kBar:
      case T::kBang:
      case T::kPercent:
      case T::kDegree:
      case T::kPrime:
        return true;
      default:
        return false;
    }
  }

  static bool FollowsQuantity(const Token& token) {
    return token.type == T::kNumber || token.type == T::kClose ||
           token.type == T::kWord || token.type == T::kPi ||
           token.type == T::kSlash;
  }

  // Not abcd, mnpq or xyzw, which are products.
  static bool LooksLikeWord(absl::string_view run) {
    bool vowel = false;
    bool rising = true;
    for (size_t k = 0; k < run.size(); ++k) {
      const char c = absl::ascii_tolower(static_cast<unsigned char>(run[k]));
      vowel |= absl::StrContains("aeiouy", absl::string_view(&c, 1));
      rising &= k == 0 ||
                c > absl::ascii_tolower(static_cast<unsigned char>(run[k - 1]));
    }
    const bool variables = run.find_first_not_of("xyzwtuv") == run.npos;
    return vowel && !rising && !variables;
  }

  // Short words that are no products.
  static bool IsPlainWord(absl::string_view run) {
    static constexpr absl::string_view kPlain[] = {
        "yes", "no",  "Yes", "No",   "the",  "The", "is",  "are", "not",
        "for", "all", "All", "of",   "to",   "one", "two", "six", "ten",
        "odd", "Odd", "day", "per",  "any",  "men", "pcs", "kgs", "tsp",
        "sq",  "cu",  "Any", "None", "none", "a.m", "DNE", "if",  "If"};
    return std::find(std::begin(kPlain), std::end(kPlain), run) !=
           std::end(kPlain);
  }

  // This word and the words behind it.
  void Words(absl::string_view run) {
    const size_t begin = pos_;
    size_t end = pos_ + run.size();
    while (true) {
      size_t next = end;
      while (At(next) == ' ' || At(next) == '-') ++next;
      size_t stop = next;
      while (IsLetter(At(stop))) ++stop;
      const absl::string_view word = text_.substr(next, stop - next);
      if (next == end || word.empty()) break;
      if (word == "and" || word == "or") break;
      if (word.size() == 1 && word != "a") break;
      if (At(next - 1) == '-' && next - end > 1) break;
      end = stop;
    }
    std::string words = absl::AsciiStrToLower(text_.substr(begin, end - begin));
    std::replace(words.begin(), words.end(), '-', ' ');
    Emit(T::kWord, end - begin, 0, Own(std::move(words)));
  }

  void Single(absl::string_view letter) {
    switch (letter[0]) {
      case 'e':
        Emit(T::kEuler, 1, 0, letter);
        break;
      case 'i':
        Emit(T::kImaginary, 1, 0, letter);
        break;
      default:
        Emit(T::kLetter, 1, 0, letter);
    }
  }

  void Punctuation(char c) {
    const auto relation = [&](Relation value, size_t size) {
      Emit(T::kRelation, size, Of(value));
    };
    switch (c) {
      case '+':
        // "5 +- 3" adds -3; "+-3" is both.
        if (Follows("+/-") || (Follows("+-") && !FollowsOperand())) {
          Emit(T::kPlusMinus, Follows("+-") ? 2 : 3);
        } else {
          Emit(T::kPlus, 1);
        }
        return;
      case '-':
        if (Follows("->")) return Emit(T::kArrow, 2);
        return Emit(T::kMinus, 1);
      case '*':
        return Follows("**") ? Emit(T::kCaret, 2) : Emit(T::kTimes, 1);
      case '/':
        return Emit(T::kSlash, 1);
      case '^':
        return Emit(T::kCaret, 1);
      case '_':
        return Emit(T::kUnderscore, 1);
      case '!':
        if (Follows("!=")) return relation(Relation::kNe, 2);
        return Emit(T::kBang, 1);
      case '\'':
        return Emit(T::kPrime, 1);
      case '%':
        return Emit(T::kPercent, 1);
      case '$':
        // A delimiter of mathematics shows nothing.
        ++pos_;
        space_ = true;
        return;
      case ',':
        return Emit(T::kComma, 1);
      case ';':
        return Emit(T::kSemicolon, 1);
      case ':':
        if (Follows(":=")) return relation(Relation::kEq, 2);
        return Emit(T::kColon, 1);
      case '|':
        return Emit(T::kBar, 1);
      case '=':
        if (Follows("=>")) return Emit(T::kImplies, 2);
        if (Follows("=<")) return relation(Relation::kLe, 2);
        return relation(Relation::kEq, Follows("==") ? 2 : 1);
      case '<':
        if (Follows("<=>")) return Emit(T::kImplies, 3);
        if (Follows("<=")) return relation(Relation::kLe, 2);
        if (Follows("<>")) return relation(Relation::kNe, 2);
        return relation(Relation::kLt, 1);
      case '>':
        if (Follows(">=")) return relation(Relation::kGe, 2);
        return relation(Relation::kGt, 1);
      case '(':
        return Emit(T::kOpen, 1, '(');
      case '[':
        return Emit(T::kOpen, 1, '[');
      case '{':
        if (Follows("{,}")) return Emit(T::kThousands, 3);
        return Emit(T::kOpen, 1, '{');
      case ')':
        return Emit(T::kClose, 1, '(');
      case ']':
        return Emit(T::kClose, 1, '[');
      case '}':
        return Emit(T::kClose, 1, '{');
      case '&':
        return Emit(T::kAmpersand, 1);
      case '.':
        if (Follows("...")) return Emit(T::kDots, 3);
        if (Follows(".\\overline")) return Emit(T::kNumber, 1, 0, "0.");
        if (pos_ + 1 == text_.size() || IsSpace(At(pos_ + 1))) {
          ++pos_;  // The end of a sentence.
          space_ = true;
          return;
        }
        return Emit(T::kUnknown, 1);
      case '`':
      case '"':
        ++pos_;
        space_ = true;
        return;
      default:
        Emit(T::kUnknown, 1);
    }
  }

  absl::string_view text_;
  LexedText& out_;
  size_t pos_ = 0;
  bool space_ = false;
  bool ok_ = true;
  int environment_depth_ = 0;
  int nesting_ = 0;
};

}  // namespace

std::string UnicodeToLatex(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  size_t i = 0;
  char open = 0;  // '^' or '_' while in a run of raised or lowered characters.
  while (i < text.size()) {
    const Character character = Decode(text.substr(i));
    const char raised = SuperscriptOf(character.code);
    const char lowered = SubscriptOf(character.code);
    const char wanted = raised != 0 ? '^' : lowered != 0 ? '_' : 0;
    if (wanted != open) {
      if (open != 0) out += '}';
      if (wanted != 0) {
        out += wanted;
        out += '{';
      }
      open = wanted;
    }
    if (wanted != 0) {
      out += raised != 0 ? raised : lowered;
    } else if (character.code >= 0xff10 && character.code <= 0xff19) {
      out += static_cast<char>('0' + (character.code - 0xff10));
    } else if ((character.code >= 0xff21 && character.code <= 0xff3a) ||
               (character.code >= 0xff41 && character.code <= 0xff5a)) {
      out += static_cast<char>(character.code - 0xff21 + 'A');
    } else if (character.code >= 0x1d7ce && character.code <= 0x1d7ff) {
      out += static_cast<char>('0' + (character.code - 0x1d7ce) % 10);
    } else if (character.code >= 0x1f300 && character.code <= 0x1faff) {
      out += ' ';  // An emoji.
    } else if (const char* latex =
                   character.code < 0x80 ? nullptr : LatexOf(character.code);
               latex != nullptr) {
      out += latex;
    } else {
      out.append(text.data() + i, character.size);
    }
    i += character.size;
  }
  if (open != 0) out += '}';
  return out;
}

bool HasInvisibleCharacters(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = text[i];
    if (c < 0x80) {
      if (c < 0x20 && !IsSpace(c)) return true;
      if (c == 0x7f) return true;
      ++i;
      continue;
    }
    const Character character = Decode(text.substr(i));
    if (IsInvisible(character.code)) return true;
    i += character.size;
  }
  return false;
}

bool Lex(absl::string_view text, LexedText* lexed) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
  lexed->text = ascii ? std::string(text) : UnicodeToLatex(text);
  lexed->tokens.reserve(std::min(lexed->text.size() + 1, kMaxTokens));
  return Lexer(lexed->text, lexed).Run();
}

}  // namespace ponder::math
