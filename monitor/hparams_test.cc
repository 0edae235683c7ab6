#include "monitor/hparams.h"

#include <string>
#include <variant>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(HparamsTest, EveryFieldWithItsDefault) {
  RunConfig config;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
name: "x"
seed: 3
data { name: "maths" path: "m.jsonl" }
data { path: "n.jsonl" weight: 0.5 }
prompt { stop: "a" stop: "b" }
stage { name: "warm" sft { steps: 7 } }
stage { grpo { optimizer { learning_rate: 1e-3 } kl_coef: 0.5 } }
)",
                                                            &config));
  const Hparams hparams = HparamsOf(config);
  const auto number = [&](const std::string& name) {
    return std::get<double>(hparams.at(name));
  };
  EXPECT_EQ(number("seed"), 3);
  EXPECT_EQ(number("data[maths].weight"), 1);
  EXPECT_EQ(number("data[1].weight"), 0.5);
  EXPECT_EQ(number("stage[0]:warm.steps"), 7);
  EXPECT_EQ(number("stage[1]:grpo.optimizer.learning_rate"), 1e-3);
  EXPECT_EQ(number("stage[1]:grpo.optimizer.beta1"), 0.9);
  EXPECT_EQ(number("stage[1]:grpo.kl_coef"), 0.5);
  EXPECT_EQ(std::get<std::string>(hparams.at("stage[1]:grpo.advantage")),
            "GRPO");
  EXPECT_EQ(std::get<bool>(hparams.at("stage[1]:grpo.kl_in_reward")), false);
  EXPECT_EQ(std::get<std::string>(hparams.at("prompt.stop")), "a,b");
  EXPECT_EQ(std::get<std::string>(hparams.at("device")), "cpu");
  EXPECT_FALSE(hparams.contains("stage[1]:grpo.steps.steps"));
}

}  // namespace
}  // namespace ponder
