// Against golden files that tests/parity/make_tokenizers.py has Hugging Face's
// `tokenizers` make.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/text/byte_tokenizer.h"
#include "policy/text/tokenizer.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

using nlohmann::json;

std::string Golden(absl::string_view name) {
  const std::string path =
      absl::StrCat("tests/parity/golden/tokenizers/", name);
  auto content = ReadFile(path);
  EXPECT_TRUE(content.ok()) << content.status();
  return *std::move(content);
}

// The lines after the first, which says what made the file.
std::vector<json> GoldenLines(absl::string_view name) {
  std::vector<json> values;
  for (const absl::string_view line :
       absl::StrSplit(Golden(name), '\n', absl::SkipEmpty())) {
    values.push_back(json::parse(line.begin(), line.end()));
  }
  values.erase(values.begin());
  return values;
}

class TokenizerParityTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string name = absl::StrCat(GetParam(), ".json");
    auto tokenizer = Tokenizer::FromJson(Golden(name), name);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  void ExpectDecoded(const std::vector<int32_t>& ids, const std::string& plain,
                     const std::string& without_special) const {
    EXPECT_EQ(ReplaceInvalidUtf8(tokenizer_->Decode(ids)), plain);
    EXPECT_EQ(ReplaceInvalidUtf8(
                  tokenizer_->Decode(ids, /*skip_special_tokens=*/true)),
              without_special);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(TokenizerParityTest, EncodesAndDecodesLikeTokenizers) {
  const json texts = json::parse(Golden("texts.json"));
  const std::vector<json> cases =
      GoldenLines(absl::StrCat(GetParam(), ".ids.jsonl"));
  ASSERT_EQ(cases.size(), texts.size());
  ASSERT_GT(cases.size(), 2000);
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(absl::StrCat("text ", i, ": ", texts[i].dump()));
    const std::string text = texts[i].get<std::string>();
    const std::vector<int32_t> wanted = cases[i][0].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer_->Encode(text), wanted);
    const bool comes_back = cases[i].size() == 1;
    ExpectDecoded(wanted, comes_back ? text : cases[i][1].get<std::string>(),
                  comes_back ? text : cases[i][2].get<std::string>());
  }
}

TEST_P(TokenizerParityTest, DecodesRandomIdsLikeTokenizers) {
  const std::vector<json> cases =
      GoldenLines(absl::StrCat(GetParam(), ".decode.jsonl"));
  ASSERT_EQ(cases.size(), 200);
  for (const json& value : cases) {
    SCOPED_TRACE(value.dump());
    ExpectDecoded(value[0].get<std::vector<int32_t>>(),
                  value[1].get<std::string>(), value[2].get<std::string>());
  }
}

// So that the cases of "bytes" are about the file that we write.
TEST(ByteTokenizerParityTest, GoldenFileIsOurs) {
  EXPECT_EQ(json::parse(ByteTokenizerJson(512)),
            json::parse(Golden("bytes.json")));
}

INSTANTIATE_TEST_SUITE_P(Families, TokenizerParityTest,
                         testing::Values("bytes", "gpt2", "gpt2_prefix",
                                         "qwen2.5", "qwen3", "llama3",
                                         "deepseek", "deepseek-v2", "odd",
                                         "llama2", "llama2_legacy", "mistral",
                                         "metaspace_split", "metaspace_never"));

}  // namespace
}  // namespace ponder
