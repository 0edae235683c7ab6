// Against golden files that tests/parity/make_jinja.py has jinja2 make.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/jinja/template.h"

namespace ponder::jinja {
namespace {

using nlohmann::ordered_json;

// As the script's.
constexpr absl::CivilSecond kNow(2024, 7, 26, 13, 5, 9);

std::string Golden(absl::string_view name) {
  auto content = ReadFile(absl::StrCat("tests/parity/golden/jinja/", name));
  EXPECT_TRUE(content.ok()) << content.status();
  return *std::move(content);
}

TEST(JinjaParityTest, RendersAndRefusesLikeJinja2) {
  const ordered_json shared = ordered_json::parse(Golden("variables.json"));
  int num_texts = 0;
  int num_errors = 0;
  for (const absl::string_view line :
       absl::StrSplit(Golden("cases.jsonl"), '\n', absl::SkipEmpty())) {
    const ordered_json json = ordered_json::parse(line.begin(), line.end());
    if (json.contains("made_by")) continue;
    SCOPED_TRACE(std::string(line));
    const std::string source =
        json.contains("file")
            ? Golden(
                  absl::StrCat("templates/", json["file"].get<std::string>()))
            : json["template"].get<std::string>();
    const auto parsed = Template::Parse(source, "t");
    const absl::StatusOr<std::string> text =
        parsed.ok() ? (*parsed)->Render(
                          shared[json["variables"].get<std::string>()], kNow)
                    : parsed.status();
    if (json.contains("text")) {
      ++num_texts;
      EXPECT_TRUE(text.ok()) << text.status();
      EXPECT_EQ(text.value_or(""), json["text"].get<std::string>());
    } else {
      ++num_errors;
      EXPECT_FALSE(text.ok()) << *text;
      EXPECT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(text.status().message()),
                  ::testing::MatchesRegex("t:[0-9]+: (.|\n)+"));
    }
  }
  EXPECT_GT(num_texts, 2000);
  EXPECT_GT(num_errors, 500);
}

}  // namespace
}  // namespace ponder::jinja
