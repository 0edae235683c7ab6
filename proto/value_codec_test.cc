#include "proto/value_codec.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

std::string RoundTrip(const std::string& text) {
  const auto json = ParseJson(text, "text");
  if (!json.ok()) return std::string(json.status().message());
  const auto value = ValueFromJson(*json);
  if (!value.ok()) return std::string(value.status().message());
  return DumpJson(ValueToJson(*value));
}

TEST(ValueCodecTest, RoundTripsWhatJsonCanSay) {
  for (const std::string text :
       {"null", "true", "-5", "0.1", "1.0", "\"a\\n\xc3\xa9\"", "[]", "{}",
        "[1, [2.5, \"x\"], {\"b\": 1, \"a\": null}]", "9223372036854775807",
        "-9223372036854775808"}) {
    EXPECT_EQ(RoundTrip(text), text);
  }
}

TEST(ValueCodecTest, KeepsIntegersBeyond64Bits) {
  for (const std::string text :
       {"9223372036854775808", "18446744073709551615", "18446744073709551616",
        "-9223372036854775809", "[123456789012345678901234567890]"}) {
    EXPECT_EQ(RoundTrip(text), text);
  }
  const auto json = ParseJson("18446744073709551616", "text");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(ValueFromJson(*json)->big_int(), "18446744073709551616");
}

TEST(ValueCodecTest, LastOfARepeatedKeyCounts) {
  EXPECT_EQ(RoundTrip("{\"a\": 1, \"b\": 2, \"a\": 3}"),
            "{\"a\": 3, \"b\": 2}");
}

TEST(ValueCodecTest, ErrorsNameThePlace) {
  const auto one_line = ParseJson("{\"a\": }", "train.jsonl:7");
  EXPECT_EQ(one_line.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(one_line.status().message()),
              HasSubstr("train.jsonl:7, column 7: "));
  EXPECT_THAT(
      std::string(ParseJson("{\n \"a\": 1,\n}", "f").status().message()),
      HasSubstr("f, line 3, column 1: "));
  EXPECT_FALSE(ParseJson("", "f").ok());
  EXPECT_FALSE(ParseJson("1 2", "f").ok());
  EXPECT_FALSE(ParseJson("\"\xff\"", "f").ok());
  EXPECT_THAT(
      std::string(ParseJson(std::string(100, '['), "f").status().message()),
      HasSubstr("nested deeper than 40"));
}

absl::StatusOr<TestSuite> Suite(const std::string& text) {
  const auto json = ParseJson(text, "text");
  if (!json.ok()) return json.status();
  return TestSuiteFromJson(*json);
}

TEST(ValueCodecTest, ReadsTheThreeKindsOfTests) {
  const auto stdio = Suite(
      R"({"kind":"stdio","checker":"float 1e-6","prompt":"...",)"
      R"("visible":[["1 2\n","3\n"]],"hidden":[{"stdin":"","stdout":"x"}]})");
  ASSERT_TRUE(stdio.ok()) << stdio.status();
  EXPECT_EQ(stdio->checker(), "float 1e-6");
  EXPECT_EQ(stdio->visible(0).stdin(), "1 2\n");
  EXPECT_EQ(stdio->hidden(0).stdout(), "x");

  const auto call =
      Suite(R"({"kind":"call","fn":"f","hidden":[[[[3,1]],[1,3]],)"
            R"({"args":[],"expected":null}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->hidden(0).args().values(0).list().values(0).int_value(), 3);
  EXPECT_TRUE(call->hidden(1).expected().null_value());

  const auto assertion =
      Suite(R"({"kind":"assert","fn":"f","visible":["assert f() == 1"]})");
  ASSERT_TRUE(assertion.ok()) << assertion.status();
  EXPECT_EQ(assertion->visible(0).code(), "assert f() == 1");
}

TEST(ValueCodecTest, RefusesBadTests) {
  const auto message = [](const std::string& text) {
    return std::string(Suite(text).status().message());
  };
  EXPECT_THAT(message("[]"), HasSubstr("wanted an object"));
  EXPECT_THAT(message(R"({"kind":"std"})"), HasSubstr("tests.kind: got \"std"));
  EXPECT_THAT(message(R"({"kind":"stdio"})"), HasSubstr("no cases"));
  EXPECT_THAT(message(R"({"kind":"call","visible":[[[1],1]]})"),
              HasSubstr("tests.fn"));
  EXPECT_THAT(message(R"({"kind":"stdio","hidden":[["a"]]})"),
              HasSubstr("tests.hidden[0]"));
  EXPECT_THAT(message(R"({"kind":"call","fn":"f","visible":[[1,1]]})"),
              HasSubstr("args must be a list"));
  EXPECT_THAT(message(R"({"kind":"assert","visible":[3]})"),
              HasSubstr("tests.visible[0]"));
}

}  // namespace
}  // namespace ponder
