#include "reward/math/token_parser.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"

namespace ponder::math {

Parsed TokenParser::Run() {
  const size_t last = tokens_.size() - 2;
  // ]a, b[ and [a, b[ and (a, b[
  const bool ends_open = tokens_.size() > 3 &&
                         tokens_[last].type == Token::kOpen &&
                         tokens_[last].value == '[';
  // ]a, b]
  const bool ends_closed =
      tokens_.size() > 3 && tokens_[0].type == Token::kClose &&
      tokens_[last].type == Token::kClose && tokens_[last].value == '[';
  const bool french =
      (ends_open || ends_closed) &&
      ((tokens_[0].type == Token::kClose && tokens_[0].value == '[') ||
       (tokens_[0].type == Token::kOpen && tokens_[0].value != '{'));
  Id root = french ? FrenchInterval() : Statement();
  // A closing brace too many at the end of the text.
  while (!failed_ && Is(Token::kClose, '{')) Take();
  if (!failed_ && !Is(Token::kEnd)) root = kNoId;
  if (failed_) root = kNoId;
  return {root, beyond_};
}

// The & of rows below each other, which are no matrix.
void TokenParser::DropAlignment() {
  std::vector<bool> is_matrix;
  std::vector<Token> kept;
  for (const Token& token : tokens_) {
    if (token.type == Token::kBegin) {
      is_matrix.push_back(token.text == "array" ||
                          absl::EndsWith(token.text, "matrix"));
    } else if (token.type == Token::kEndEnvironment && !is_matrix.empty()) {
      is_matrix.pop_back();
    }
    const bool alignment = token.type == Token::kAmpersand &&
                           (is_matrix.empty() || !is_matrix.back());
    if (!alignment) kept.push_back(token);
  }
  if (kept.size() < tokens_.size()) tokens_ = std::move(kept);
}

bool TokenParser::AtStatementEnd() const {
  return Is(Token::kEnd) || Is(Token::kClose) || Is(Token::kEndEnvironment) ||
         Is(Token::kAmpersand);
}

// Consumes what stands between items. True if there was something.
bool TokenParser::Separator() {
  bool any = false;
  while (Is(Token::kComma) || Is(Token::kSemicolon) || Is(Token::kAnd) ||
         (Is(Token::kRowEnd) && environment_ == 0)) {
    if (Is(Token::kAnd, 2)) connectives_ |= kAlternatives;
    if (Is(Token::kAnd, 0)) connectives_ |= kConjunction;
    Take();
    any = true;
  }
  return any;
}

Id TokenParser::Statement() {
  const Deeper deeper(this);
  if (failed_) return kNoId;
  while (Is(Token::kImplies) || (Is(Token::kAnd) && Peek().value == 1) ||
         (Is(Token::kRowEnd) && environment_ == 0) || Is(Token::kColon)) {
    Take();
  }
  const uint8_t outer = std::exchange(connectives_, uint8_t{0});
  std::vector<Id> items;
  while (!AtStatementEnd() && !(environment_ > 0 && Is(Token::kRowEnd))) {
    const Id item = Clause();
    if (failed_) return kNoId;
    items.push_back(item);
    if (items.size() > kMaxItems) {
      return Beyond();
    }
    if (!Separator()) break;
  }
  const uint8_t flag = std::exchange(connectives_, outer);
  if (items.empty()) return Fail();
  if (items.size() == 1) return items[0];
  return arena_.Make(Op::kList, items, 0, flag);
}

// The last of statements that follow from each other.
Id TokenParser::Clause() {
  // "= 9" and "Answer: 9"
  if (Is(Token::kRelation, static_cast<int>(Relation::kEq))) Take();
  if (Is(Token::kWord) &&
      (Peek().text == "answer" || Peek().text == "the answer is" ||
       Peek().text == "final answer" || Peek().text == "solution") &&
      Peek(1).type != Token::kRelation && Peek(1).type != Token::kEnd) {
    Take();
  }
  Id clause = Chain();
  while (!failed_ && Is(Token::kImplies)) {
    // A number before the sign is no statement.
    if (!arena_.Is(clause, Op::kRelation) && !arena_.Is(clause, Op::kMember)) {
      return Fail();
    }
    Take();
    clause = Chain();
  }
  return failed_ ? kNoId : clause;
}

Id TokenParser::Chain() {
  const Deeper deeper(this);
  if (failed_) return kNoId;
  std::vector<Id> sides = {SetExpression()};
  std::vector<Relation> relations;
  bool approximate = false;  // The first relation.
  while (!failed_) {
    if (Is(Token::kRelation)) {
      relations.push_back(static_cast<Relation>(Take().value));
      sides.push_back(SetExpression());
    } else if (Accept(Token::kApprox)) {
      const Id side = SetExpression();
      if (failed_) return kNoId;
      if (!relations.empty()) continue;  // x = 1/3 \approx 0.33
      approximate = true;
      relations.push_back(Relation::kEq);
      sides.push_back(side);
    } else if (Accept(Token::kIn)) {
      const Id set = SetExpression();
      if (failed_ || !relations.empty()) return Fail();
      return arena_.Make(Op::kMember, {sides[0], set});
    } else if (Accept(Token::kEquiv)) {
      const Id right = SetExpression();
      if (failed_) return kNoId;
      if (Is(Token::kParenthesisMod) || Is(Token::kMod)) {
        Take();
        const Id modulus = Primary();
        if (failed_ || sides.size() != 1) return Fail();
        return arena_.Make(Op::kCongruence, {sides[0], right, modulus});
      }
      if (arena_.Is(right, Function::kMod)) {
        return arena_.Make(Op::kCongruence, {sides[0], arena_.child(right, 0),
                                             arena_.child(right, 1)});
      }
      relations.push_back(Relation::kEq);
      sides.push_back(right);
    } else {
      break;
    }
  }
  if (failed_) return kNoId;
  // 3 \pmod 7
  if (relations.empty() && Accept(Token::kParenthesisMod)) {
    Primary();
    if (failed_) return kNoId;
  }
  if (relations.empty()) return sides[0];
  constexpr size_t kMaxRelations = 10;
  while (relations.size() > kMaxRelations) {
    if (std::any_of(relations.begin(), relations.end(),
                    [](Relation r) { return r != Relation::kEq; })) {
      return Beyond();
    }
    relations.erase(relations.begin());
    sides.erase(sides.begin() + 1);
  }
  int32_t packed = 0;
  for (size_t k = 0; k < relations.size(); ++k) {
    packed |= static_cast<int32_t>(relations[k]) << (3 * k);
  }
  return arena_.Make(Op::kRelation, sides, packed,
                     approximate && sides.size() == 2 ? kApproximate : 0);
}

Id TokenParser::SetExpression() {
  Id left = RatioExpression();
  while (!failed_) {
    Op op;
    if (Is(Token::kUnion)) {
      op = Op::kUnion;
    } else if (Is(Token::kIntersection)) {
      op = Op::kIntersection;
    } else if (Is(Token::kSetMinus)) {
      op = Op::kSetMinus;
    } else {
      break;
    }
    Take();
    const Id right = RatioExpression();
    if (failed_) return kNoId;
    left = arena_.Make(op, {left, right});
  }
  return left;
}

Id TokenParser::RatioExpression() {
  std::vector<Id> parts = {Additive()};
  while (!failed_ && Is(Token::kColon) && builder_ == 0) {
    Take();
    parts.push_back(Additive());
  }
  if (failed_) return kNoId;
  return parts.size() == 1 ? parts[0] : arena_.Make(Op::kRatio, parts);
}

Id TokenParser::FrenchInterval() {
  const Token& open = Take();
  const bool closed = open.type == Token::kOpen && open.value == '[';
  ++bracket_depth_;
  std::vector<Id> ends;
  ends.push_back(Chain());
  if (failed_ || !Separator()) return Fail();
  // The last token opens a bracket: it must not start a factor.
  const size_t last = tokens_.size() - 2;
  stop_at_ = last;
  ends.push_back(Chain());
  if (failed_ || pos_ != last) return Fail();
  const bool end_closed = Take().type == Token::kClose;
  uint8_t flag = kOpenReal;
  if (closed) flag |= kOpenClosed;
  if (end_closed) flag |= kCloseClosed;
  return arena_.Make(Op::kTuple, ends, 0, flag);
}

Id TokenParser::Group() {
  const int open = Peek().value;
  Take();
  switch (open) {
    case '{': {
      const int bars = std::exchange(bar_depth_, 0);
      const Id inner = Statement();
      bar_depth_ = bars;
      if (failed_ || !AcceptBrace()) return Fail();
      if (!arena_.Is(inner, Op::kList)) return inner;
      return arena_.Make(Op::kSet, arena_.children(inner));
    }
    case 'S':
      return Set();
    case 'f':
    case 'c': {
      const int bars = std::exchange(bar_depth_, 0);
      const Id inner = Additive();
      bar_depth_ = bars;
      if (failed_ || !Accept(Token::kClose, open)) return Fail();
      return arena_.MakeFunction(
          open == 'f' ? Function::kFloor : Function::kCeil, {Scalar(inner)});
    }
    default:
      return Brackets(open);
  }
}

Id TokenParser::Brackets(int open) {
  ++bracket_depth_;
  const int bars = std::exchange(bar_depth_, 0);
  const int builder = std::exchange(builder_, 0);
  const Id inner = Statement();
  builder_ = builder;
  bar_depth_ = bars;
  --bracket_depth_;
  if (failed_ || !Is(Token::kClose)) return Fail();
  const int close = Peek().value;
  const bool matching = close == open || (open != '<' && close != '<' &&
                                          (close == '(' || close == '['));
  if (!matching) return Fail();
  Take();
  if (!arena_.Is(inner, Op::kList)) return close == open ? inner : Fail();
  uint8_t flag = 0;
  if (open == '[') flag |= kOpenClosed;
  if (close == '[') flag |= kCloseClosed;
  return arena_.Make(Op::kTuple, arena_.children(inner), 0, flag);
}

Id TokenParser::Set() {
  if (Accept(Token::kClose, 'S')) return arena_.Make(Op::kSet);
  ++bracket_depth_;
  const int bars = std::exchange(bar_depth_, 0);
  ++builder_;
  Id first = Clause();
  --builder_;
  Id set = kNoId;
  if (!failed_ &&
      (Is(Token::kSuchThat) || Is(Token::kBar) || Is(Token::kColon))) {
    Take();
    const Id condition = Statement();
    if (!failed_) set = arena_.Make(Op::kSetBuilder, {first, condition});
  } else if (!failed_) {
    std::vector<Id> items = {first};
    while (!failed_ && Separator() && !AtStatementEnd()) {
      items.push_back(Clause());
      if (items.size() > kMaxItems) {
        Beyond();
      }
    }
    if (!failed_) set = arena_.Make(Op::kSet, items);
  }
  bar_depth_ = bars;
  --bracket_depth_;
  if (failed_ || !Accept(Token::kClose, 'S')) return Fail();
  return set;
}

Id TokenParser::Bars(Token::Type bar, int* depth, Function function) {
  Take();
  // ||x||: a bar right behind a bar opens once more.
  ++*depth;
  const Id inner = Additive();
  --*depth;
  if (failed_ || !Accept(bar)) return Fail();
  return arena_.MakeFunction(function, {Scalar(inner)});
}

Id TokenParser::Environment() {
  const std::string name(Take().text);
  const bool matrix = name == "array" || absl::EndsWith(name, "matrix");
  ++environment_;
  const int bars = std::exchange(bar_depth_, 0);
  std::vector<std::vector<Id>> rows(1);
  size_t cells = 0;
  while (!failed_ && !Is(Token::kEndEnvironment)) {
    if (Is(Token::kEnd)) {
      Fail();
    } else if (Accept(Token::kRowEnd)) {
      if (!rows.back().empty()) rows.emplace_back();
    } else if (Accept(Token::kAmpersand)) {
      continue;
    } else if (Is(Token::kComma) || Is(Token::kSemicolon)) {
      Take();
    } else {
      rows.back().push_back(Statement());
      if (++cells > kMaxItems) {
        Beyond();
      }
    }
  }
  bar_depth_ = bars;
  --environment_;
  if (failed_) return kNoId;
  Take();
  while (!rows.empty() && rows.back().empty()) rows.pop_back();
  if (rows.empty()) return Fail();
  std::vector<Id> all;
  for (const std::vector<Id>& row : rows) {
    if (matrix && row.size() != rows[0].size()) return Fail();
    all.insert(all.end(), row.begin(), row.end());
  }
  if (!matrix) {
    // Equations below each other.
    if (name == "cases") return arena_.Make(Op::kList, all);
    return all.size() == 1 ? all[0] : arena_.Make(Op::kList, all);
  }
  const Id result =
      arena_.Make(Op::kMatrix, all, static_cast<int32_t>(rows[0].size()));
  if (name == "vmatrix") return arena_.MakeFunction(Function::kDet, {result});
  return result;
}

}  // namespace ponder::math
