#include "rl/sample_lines.h"

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/file.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/text/byte_tokenizer.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

class SampleLinesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    tokenizer_ =
        *Tokenizer::FromJson(ByteTokenizerJson(/*vocab_size=*/320), "test");
  }

  FinishedGroup GroupOf(const std::string& bytes) const {
    FinishedGroup group;
    group.lease.set_data_set("maths");
    Problem* problem = group.lease.mutable_problem();
    problem->set_id("p1");
    problem->set_prompt("1+1?");
    problem->set_answer("2");
    Sample& sample = group.samples.emplace_back();
    for (const int32_t id : tokenizer_->Encode(bytes)) {
      sample.add_response_ids(id);
      sample.add_logprobs(-0.123456f);
    }
    sample.set_text(ReplaceInvalidUtf8(bytes));
    sample.set_finish_reason("stop");
    ScoredResponse* score = sample.mutable_score();
    score->set_verdict(WRONG);
    score->set_reward(0.5);
    score->set_reason("3 is not 2");
    ComponentScore* part = score->add_components();
    part->set_name("format");
    part->set_weight(0.5);
    part->set_value(1);
    return group;
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(SampleLinesTest, HoldsWhatAPersonWantsToSee) {
  const std::string lines = SampleLines(GroupOf("a<b"), 7, 3, *tokenizer_);
  ASSERT_EQ(lines.back(), '\n');
  const Json line = Json::parse(lines);
  EXPECT_EQ(line["step"], 7);
  EXPECT_EQ(line["group"], 3);
  EXPECT_EQ(line["problem"], "p1");
  EXPECT_EQ(line["verdict"], "WRONG");
  EXPECT_EQ(line["reward"], 0.5);
  EXPECT_EQ(line["components"]["format"], 1);
  EXPECT_EQ(line["weights"]["format"], 0.5);
  EXPECT_EQ(line["reason"], "3 is not 2");
  EXPECT_EQ(line["answer"], "2");
  EXPECT_EQ(line["response"], "a<b");
  EXPECT_EQ(line["token_bytes"], Json({1, 1, 1}));
  EXPECT_EQ(line["logprobs"][0], -0.1235);
}

TEST_F(SampleLinesTest, TokensWithinACharacterAndStrayBytes) {
  const Json line =
      Json::parse(SampleLines(GroupOf("x\xC3\xA9\xFFy"), 1, 0, *tokenizer_));
  // The two bytes of a character are its first token's; a stray byte becomes
  // U+FFFD, which has three.
  EXPECT_EQ(line["token_bytes"], Json({1, 2, 0, 3, 1}));
  EXPECT_EQ(line["response"], "x\xC3\xA9\xEF\xBF\xBDy");
}

// Some decoders strip the space of a text's first token; of the tokens behind
// it the space is theirs.
TEST_F(SampleLinesTest, TokensThatBeginWithASpace) {
  tokenizer_ = *Tokenizer::FromJson(
      *ReadFile("tests/parity/golden/tokenizers/llama2.json"), "llama2");
  const std::string text = "so the answer is \xE4\xBD\xA0 5";
  const Json line = Json::parse(SampleLines(GroupOf(text), 1, 0, *tokenizer_));
  ASSERT_FALSE(line["token_bytes"].empty());
  EXPECT_GT(line["token_bytes"].size(), 4);
  size_t sum = 0;
  for (const Json& bytes : line["token_bytes"]) sum += bytes.get<size_t>();
  EXPECT_EQ(sum, line["response"].get<std::string>().size());
}

TEST_F(SampleLinesTest, ATextThatIsNotItsTokensHasNoTokenBytes) {
  FinishedGroup group = GroupOf("abc");
  group.samples[0].set_text("ABC");
  const Json line = Json::parse(SampleLines(group, 1, 0, *tokenizer_));
  EXPECT_TRUE(line["token_bytes"].empty());
  EXPECT_EQ(line["logprobs"].size(), 3);
}

}  // namespace
}  // namespace ponder
