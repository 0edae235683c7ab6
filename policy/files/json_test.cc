#include "policy/files/json.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Error(absl::string_view text) {
  return std::string(ParseCheckpointJson(text, "x.json").status().message());
}

TEST(ParseJsonTest, Parses) {
  EXPECT_EQ((*ParseCheckpointJson(R"({"a": [1, {"a": 2}], "b": {"a": 3}})",
                                  "x"))["b"],
            (nlohmann::json{{"a", 3}}));
}

TEST(ParseJsonTest, SaysWhere) {
  EXPECT_THAT(Error("{\n\"a\": }"), HasSubstr("x.json: parse error at line 2"));
  EXPECT_THAT(Error("{\n\"a\": }"), Not(HasSubstr("exception")));
  EXPECT_THAT(Error(""), HasSubstr("x.json"));
  EXPECT_THAT(Error("1e999"), HasSubstr("x.json"));
  EXPECT_THAT(Error("\"\xff\""), HasSubstr("UTF-8"));
}

TEST(ParseJsonTest, NamesTheKeyThatIsThereTwice) {
  EXPECT_THAT(Error(R"({"a": {"b": 1, "b": 2}})"), HasSubstr("\"b\""));
}

TEST(ParseJsonTest, RefusesDeepNesting) {
  const auto nested = [](int depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(Error(nested(100)), "");
  EXPECT_THAT(Error(nested(102)), HasSubstr("x.json: is nested deeper"));
  EXPECT_THAT(Error(nested(100000)), HasSubstr("x.json: is nested deeper"));
}

// Took minutes, as each member that ended was looked for among all before it.
TEST(ParseJsonTest, ReadsAsManyObjectsAsALargeModelHasTensors) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", "\"", i, "\":{\"shape\":[1]}");
  }
  const auto value = ParseCheckpointJson(absl::StrCat(text, "}"), "x");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(value->size(), 200000u);
}

}  // namespace
}  // namespace ponder
