// A template after parsing.

#ifndef PONDER_POLICY_JINJA_SYNTAX_TREE_H_
#define PONDER_POLICY_JINJA_SYNTAX_TREE_H_

#include <memory>
#include <string>
#include <vector>

#include "policy/jinja/value.h"

namespace ponder::jinja {

enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expression {
  enum class Kind {
    kConstant,   // constant
    kName,       // name
    kTuple,      // operands
    kList,       // operands
    kDict,       // operands: key, value, key, value, ...
    kAttribute,  // operands[0].name
    kItem,       // operands[0][operands[1]]
    kSlice,      // operands[0][operands[1]:operands[2]:operands[3]], the last
                 // three null if absent
    kCall,       // operands[0](operands[1], ..., keywords)
    kFilter,     // operands[0] | name(operands[1], ..., keywords); operands[0]
                 // is null where the text of a block set goes in
    kTest,       // operands[0] is name(operands[1], ..., keywords)
    kNegate,     // operands[0]
    kPlus,       // operands[0]
    kNot,        // operands[0]
    kAnd,        // operands
    kOr,         // operands
    kBinary,     // operands[0] operators[0] operands[1]
    kCompare,    // operands[0] operators[0] operands[1] operators[1] ...
    kConcat,     // operands joined by ~
    kCondition,  // operands[1] if operands[0] else operands[2], which may be
                 // null
    kNamespaceAttribute,  // name.keywords[0], as a target only
  };
  Kind kind = Kind::kConstant;
  int line = 0;
  int depth = 1;  // Of the tree; operands are in it.
  Value constant;
  std::string name;
  std::vector<std::unique_ptr<Expression>> operands;
  std::vector<std::string> keywords;  // Names of the last operands of a call.
  std::vector<Operator> operators;
};

struct Statement {
  enum class Kind {
    kText,        // text
    kOutput,      // expression
    kIf,          // body if expression, else or_else
    kFor,         // target, expression, condition or null, body, or_else
    kSet,         // target = expression
    kSetBlock,    // target = expression or null applied to the text of body
    kMacro,       // name, parameters, defaults of the last ones, body
    kGeneration,  // body
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kText;
  int line = 0;
  std::string text;
  std::string name;
  std::unique_ptr<Expression> target;
  std::unique_ptr<Expression> expression;
  std::unique_ptr<Expression> condition;
  std::vector<std::string> parameters;
  std::vector<std::unique_ptr<Expression>> defaults;
  std::vector<std::unique_ptr<Statement>> body;
  std::vector<std::unique_ptr<Statement>> or_else;
};

using Block = std::vector<std::unique_ptr<Statement>>;

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_SYNTAX_TREE_H_
