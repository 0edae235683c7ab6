#include "reward/math/lexer.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "reward/characters.h"
#include "reward/math/commands.h"
#include "reward/math/expr.h"
#include "reward/math/limits.h"
#include "reward/math/unicode_latex.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

bool IsSpace(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c));
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

  void Emit(Token::Type type, size_t size, int value = 0,
            absl::string_view text = "") {
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

  void Emit(const Meaning& meaning, size_t size) {
    Emit(meaning.type, size, meaning.value, meaning.text);
  }
  void Emit(Relation relation, size_t size) {
    Emit(Token::kRelation, size, static_cast<int>(relation));
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
    Emit(Token::kNumber, end - pos_, 0, text_.substr(pos_, end - pos_));
  }

  void NotAscii() {
    const Character character = DecodeCharacter(text_.substr(pos_));
    if (const char* greek = GreekOf(character.code); greek != nullptr) {
      const bool is_pi = character.code == 0x3c0;
      Emit(is_pi ? Token::kPi : Token::kLetter, character.size, 0, greek);
      return;
    }
    // Letters of other scripts: a word, or a variable.
    size_t end = pos_;
    int count = 0;
    while (end < text_.size()) {
      const Character next = DecodeCharacter(text_.substr(end));
      if (next.code < 0x80 || next.code == 0xfffd) break;
      end += next.size;
      ++count;
    }
    if (count == 0) {
      Emit(Token::kUnknown, character.size);
      return;
    }
    const absl::string_view word = text_.substr(pos_, end - pos_);
    if (absl::StartsWith(word, "\xe6\x88\x96") ||  // or
        absl::StartsWith(word, "\xe5\x92\x8c") ||  // and
        absl::StartsWith(word, "\xe4\xb8\x8e")) {
      Emit(Token::kAnd, 3, word[0] == '\xe6' ? 2 : 0);
      return;
    }
    const bool unit =
        !out_.tokens.empty() && FollowsQuantity(out_.tokens.back());
    Emit(count == 1 && !unit ? Token::kLetter : Token::kWord, end - pos_, 0,
         word);
  }

  // Where the {...} that begins at `start` closes; npos if it doesn't.
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
    if (next == '\\') return DoubleBackslash();
    if (!IsLetter(next)) return EscapedSign(next);
    size_t end = pos_ + 1;
    while (IsLetter(At(end))) ++end;
    absl::string_view name = text_.substr(pos_ + 1, end - pos_ - 1);
    // "\lbracex": the longest beginning that is a command.
    absl::string_view known = name;
    while (!known.empty() && !IsCommand(known)) known.remove_suffix(1);
    if (known.size() >= 2 || IsCommand(name)) name = known;
    NamedCommand(name);
  }

  // In a matrix the end of a row; elsewhere mostly a backslash too many.
  void DoubleBackslash() {
    size_t name = pos_ + 2;
    while (IsLetter(At(name))) ++name;
    const absl::string_view letters = text_.substr(pos_ + 2, name - pos_ - 2);
    const char after = At(pos_ + 2);
    const bool command = MeaningOfCommand(letters) != nullptr ||
                         IsSilentCommand(letters) || IsTextCommand(letters) ||
                         letters == "begin" || letters == "mathbb";
    if (environment_depth_ == 0 &&
        (command || after == '{' || after == '}' || after == '%')) {
      ++pos_;  // The second backslash begins the command.
    } else {
      Emit(Token::kRowEnd, 2);
      if (At(pos_) == '[' && environment_depth_ > 0) {
        // \\[2pt]
        const size_t close = text_.find(']', pos_);
        if (close != absl::string_view::npos && close - pos_ < 8) {
          pos_ = close + 1;
        }
      }
    }
  }

  // A backslash and a sign that is no letter.
  void EscapedSign(char sign) {
    switch (sign) {
      case '{':
        Emit(Token::kOpen, 2, 'S');
        return;
      case '}':
        Emit(Token::kClose, 2, 'S');
        return;
      case '%':
        Emit(Token::kPercent, 2);
        return;
      case '$':
        Emit(Token::kCurrency, 2, 0, "dollar");
        return;
      case '|':
        Emit(Token::kNorm, 2);
        return;
      case '&':
      case '#':
      case '_':
        Emit(Token::kUnknown, 2);
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
        pos_ += sign == '\0' ? 1 : 2;
        space_ = true;
        return;
    }
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
      Emit(Token::kNamedSet, std::min(end, text_.size()) - pos_, 0,
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
        Emit(Relation::kNe, 1);
      } else {
        Emit(Token::kUnknown, Follows("\\in") ? 3 : 0);
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
        Emit(Token::kOpen, 1, 'S');
      } else if (At(pos_) == '}') {
        Emit(Token::kClose, 1, 'S');
      }
      return;
    }
    if (IsSilentCommand(name)) {
      pos_ += size;
      space_ = true;
      return;
    }
    if (const Meaning* meaning = MeaningOfCommand(name); meaning != nullptr) {
      Emit(*meaning, size);
    } else {
      Emit(Token::kUnknown, size);
    }
  }

  void Environment(bool begin, size_t size) {
    size_t open = pos_ + size;
    while (IsSpace(At(open))) ++open;
    const size_t close =
        At(open) == '{' ? text_.find('}', open) : absl::string_view::npos;
    if (close == absl::string_view::npos) {
      Emit(Token::kUnknown, size);
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
    Emit(begin ? Token::kBegin : Token::kEndEnvironment, end - pos_, 0, name);
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
      if (word == "d") {
        Emit(Token::kLetter, whole, 0, word);
        return;
      }
      const Meaning* meaning = MeaningOfWord(word);
      if (meaning == nullptr) {
        meaning = MeaningOfCommand(word);
        if (meaning != nullptr && meaning->type != Token::kFunction) {
          meaning = nullptr;
        }
      }
      if (meaning != nullptr) {
        Emit(*meaning, whole);
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
      Emit(Token::kWord, whole, 0, word);  // 5\text{ m}
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
      Emit(Token::kComma, size);
    } else if (view == "and" || view == "or") {
      Emit(Token::kAnd, size, view == "or" ? 2 : 0);
    } else if (view == "percent" || view == "pct" || view == "per cent") {
      Emit(Token::kPercent, size);
    } else if (view == "degrees" || view == "degree" || view == "deg") {
      Emit(Token::kDegree, size);
    } else if (view == "if" || view == "with" || view == "where") {
      Emit(Token::kUnknown, size);
    } else {
      // Points keep their case.
      const bool points = std::all_of(word.begin(), word.end(), [](char c) {
        return c >= 'A' && c <= 'Z';
      });
      Emit(Token::kWord, size, 0, Own(std::string(points ? word : view)));
    }
  }

  // A run of letters outside of any command.
  void Letters() {
    size_t end = pos_;
    while (IsLetter(At(end))) ++end;
    const absl::string_view run = text_.substr(pos_, end - pos_);
    if (const Meaning* meaning = MeaningOfWord(run); meaning != nullptr) {
      Emit(*meaning, run.size());
      return;
    }
    if (run == "x" && space_ && !out_.tokens.empty() &&
        out_.tokens.back().type == Token::kNumber && At(end) == ' ' &&
        IsDigit(At(end + 1))) {
      Emit(Token::kTimes, 1);  // 1.23 x 10^5
      return;
    }
    if (run.size() == 1) {
      Single(run);
      return;
    }
    // alpha without its backslash
    const Meaning* const greek = MeaningOfCommand(run);
    if (greek != nullptr && greek->type == Token::kLetter) {
      Emit(*greek, run.size());
      return;
    }
    // x=1orx=2
    for (const absl::string_view joined : {"or", "and"}) {
      if (absl::StartsWith(run, joined) && run.size() <= joined.size() + 1 &&
          pos_ > 0 && (IsDigit(text_[pos_ - 1]) || text_[pos_ - 1] == ')')) {
        Emit(Token::kAnd, joined.size(), joined == "or" ? 2 : 0);
        return;
      }
    }
    // sinx, lnx, sqrtx, pir.
    for (const absl::string_view prefix :
         {"sin", "cos", "tan", "ln", "log", "sqrt", "pi"}) {
      if (absl::StartsWith(run, prefix) && run.size() <= prefix.size() + 1 &&
          !IsUnitWord(run)) {
        Emit(*MeaningOfWord(prefix), prefix.size());
        Single(text_.substr(pos_, 1));
        return;
      }
    }
    const bool upper = std::all_of(run.begin(), run.end(),
                                   [](char c) { return c >= 'A' && c <= 'Z'; });
    if (upper) {
      Emit(Token::kWord, run.size(), 0, run);
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
        IsShortWord(run)) {
      Words(run);
      return;
    }
    // A product of variables.
    while (pos_ < end) Single(text_.substr(pos_, 1));
  }

  bool FollowsOperand() const {
    if (out_.tokens.empty()) return false;
    switch (out_.tokens.back().type) {
      case Token::kNumber:
      case Token::kLetter:
      case Token::kWord:
      case Token::kClose:
      case Token::kPi:
      case Token::kEuler:
      case Token::kImaginary:
      case Token::kBar:
      case Token::kBang:
      case Token::kPercent:
      case Token::kDegree:
      case Token::kPrime:
        return true;
      default:
        return false;
    }
  }

  static bool FollowsQuantity(const Token& token) {
    return token.type == Token::kNumber || token.type == Token::kClose ||
           token.type == Token::kWord || token.type == Token::kPi ||
           token.type == Token::kSlash;
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
    Emit(Token::kWord, end - begin, 0, Own(std::move(words)));
  }

  void Single(absl::string_view letter) {
    switch (letter[0]) {
      case 'e':
        Emit(Token::kEuler, 1, 0, letter);
        break;
      case 'i':
        Emit(Token::kImaginary, 1, 0, letter);
        break;
      default:
        Emit(Token::kLetter, 1, 0, letter);
    }
  }

  void Punctuation(char c) {
    switch (c) {
      case '+':
        // "5 +- 3" adds -3; "+-3" is both.
        if (Follows("+/-") || (Follows("+-") && !FollowsOperand())) {
          Emit(Token::kPlusMinus, Follows("+-") ? 2 : 3);
        } else {
          Emit(Token::kPlus, 1);
        }
        return;
      case '-':
        if (Follows("->")) return Emit(Token::kArrow, 2);
        return Emit(Token::kMinus, 1);
      case '*':
        return Follows("**") ? Emit(Token::kCaret, 2) : Emit(Token::kTimes, 1);
      case '/':
        return Emit(Token::kSlash, 1);
      case '^':
        return Emit(Token::kCaret, 1);
      case '_':
        return Emit(Token::kUnderscore, 1);
      case '!':
        if (Follows("!=")) return Emit(Relation::kNe, 2);
        return Emit(Token::kBang, 1);
      case '\'':
        return Emit(Token::kPrime, 1);
      case '%':
        return Emit(Token::kPercent, 1);
      case '$':
        // A delimiter of mathematics shows nothing.
        ++pos_;
        space_ = true;
        return;
      case ',':
        return Emit(Token::kComma, 1);
      case ';':
        return Emit(Token::kSemicolon, 1);
      case ':':
        if (Follows(":=")) return Emit(Relation::kEq, 2);
        return Emit(Token::kColon, 1);
      case '|':
        return Emit(Token::kBar, 1);
      case '=':
        if (Follows("=>")) return Emit(Token::kImplies, 2);
        if (Follows("=<")) return Emit(Relation::kLe, 2);
        return Emit(Relation::kEq, Follows("==") ? 2 : 1);
      case '<':
        if (Follows("<=>")) return Emit(Token::kImplies, 3);
        if (Follows("<=")) return Emit(Relation::kLe, 2);
        if (Follows("<>")) return Emit(Relation::kNe, 2);
        return Emit(Relation::kLt, 1);
      case '>':
        if (Follows(">=")) return Emit(Relation::kGe, 2);
        return Emit(Relation::kGt, 1);
      case '(':
        return Emit(Token::kOpen, 1, '(');
      case '[':
        return Emit(Token::kOpen, 1, '[');
      case '{':
        if (Follows("{,}")) return Emit(Token::kThousands, 3);
        return Emit(Token::kOpen, 1, '{');
      case ')':
        return Emit(Token::kClose, 1, '(');
      case ']':
        return Emit(Token::kClose, 1, '[');
      case '}':
        return Emit(Token::kClose, 1, '{');
      case '&':
        return Emit(Token::kAmpersand, 1);
      case '.':
        if (Follows("...")) return Emit(Token::kDots, 3);
        if (Follows(".\\overline")) return Emit(Token::kNumber, 1, 0, "0.");
        if (pos_ + 1 == text_.size() || IsSpace(At(pos_ + 1))) {
          ++pos_;  // The end of a sentence.
          space_ = true;
          return;
        }
        return Emit(Token::kUnknown, 1);
      case '`':
      case '"':
        ++pos_;
        space_ = true;
        return;
      default:
        Emit(Token::kUnknown, 1);
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

bool Lex(absl::string_view text, LexedText* lexed) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
  lexed->text = ascii ? std::string(text) : UnicodeToLatex(text);
  lexed->tokens.reserve(std::min(lexed->text.size() + 1, kMaxTokens));
  return Lexer(lexed->text, lexed).Run();
}

}  // namespace ponder::math
