#include "policy/text/byte_tokenizer.h"

#include <memory>
#include <string>
#include <vector>

#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/text/tokenizer.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Tokenizer> MakeTokenizer() {
  auto tokenizer = Tokenizer::FromJson(ByteTokenizerJson(512), "bytes");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(ByteTokenizerTest, IdsAreBytes) {
  const auto tokenizer = MakeTokenizer();
  EXPECT_EQ(tokenizer->num_ids(), kByteTokenizerNumIds);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    EXPECT_THAT(tokenizer->Encode(text), ElementsAre(byte));
    EXPECT_EQ(tokenizer->Decode({byte}), text);
  }
}

TEST(ByteTokenizerTest, TagsAreTokens) {
  const auto tokenizer = MakeTokenizer();
  const std::string text = "<think>a</think><|endoftext|>";
  const std::vector<int32_t> ids = tokenizer->Encode(text);
  EXPECT_THAT(ids, ElementsAre(kByteThinkBeginId, 'a', kByteThinkEndId,
                               kByteEndOfTextId));
  EXPECT_EQ(tokenizer->Decode(ids), text);
  EXPECT_EQ(tokenizer->Decode(ids, /*skip_special_tokens=*/true),
            "<think>a</think>");
  EXPECT_EQ(tokenizer->TokenId("<|endoftext|>"), kByteEndOfTextId);
  EXPECT_EQ(tokenizer->TokenId("<nothing>"), std::nullopt);
}

TEST(ByteTokenizerTest, PaddingDecodesToNothing) {
  EXPECT_EQ(MakeTokenizer()->Decode({'a', 259, 511, 1 << 30, -1, 'b'}), "ab");
}

TEST(ByteTokenizerTest, RandomBytesComeBack) {
  const auto tokenizer = MakeTokenizer();
  RandomStream random(StreamKey().Add("byte tokenizer test").key());
  for (int trial = 0; trial < 2000; ++trial) {
    std::string bytes;
    const int64_t length = random.Int(0, 60);
    for (int64_t i = 0; i < length; ++i) {
      bytes.push_back(static_cast<char>(random.Int(0, 255)));
    }
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(bytes)), bytes);
  }
}

TEST(ByteTokenizerTest, ConfigHoldsTheTemplate) {
  const auto config =
      nlohmann::json::parse(ByteTokenizerConfigJson("{{ \"a\n\" }}"));
  EXPECT_EQ(config["chat_template"], "{{ \"a\n\" }}");
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
  EXPECT_FALSE(nlohmann::json::parse(ByteTokenizerConfigJson(""))
                   .contains("chat_template"));
}

}  // namespace
}  // namespace ponder
