#include "policy/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/jinja/filters.h"
#include "policy/jinja/lexer.h"
#include "policy/jinja/limits.h"
#include "policy/jinja/value_tests.h"

namespace ponder::jinja {
namespace {

using Kind = Token::Kind;
using ExpressionPtr = std::unique_ptr<Expression>;
using ParsedExpression = absl::StatusOr<ExpressionPtr>;
using ParsedStatement = absl::StatusOr<std::unique_ptr<Statement>>;

ExpressionPtr MakeExpression(Expression::Kind kind, int line) {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  return expression;
}

// Makes `child`, which may be null, the last operand of `parent`.
void Adopt(Expression* parent, ExpressionPtr child) {
  if (child != nullptr) {
    parent->depth = std::max(parent->depth, child->depth + 1);
  }
  parent->operands.push_back(std::move(child));
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, absl::string_view where)
      : tokens_(std::move(tokens)), where_(where) {}

  absl::StatusOr<Block> ParseTemplate() {
    Block block;
    PONDER_RETURN_IF_ERROR(ParseBlock({}, &block));
    return block;
  }

 private:
  // Counts how deep the parser is within itself; more than kMaxNesting is an
  // error, so that recursion over the tree is safe.
  class Nesting {
   public:
    explicit Nesting(int* depth) : depth_(depth) { ++*depth_; }
    ~Nesting() { --*depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    int* const depth_;
  };
  absl::Status CheckNesting() const {
    if (nesting_ <= kMaxNesting) return absl::OkStatus();
    return Error(
        absl::StrCat("the template is nested deeper than ", kMaxNesting));
  }

  const Token& current() const { return tokens_[position_]; }
  const Token& following() const {
    return tokens_[std::min(position_ + 1, tokens_.size() - 1)];
  }
  void Next() {
    if (current().kind != Kind::kEnd) ++position_;
  }
  int line() const { return current().line; }

  absl::Status Error(absl::string_view message) const {
    return ErrorAt(where_, line(), message);
  }
  absl::Status Unexpected(absl::string_view wanted) const {
    const std::string found = current().kind == Kind::kEnd
                                  ? "the end of the template"
                              : current().kind == Kind::kVariableEnd ? "'}}'"
                              : current().kind == Kind::kBlockEnd    ? "'%}'"
                              : current().kind == Kind::kText
                                  ? "text"
                                  : absl::StrCat("'", current().spelling, "'");
    return Error(absl::StrCat("found ", found, ", wanted ", wanted));
  }

  bool IsOperator(absl::string_view spelling) const {
    return current().kind == Kind::kOperator && current().spelling == spelling;
  }
  bool IsName(absl::string_view name) const {
    return current().kind == Kind::kName && current().spelling == name;
  }
  bool SkipOperator(absl::string_view spelling) {
    if (!IsOperator(spelling)) return false;
    Next();
    return true;
  }
  bool SkipName(absl::string_view name) {
    if (!IsName(name)) return false;
    Next();
    return true;
  }
  absl::Status ExpectOperator(absl::string_view spelling) {
    if (SkipOperator(spelling)) return absl::OkStatus();
    return Unexpected(absl::StrCat("'", spelling, "'"));
  }
  absl::StatusOr<std::string> ExpectName() {
    if (current().kind != Kind::kName) return Unexpected("a name");
    std::string name = current().spelling;
    Next();
    return name;
  }
  absl::Status ExpectBlockEnd() {
    if (current().kind != Kind::kBlockEnd) return Unexpected("'%}'");
    Next();
    return absl::OkStatus();
  }

  // Statements, up to a tag with one of the names `ends`, whose name is then
  // the current token; up to the end of the template if there are none.
  absl::Status ParseBlock(std::initializer_list<absl::string_view> ends,
                          Block* block) {
    const Nesting nesting(&nesting_);
    PONDER_RETURN_IF_ERROR(CheckNesting());
    const int begin = line();
    while (current().kind != Kind::kEnd) {
      if (current().kind == Kind::kText) {
        auto text = std::make_unique<Statement>();
        text->kind = Statement::Kind::kText;
        text->line = line();
        text->text = *current().value.AsText();
        block->push_back(std::move(text));
        Next();
      } else if (current().kind == Kind::kVariableBegin) {
        auto output = std::make_unique<Statement>();
        output->kind = Statement::Kind::kOutput;
        output->line = line();
        Next();
        PONDER_ASSIGN_OR_RETURN(output->expression, ParseTuple());
        if (current().kind != Kind::kVariableEnd) return Unexpected("'}}'");
        Next();
        block->push_back(std::move(output));
      } else {
        Next();  // {%
        for (const absl::string_view end : ends) {
          if (IsName(end)) return absl::OkStatus();
        }
        PONDER_ASSIGN_OR_RETURN(auto statement, ParseStatement());
        PONDER_RETURN_IF_ERROR(ExpectBlockEnd());
        block->push_back(std::move(statement));
      }
    }
    if (ends.size() == 0) return absl::OkStatus();
    return ErrorAt(
        where_, begin,
        absl::StrCat("what begins here has no {% ", *(ends.end() - 1), " %}"));
  }

  ParsedStatement ParseStatement() {
    auto statement = std::make_unique<Statement>();
    statement->line = line();
    PONDER_ASSIGN_OR_RETURN(const std::string tag, ExpectName());
    absl::Status status;
    if (tag == "if") {
      status = ParseIf(statement.get());
    } else if (tag == "for") {
      status = ParseFor(statement.get());
    } else if (tag == "set") {
      status = ParseSet(statement.get());
    } else if (tag == "macro") {
      status = ParseMacro(statement.get());
    } else if (tag == "generation") {
      statement->kind = Statement::Kind::kGeneration;
      status = ParseFunctionBody("endgeneration", &statement->body);
    } else if (tag == "break" || tag == "continue") {
      statement->kind =
          tag == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue;
      if (num_loops_ == 0) {
        status = ErrorAt(where_, statement->line,
                         absl::StrCat("{% ", tag, " %} is outside of a loop"));
      }
    } else {
      status = ErrorAt(where_, statement->line,
                       absl::StrCat("{% ", tag, " %} is not supported here"));
    }
    if (!status.ok()) return status;
    return statement;
  }

  // Current: behind {% if or {% elif.
  absl::Status ParseIf(Statement* statement) {
    const Nesting nesting(&nesting_);
    PONDER_RETURN_IF_ERROR(CheckNesting());
    statement->kind = Statement::Kind::kIf;
    PONDER_ASSIGN_OR_RETURN(statement->expression,
                            ParseTuple({.without_condition = true}));
    PONDER_RETURN_IF_ERROR(ExpectBlockEnd());
    PONDER_RETURN_IF_ERROR(
        ParseBlock({"elif", "else", "endif"}, &statement->body));
    if (IsName("elif")) {
      auto other = std::make_unique<Statement>();
      other->line = line();
      Next();
      PONDER_RETURN_IF_ERROR(ParseIf(other.get()));
      statement->or_else.push_back(std::move(other));
      return absl::OkStatus();
    }
    if (SkipName("else")) {
      PONDER_RETURN_IF_ERROR(ExpectBlockEnd());
      PONDER_RETURN_IF_ERROR(ParseBlock({"endif"}, &statement->or_else));
    }
    Next();  // endif
    return absl::OkStatus();
  }

  absl::Status ParseFor(Statement* statement) {
    statement->kind = Statement::Kind::kFor;
    PONDER_ASSIGN_OR_RETURN(
        statement->target,
        ParseTarget(/*ends_with_in=*/true, /*with_namespace=*/false));
    if (!SkipName("in")) return Unexpected("'in'");
    PONDER_ASSIGN_OR_RETURN(
        statement->expression,
        ParseTuple({.without_condition = true, .end_name = "recursive"}));
    if (SkipName("if")) {
      PONDER_ASSIGN_OR_RETURN(statement->condition, ParseExpression());
    }
    if (IsName("recursive")) {
      return Error("a recursive for is not supported");
    }
    PONDER_RETURN_IF_ERROR(ExpectBlockEnd());
    ++num_loops_;
    PONDER_RETURN_IF_ERROR(ParseBlock({"else", "endfor"}, &statement->body));
    --num_loops_;
    if (SkipName("else")) {
      PONDER_RETURN_IF_ERROR(ExpectBlockEnd());
      PONDER_RETURN_IF_ERROR(ParseBlock({"endfor"}, &statement->or_else));
    }
    Next();  // endfor
    return absl::OkStatus();
  }

  absl::Status ParseSet(Statement* statement) {
    PONDER_ASSIGN_OR_RETURN(
        statement->target,
        ParseTarget(/*ends_with_in=*/false, /*with_namespace=*/true));
    if (SkipOperator("=")) {
      statement->kind = Statement::Kind::kSet;
      PONDER_ASSIGN_OR_RETURN(statement->expression, ParseTuple());
      return absl::OkStatus();
    }
    statement->kind = Statement::Kind::kSetBlock;
    PONDER_ASSIGN_OR_RETURN(statement->expression, ParseFilters(nullptr));
    PONDER_RETURN_IF_ERROR(ExpectBlockEnd());
    PONDER_RETURN_IF_ERROR(ParseBlock({"endset"}, &statement->body));
    Next();  // endset
    return absl::OkStatus();
  }

  absl::Status ParseMacro(Statement* statement) {
    statement->kind = Statement::Kind::kMacro;
    PONDER_ASSIGN_OR_RETURN(statement->name, ExpectName());
    PONDER_RETURN_IF_ERROR(CheckAssignable(statement->name));
    PONDER_RETURN_IF_ERROR(ExpectOperator("("));
    while (!IsOperator(")")) {
      if (!statement->parameters.empty()) {
        PONDER_RETURN_IF_ERROR(ExpectOperator(","));
      }
      PONDER_ASSIGN_OR_RETURN(std::string parameter, ExpectName());
      PONDER_RETURN_IF_ERROR(CheckAssignable(parameter));
      for (const std::string& other : statement->parameters) {
        if (other == parameter) {
          return Error(
              absl::StrCat("the parameter '", parameter, "' is there twice"));
        }
      }
      statement->parameters.push_back(std::move(parameter));
      if (SkipOperator("=")) {
        PONDER_ASSIGN_OR_RETURN(auto value, ParseExpression());
        statement->defaults.push_back(std::move(value));
      } else if (!statement->defaults.empty()) {
        return Error("a parameter without a default follows one with it");
      }
    }
    Next();  // )
    ++num_macros_;
    const absl::Status status = ParseFunctionBody("endmacro", &statement->body);
    --num_macros_;
    return status;
  }

  // What is a function of its own in Jinja: no loop around it is seen.
  absl::Status ParseFunctionBody(absl::string_view end, Block* body) {
    PONDER_RETURN_IF_ERROR(ExpectBlockEnd());
    const int num_loops = std::exchange(num_loops_, 0);
    PONDER_RETURN_IF_ERROR(ParseBlock({end}, body));
    num_loops_ = num_loops;
    Next();
    return absl::OkStatus();
  }

  absl::Status CheckAssignable(const std::string& name) const {
    for (const char* constant :
         {"true", "false", "none", "True", "False", "None"}) {
      if (name == constant) {
        return Error(absl::StrCat("'", name, "' can't be assigned to"));
      }
    }
    return absl::OkStatus();
  }

  ParsedExpression ParseTarget(bool ends_with_in, bool with_namespace) {
    const int begin = line();
    PONDER_ASSIGN_OR_RETURN(auto target,
                            ParseTuple({.is_target = true,
                                        .with_namespace = with_namespace,
                                        .end_name = ends_with_in ? "in" : ""}));
    if (!IsTarget(*target)) {
      return ErrorAt(where_, begin,
                     "what is assigned to should be a name, an attribute of a "
                     "namespace or a tuple of them");
    }
    return target;
  }

  static bool IsTarget(const Expression& expression) {
    if (expression.kind == Expression::Kind::kTuple) {
      for (const ExpressionPtr& operand : expression.operands) {
        if (!IsTarget(*operand)) return false;
      }
      return true;
    }
    return expression.kind == Expression::Kind::kName ||
           expression.kind == Expression::Kind::kNamespaceAttribute;
  }

  struct TupleOptions {
    bool is_target = false;  // Primary expressions only.
    bool with_namespace = false;
    bool without_condition = false;  // No "a if b else c".
    bool in_parentheses = false;     // May be empty.
    absl::string_view end_name = "";
  };

  ParsedExpression ParseTuple() { return ParseTuple(TupleOptions()); }
  ParsedExpression ParseTuple(const TupleOptions& options) {
    auto tuple = MakeExpression(Expression::Kind::kTuple, line());
    bool is_tuple = false;
    while (true) {
      if (!tuple->operands.empty()) {
        PONDER_RETURN_IF_ERROR(ExpectOperator(","));
      }
      if (current().kind == Kind::kVariableEnd ||
          current().kind == Kind::kBlockEnd || IsOperator(")") ||
          (!options.end_name.empty() && IsName(options.end_name))) {
        break;
      }
      PONDER_ASSIGN_OR_RETURN(
          auto item, options.is_target ? ParsePrimary(options.with_namespace)
                     : options.without_condition ? ParseOr()
                                                 : ParseExpression());
      Adopt(tuple.get(), std::move(item));
      if (!IsOperator(",")) break;
      is_tuple = true;
    }
    if (!is_tuple && !tuple->operands.empty()) {
      return std::move(tuple->operands[0]);
    }
    if (!is_tuple && !options.in_parentheses) {
      return Unexpected("an expression");
    }
    return tuple;
  }

  ParsedExpression ParseExpression() {
    const Nesting nesting(&nesting_);
    PONDER_RETURN_IF_ERROR(CheckNesting());
    int begin = line();
    PONDER_ASSIGN_OR_RETURN(auto expression, ParseOr());
    while (SkipName("if")) {
      auto choice = MakeExpression(Expression::Kind::kCondition, begin);
      PONDER_ASSIGN_OR_RETURN(auto condition, ParseOr());
      ExpressionPtr other;
      if (SkipName("else")) {
        PONDER_ASSIGN_OR_RETURN(other, ParseExpression());
      }
      Adopt(choice.get(), std::move(condition));
      Adopt(choice.get(), std::move(expression));
      Adopt(choice.get(), std::move(other));
      expression = std::move(choice);
      PONDER_RETURN_IF_ERROR(CheckDepth(*expression));
      begin = line();
    }
    PONDER_RETURN_IF_ERROR(CheckDepth(*expression));
    return expression;
  }

  // A chain of operators makes a tree as deep as the chain is long.
  absl::Status CheckDepth(const Expression& expression) const {
    if (expression.depth <= kMaxNesting) return absl::OkStatus();
    return Error(absl::StrCat("an expression has more than ", kMaxNesting,
                              " operators on one another"));
  }

  ParsedExpression ParseOr() {
    const Nesting nesting(&nesting_);
    PONDER_RETURN_IF_ERROR(CheckNesting());
    return ParseLogic(Expression::Kind::kOr, "or", &Parser::ParseAnd);
  }
  ParsedExpression ParseAnd() {
    return ParseLogic(Expression::Kind::kAnd, "and", &Parser::ParseNot);
  }
  ParsedExpression ParseLogic(Expression::Kind kind, absl::string_view name,
                              ParsedExpression (Parser::*operand)()) {
    const int begin = line();
    PONDER_ASSIGN_OR_RETURN(auto first, (this->*operand)());
    if (!IsName(name)) return first;
    auto all = MakeExpression(kind, begin);
    Adopt(all.get(), std::move(first));
    while (SkipName(name)) {
      PONDER_ASSIGN_OR_RETURN(auto next, (this->*operand)());
      Adopt(all.get(), std::move(next));
    }
    return all;
  }

  ParsedExpression ParseNot() {
    if (!IsName("not")) return ParseCompare();
    const Nesting nesting(&nesting_);
    PONDER_RETURN_IF_ERROR(CheckNesting());
    auto negation = MakeExpression(Expression::Kind::kNot, line());
    Next();
    PONDER_ASSIGN_OR_RETURN(auto operand, ParseNot());
    Adopt(negation.get(), std::move(operand));
    return negation;
  }

  // The comparison that comes next, taken; false if there is none.
  bool TakeComparison(Operator* found) {
    constexpr std::pair<absl::string_view, Operator> kComparisons[] = {
        {"==", Operator::kEqual},  {"!=", Operator::kNotEqual},
        {"<", Operator::kLess},    {"<=", Operator::kLessEqual},
        {">", Operator::kGreater}, {">=", Operator::kGreaterEqual}};
    for (const auto& [spelling, comparison] : kComparisons) {
      if (SkipOperator(spelling)) {
        *found = comparison;
        return true;
      }
    }
    if (SkipName("in")) {
      *found = Operator::kIn;
      return true;
    }
    if (IsName("not") && following().kind == Kind::kName &&
        following().spelling == "in") {
      Next();
      Next();
      *found = Operator::kNotIn;
      return true;
    }
    return false;
  }

  ParsedExpression ParseCompare() {
    const int begin = line();
    PONDER_ASSIGN_OR_RETURN(auto first, ParseSum());
    Operator found;
    if (!TakeComparison(&found)) return first;
    auto comparison = MakeExpression(Expression::Kind::kCompare, begin);
    Adopt(comparison.get(), std::move(first));
    do {
      PONDER_ASSIGN_OR_RETURN(auto next, ParseSum());
      comparison->operators.push_back(found);
      Adopt(comparison.get(), std::move(next));
    } while (TakeComparison(&found));
    return comparison;
  }

  using Operators =
      std::initializer_list<std::pair<absl::string_view, Operator>>;

  // Operators of one precedence, the leftmost first.
  ParsedExpression ParseBinary(Operators operators,
                               ParsedExpression (Parser::*operand)()) {
    int begin = line();
    PONDER_ASSIGN_OR_RETURN(auto left, (this->*operand)());
    while (true) {
      const std::pair<absl::string_view, Operator>* found = nullptr;
      for (const auto& candidate : operators) {
        if (IsOperator(candidate.first)) found = &candidate;
      }
      if (found == nullptr) return left;
      Next();
      auto binary = MakeExpression(Expression::Kind::kBinary, begin);
      PONDER_ASSIGN_OR_RETURN(auto right, (this->*operand)());
      binary->operators.push_back(found->second);
      Adopt(binary.get(), std::move(left));
      Adopt(binary.get(), std::move(right));
      left = std::move(binary);
      PONDER_RETURN_IF_ERROR(CheckDepth(*left));
      begin = line();
    }
  }
  ParsedExpression ParseSum() {
    return ParseBinary({{"+", Operator::kAdd}, {"-", Operator::kSubtract}},
                       &Parser::ParseConcat);
  }
  ParsedExpression ParseProduct() {
    return ParseBinary({{"*", Operator::kMultiply},
                        {"/", Operator::kDivide},
                        {"//", Operator::kFloorDivide},
                        {"%", Operator::kModulo}},
                       &Parser::ParsePower);
  }
  ParsedExpression ParsePower() {
    return ParseBinary({{"**", Operator::kPower}}, &Parser::ParseUnary);
  }

  ParsedExpression ParseConcat() {
    const int begin = line();
    PONDER_ASSIGN_OR_RETURN(auto first, ParseProduct());
    if (!IsOperator("~")) return first;
    auto all = MakeExpression(Expression::Kind::kConcat, begin);
    Adopt(all.get(), std::move(first));
    while (SkipOperator("~")) {
      PONDER_ASSIGN_OR_RETURN(auto next, ParseProduct());
      Adopt(all.get(), std::move(next));
    }
    return all;
  }

  ParsedExpression ParseUnary() {
    PONDER_ASSIGN_OR_RETURN(auto operand, ParseSigned());
    return ParseFiltersAndTests(std::move(operand));
  }

  // A filter or test behind a sign is about the signed value.
  ParsedExpression ParseSigned() {
    if (!IsOperator("-") && !IsOperator("+")) {
      PONDER_ASSIGN_OR_RETURN(auto primary, ParsePrimary(false));
      return ParsePostfix(std::move(primary));
    }
    const Nesting nesting(&nesting_);
    PONDER_RETURN_IF_ERROR(CheckNesting());
    auto sign = MakeExpression(
        IsOperator("-") ? Expression::Kind::kNegate : Expression::Kind::kPlus,
        line());
    Next();
    PONDER_ASSIGN_OR_RETURN(auto operand, ParseSigned());
    Adopt(sign.get(), std::move(operand));
    return sign;
  }

  ParsedExpression ParsePrimary(bool with_namespace) {
    const Token token = current();
    auto constant = MakeExpression(Expression::Kind::kConstant, token.line);
    switch (token.kind) {
      case Kind::kName:
        return ParseName(with_namespace);
      case Kind::kString: {
        std::string text;
        while (current().kind == Kind::kString) {
          text += *current().value.AsText();
          Next();
        }
        constant->constant = Value(std::move(text));
        return constant;
      }
      case Kind::kNumber:
        Next();
        constant->constant = token.value;
        return constant;
      default:
        break;
    }
    if (SkipOperator("(")) {
      const Nesting nesting(&nesting_);
      PONDER_ASSIGN_OR_RETURN(auto inside,
                              ParseTuple({.in_parentheses = true}));
      PONDER_RETURN_IF_ERROR(ExpectOperator(")"));
      return inside;
    }
    if (SkipOperator("[")) return ParseItems("]", token.line);
    if (SkipOperator("{")) return ParseItems("}", token.line);
    return Unexpected("an expression");
  }

  ParsedExpression ParseName(bool with_namespace) {
    const int begin = line();
    PONDER_ASSIGN_OR_RETURN(std::string name, ExpectName());
    auto constant = MakeExpression(Expression::Kind::kConstant, begin);
    if (name == "none" || name == "None") return constant;
    if (name == "true" || name == "True" || name == "false" ||
        name == "False") {
      constant->constant = Value(name == "true" || name == "True");
      return constant;
    }
    if (num_macros_ > 0 &&
        (name == "varargs" || name == "kwargs" || name == "caller")) {
      return ErrorAt(where_, begin,
                     absl::StrCat("'", name,
                                  "' in a macro is "
                                  "not supported"));
    }
    auto result = MakeExpression(Expression::Kind::kName, begin);
    result->name = std::move(name);
    if (with_namespace && SkipOperator(".")) {
      result->kind = Expression::Kind::kNamespaceAttribute;
      PONDER_ASSIGN_OR_RETURN(std::string attribute, ExpectName());
      result->keywords.push_back(std::move(attribute));
    }
    return result;
  }

  // Of a list or dict, behind its opening bracket.
  ParsedExpression ParseItems(absl::string_view end, int begin) {
    const Nesting nesting(&nesting_);
    const bool is_dict = end == "}";
    auto result = MakeExpression(
        is_dict ? Expression::Kind::kDict : Expression::Kind::kList, begin);
    while (!IsOperator(end)) {
      if (!result->operands.empty()) {
        PONDER_RETURN_IF_ERROR(ExpectOperator(","));
        if (IsOperator(end)) break;
      }
      PONDER_ASSIGN_OR_RETURN(auto item, ParseExpression());
      Adopt(result.get(), std::move(item));
      if (is_dict) {
        PONDER_RETURN_IF_ERROR(ExpectOperator(":"));
        PONDER_ASSIGN_OR_RETURN(auto value, ParseExpression());
        Adopt(result.get(), std::move(value));
      }
    }
    Next();
    return result;
  }

  // Attributes, subscripts and calls.
  ParsedExpression ParsePostfix(ExpressionPtr operand) {
    while (true) {
      PONDER_RETURN_IF_ERROR(CheckDepth(*operand));
      const int begin = line();
      ExpressionPtr result;
      if (SkipOperator(".")) {
        if (current().kind == Kind::kName) {
          result = MakeExpression(Expression::Kind::kAttribute, begin);
          result->name = current().spelling;
          Adopt(result.get(), std::move(operand));
        } else if (current().kind == Kind::kNumber &&
                   current().value.Is<int64_t>()) {
          result = MakeExpression(Expression::Kind::kItem, begin);
          Adopt(result.get(), std::move(operand));
          auto index = MakeExpression(Expression::Kind::kConstant, line());
          index->constant = current().value;
          Adopt(result.get(), std::move(index));
        } else {
          return Unexpected("a name or a number behind the dot");
        }
        Next();
      } else if (SkipOperator("[")) {
        PONDER_ASSIGN_OR_RETURN(result,
                                ParseSubscript(std::move(operand), begin));
      } else if (IsOperator("(")) {
        result = MakeExpression(Expression::Kind::kCall, begin);
        Adopt(result.get(), std::move(operand));
        PONDER_RETURN_IF_ERROR(ParseArguments(result.get()));
      } else {
        return operand;
      }
      operand = std::move(result);
    }
  }

  // Behind the bracket.
  ParsedExpression ParseSubscript(ExpressionPtr operand, int begin) {
    const Nesting nesting(&nesting_);
    auto result = MakeExpression(Expression::Kind::kItem, begin);
    Adopt(result.get(), std::move(operand));
    ExpressionPtr first;
    if (!IsOperator(":")) {
      PONDER_ASSIGN_OR_RETURN(first, ParseExpression());
    }
    const bool is_slice = IsOperator(":");
    Adopt(result.get(), std::move(first));
    if (is_slice) {
      result->kind = Expression::Kind::kSlice;
      for (int part = 0; part < 2; ++part) {
        ExpressionPtr value;
        if (SkipOperator(":") && !IsOperator(":") && !IsOperator("]")) {
          PONDER_ASSIGN_OR_RETURN(value, ParseExpression());
        }
        Adopt(result.get(), std::move(value));
      }
    }
    if (IsOperator(",")) {
      return Error("more than one value in brackets is not supported");
    }
    PONDER_RETURN_IF_ERROR(ExpectOperator("]"));
    return result;
  }

  // Appends "(a, b, name=c)" to the operands of `call`.
  absl::Status ParseArguments(Expression* call) {
    const Nesting nesting(&nesting_);
    PONDER_RETURN_IF_ERROR(ExpectOperator("("));
    for (bool is_first = true; !IsOperator(")"); is_first = false) {
      if (!is_first) {
        PONDER_RETURN_IF_ERROR(ExpectOperator(","));
        if (IsOperator(")")) break;
      }
      if (IsOperator("*") || IsOperator("**")) {
        return Error("arguments with * or ** are not supported");
      }
      if (current().kind == Kind::kName &&
          following().kind == Kind::kOperator && following().spelling == "=") {
        for (const std::string& keyword : call->keywords) {
          if (keyword == current().spelling) {
            return Error(
                absl::StrCat("the argument '", keyword, "' is there twice"));
          }
        }
        call->keywords.push_back(current().spelling);
        Next();
        Next();
      } else if (!call->keywords.empty()) {
        return Error("an argument without a name follows one with a name");
      }
      PONDER_ASSIGN_OR_RETURN(auto argument, ParseExpression());
      Adopt(call, std::move(argument));
    }
    Next();
    return absl::OkStatus();
  }

  ParsedExpression ParseFiltersAndTests(ExpressionPtr operand) {
    while (true) {
      PONDER_RETURN_IF_ERROR(CheckDepth(*operand));
      if (IsOperator("|")) {
        PONDER_ASSIGN_OR_RETURN(operand, ParseFilters(std::move(operand)));
      } else if (IsName("is")) {
        PONDER_ASSIGN_OR_RETURN(operand, ParseTest(std::move(operand)));
      } else if (IsOperator("(")) {
        auto call = MakeExpression(Expression::Kind::kCall, line());
        Adopt(call.get(), std::move(operand));
        PONDER_RETURN_IF_ERROR(ParseArguments(call.get()));
        operand = std::move(call);
      } else {
        return operand;
      }
    }
  }

  // `operand` may be null: of a block set.
  ParsedExpression ParseFilters(ExpressionPtr operand) {
    while (SkipOperator("|")) {
      auto filter = MakeExpression(Expression::Kind::kFilter, line());
      PONDER_ASSIGN_OR_RETURN(filter->name, ExpectName());
      if (!IsFilter(filter->name)) {
        return ErrorAt(
            where_, filter->line,
            absl::StrCat("the filter '", filter->name, "' is not supported"));
      }
      Adopt(filter.get(), std::move(operand));
      if (IsOperator("(")) {
        PONDER_RETURN_IF_ERROR(ParseArguments(filter.get()));
      }
      operand = std::move(filter);
      PONDER_RETURN_IF_ERROR(CheckDepth(*operand));
    }
    return operand;
  }

  ParsedExpression ParseTest(ExpressionPtr operand) {
    auto test = MakeExpression(Expression::Kind::kTest, line());
    Next();  // is
    const bool is_negated = SkipName("not");
    PONDER_ASSIGN_OR_RETURN(test->name, ExpectName());
    if (!IsTest(test->name)) {
      return ErrorAt(
          where_, test->line,
          absl::StrCat("the test '", test->name, "' is not supported"));
    }
    Adopt(test.get(), std::move(operand));
    const Kind kind = current().kind;
    if (IsOperator("(")) {
      PONDER_RETURN_IF_ERROR(ParseArguments(test.get()));
    } else if ((kind == Kind::kName && !IsName("else") && !IsName("or") &&
                !IsName("and")) ||
               kind == Kind::kString || kind == Kind::kNumber ||
               IsOperator("[") || IsOperator("{")) {
      if (IsName("is")) return Error("a test can't be followed by another");
      PONDER_ASSIGN_OR_RETURN(auto primary, ParsePrimary(false));
      PONDER_ASSIGN_OR_RETURN(auto argument, ParsePostfix(std::move(primary)));
      Adopt(test.get(), std::move(argument));
    }
    if (!is_negated) return test;
    auto negation = MakeExpression(Expression::Kind::kNot, test->line);
    Adopt(negation.get(), std::move(test));
    return negation;
  }

  const std::vector<Token> tokens_;
  const absl::string_view where_;
  size_t position_ = 0;
  int nesting_ = 0;
  int num_loops_ = 0;   // Around the current statement, in its function.
  int num_macros_ = 0;  // Around the current statement.
};

}  // namespace

absl::StatusOr<Block> Parse(absl::string_view source, absl::string_view where) {
  PONDER_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source, where));
  return Parser(std::move(tokens), where).ParseTemplate();
}

}  // namespace ponder::jinja
