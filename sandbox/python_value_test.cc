#include "sandbox/python_value.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "proto/value_codec.h"

namespace ponder {
namespace {

using Kind = PythonValue::Kind;

Value FromJson(const std::string& text) {
  const auto json = ParseJson(text, "test");
  EXPECT_TRUE(json.ok()) << json.status();
  const auto value = ValueFromJson(*json);
  EXPECT_TRUE(value.ok()) << value.status();
  return *value;
}

std::string Marshal(const PythonValue& value) {
  std::string bytes;
  AppendMarshal(value, &bytes);
  return bytes;
}

PythonValue Int(int64_t number) {
  PythonValue value;
  value.kind = Kind::kInt;
  value.int_value = number;
  return value;
}

PythonValue Float(double number) {
  PythonValue value;
  value.kind = Kind::kFloat;
  value.float_value = number;
  return value;
}

PythonValue Bool(bool truth) {
  PythonValue value;
  value.kind = Kind::kBool;
  value.int_value = truth;
  return value;
}

PythonValue Container(Kind kind, std::vector<PythonValue> items) {
  PythonValue value;
  value.kind = kind;
  value.items = std::move(items);
  return value;
}

bool Matches(const std::string& expected, const PythonValue& got,
             std::optional<double> tolerance = std::nullopt) {
  return MatchesExpected(FromJson(expected), got, tolerance);
}

// Bytes of python3 -c "import marshal; print(marshal.dumps(x, 2))".
TEST(PythonValueTest, ReadsWhatMarshalWrites) {
  EXPECT_EQ(ParseMarshal("N")->kind, Kind::kNone);
  EXPECT_EQ(ParseMarshal("T")->int_value, 1);
  EXPECT_EQ(ParseMarshal(std::string("i\x2a\0\0\0", 5))->int_value, 42);
  EXPECT_EQ(ParseMarshal(std::string("i\xff\xff\xff\xff", 5))->int_value, -1);
  // 2**40
  EXPECT_EQ(
      ParseMarshal(std::string("l\x03\0\0\0\0\0\0\0\0\x04", 11))->int_value,
      int64_t{1} << 40);
  EXPECT_EQ(ParseMarshal(std::string("g\0\0\0\0\0\0\xf0\x3f", 9))->float_value,
            1.0);
  EXPECT_EQ(ParseMarshal(std::string("u\x02\0\0\0hi", 7))->text, "hi");
  const auto dict =
      ParseMarshal(std::string("{u\x01\0\0\0ai\x01\0\0\0"
                               "0",
                               13));
  ASSERT_TRUE(dict.ok());
  EXPECT_EQ(dict->kind, Kind::kDict);
  EXPECT_EQ(dict->items.size(), 2);
}

TEST(PythonValueTest, RoundTrips) {
  for (const std::string text :
       {"null", "true", "0", "-1", "2147483648", "-2147483649",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        "-9223372036854775809", "123456789012345678901234567890", "0.1",
        "\"text\"", "[1, [2, \"x\"], {\"a\": null}]", "{}", "[]"}) {
    const PythonValue value = PythonFromValue(FromJson(text));
    const auto again = ParseMarshal(Marshal(value));
    ASSERT_TRUE(again.ok()) << text;
    EXPECT_EQ(Marshal(*again), Marshal(value)) << text;
    EXPECT_TRUE(Matches(text, *again)) << text;
  }
}

TEST(PythonValueTest, RefusesGarbage) {
  const std::string deep = [] {
    std::string bytes;
    for (int i = 0; i < 100; ++i) bytes += std::string("[\x01\0\0\0", 5);
    return bytes + "N";
  }();
  for (const std::string& bytes : {
           std::string(),
           std::string("x"),
           std::string("i\x01\0\0", 4),           // Short.
           std::string("NN"),                     // Two values.
           std::string("[\xff\xff\xff\x7f", 5),   // 2^31 items.
           std::string("[\xff\xff\xff\xff", 5),   // -1 items.
           std::string("u\xff\xff\xff\x7fx", 6),  // Longer than the message.
           std::string("l\0\0\0\0", 5),           // No digits.
           std::string("l\x01\0\0\0\0\0", 7),     // Leading zero digit.
           std::string("l\x01\0\0\0\0\x80", 7),   // Digit beyond 15 bits.
           std::string("l\0\0\0\x80", 5),         // -2^31 digits.
           std::string("{N", 2),                  // Dict without an end.
           std::string("{N0", 3),                 // Key without a value.
           std::string("0"),                      // The end of a dict alone.
           std::string("c\0\0\0\0", 5),           // A code object.
           std::string("\xe9\x01\0\0\0", 5),      // A reference flag.
           deep,
       }) {
    EXPECT_FALSE(ParseMarshal(bytes).ok()) << bytes;
  }
  // A message full of Nones makes no more nodes than allowed.
  std::string many = std::string("[\0\0\x10\0", 5) + std::string(1 << 20, 'N');
  EXPECT_FALSE(ParseMarshal(many).ok());
}

TEST(PythonValueTest, TypesAreExact) {
  EXPECT_FALSE(Matches("1", Bool(true)));
  EXPECT_FALSE(Matches("true", Int(1)));
  EXPECT_FALSE(Matches("null", Int(0)));
  EXPECT_FALSE(Matches("null", Bool(false)));
  EXPECT_FALSE(Matches("\"1\"", Int(1)));
  EXPECT_FALSE(Matches("1", PythonString("1")));
  EXPECT_FALSE(Matches("\"x\"", PythonBytes("x")));
  EXPECT_FALSE(Matches("[1]", Container(Kind::kSet, {Int(1)})));
  EXPECT_FALSE(Matches("[1]", Container(Kind::kFrozenSet, {Int(1)})));
  EXPECT_FALSE(Matches("[]", Container(Kind::kDict, {})));
  EXPECT_TRUE(Matches("[1]", Container(Kind::kTuple, {Int(1)})));
  EXPECT_TRUE(Matches("[1]", Container(Kind::kList, {Int(1)})));
  EXPECT_FALSE(Matches("[1, 2]", Container(Kind::kList, {Int(1)})));
}

TEST(PythonValueTest, NumbersCompareByExactValue) {
  EXPECT_TRUE(Matches("3", Float(3.0)));
  EXPECT_TRUE(Matches("3.0", Int(3)));
  EXPECT_FALSE(Matches("3", Float(3.0000000001)));
  EXPECT_TRUE(Matches("0.5", Float(0.5)));
  EXPECT_FALSE(Matches("0.3", Float(0.1 + 0.2)));
  // 2^53 + 1 is no double.
  EXPECT_FALSE(Matches("9007199254740993", Float(9007199254740992.0)));
  EXPECT_FALSE(Matches("9223372036854775807", Float(0x1p63)));
  EXPECT_FALSE(Matches("9223372036854775808",
                       PythonFromValue(FromJson("9223372036854775809"))));
  const double nan = std::nan("");
  EXPECT_FALSE(Matches("0", Float(nan)));
  EXPECT_FALSE(Matches("0.5", Float(nan), 1e-6));
  EXPECT_FALSE(
      Matches("0.5", Float(std::numeric_limits<double>::infinity()), 1e-6));
}

TEST(PythonValueTest, ToleranceIsForFloats) {
  EXPECT_TRUE(Matches("0.3", Float(0.1 + 0.2), 1e-9));
  EXPECT_TRUE(Matches("[1e9]", Container(Kind::kList, {Float(1e9 + 1)}), 1e-6));
  EXPECT_FALSE(Matches("0.3", Float(0.31), 1e-6));
  EXPECT_FALSE(Matches("1000000000", Int(1000000001), 1e-6));
}

TEST(PythonValueTest, DictsHaveTheSameStringKeys) {
  const auto dict = [](std::vector<PythonValue> items) {
    return Container(Kind::kDict, std::move(items));
  };
  const PythonValue a = PythonString("a");
  const PythonValue b = PythonString("b");
  EXPECT_TRUE(Matches("{\"a\": 1, \"b\": 2}", dict({b, Int(2), a, Int(1)})));
  EXPECT_FALSE(Matches("{\"a\": 1, \"b\": 2}", dict({a, Int(1)})));
  EXPECT_FALSE(Matches("{\"a\": 1}", dict({a, Int(1), b, Int(2)})));
  EXPECT_FALSE(Matches("{\"1\": 1}", dict({Int(1), Int(1)})));
  // No dict has a key twice; a forged message may.
  EXPECT_FALSE(Matches("{\"a\": 1, \"b\": 2}", dict({a, Int(1), a, Int(1)})));
}

TEST(PythonValueTest, DescribesItself) {
  EXPECT_EQ(Describe(Container(Kind::kList, {Int(1), Float(2.5), Bool(true),
                                             PythonString("x\n")}),
                     100),
            "[1, 2.5, True, 'x\\n']");
  EXPECT_EQ(Describe(PythonString(std::string(1000, 'x')), 10).size(), 13);
}

}  // namespace
}  // namespace ponder
