// What others wrote, plugged in: trl's reward functions, math-verify, and a
// service with PyPI's grpcio. Skipped where scripts/setup-verifiers has not
// run.

#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "reward/plugin/plugin_process.h"
#include "reward/plugin/plugin_test_fixture.h"

namespace ponder {
namespace {

constexpr char kPython[] = PONDER_VERIFIERS_ENVIRONMENT "/bin/python";

class PypiTest : public PluginTest {
 protected:
  void SetUp() override {
    if (access(kPython, X_OK) != 0) {
      GTEST_SKIP() << "no " << kPython << "; run scripts/setup-verifiers";
    }
  }

  static PluginVerifier Example(const std::string& function) {
    PluginVerifier config = Config();
    config.set_python("examples/verifiers/python/" + function);
    config.set_interpreter(kPython);
    return config;
  }

  // A conversation, as trl's functions want it.
  static PluginSamples Chat(const std::string& response,
                            const std::string& row = "{}") {
    PluginSamples samples;
    samples.Add("", response, row);
    PromptMessage* message = samples.problem(0).add_messages();
    message->set_role("user");
    message->set_content("What is 1/3?");
    return samples;
  }
};

TEST_F(PypiTest, TrlAccuracy) {
  const auto verifier = MustLoad(Example("trl_rewards.py:accuracy_reward"));
  ASSERT_NE(verifier, nullptr);
  const std::string row = R"({"solution": "\\frac{1}{3}"})";
  const auto score = [&](const std::string& text, const std::string& columns) {
    return Score(*verifier, Chat(text, columns))[0];
  };
  EXPECT_EQ(score("It is \\boxed{\\frac{2}{6}}", row).verdict, CORRECT);
  EXPECT_EQ(score("It is \\boxed{\\frac{1}{2}}", row).verdict, WRONG);
  // A gold answer that cannot be read is None in trl.
  const VerifierScore none =
      score("\\boxed{1}", R"({"solution": "none at all"})");
  EXPECT_EQ(none.verdict, UNSCORABLE);
  EXPECT_EQ(none.reason, "verifier mine: it returned None");
  EXPECT_THAT(score("\\boxed{1}", "{}").reason,
              testing::HasSubstr("missing 1 required positional argument: "
                                 "'solution'"));
}

TEST_F(PypiTest, TrlFormatAndLength) {
  const auto format = MustLoad(Example("trl_rewards.py:think_format_reward"));
  const auto length = MustLoad(Example("trl_rewards.py:soft_overlong"));
  ASSERT_TRUE(format != nullptr && length != nullptr);
  EXPECT_EQ(Score(*format, Chat("<think>a</think>b"))[0].value, 1);
  EXPECT_EQ(Score(*format, Chat("<think>a b"))[0].value, 0);
  // trl's function wants messages; what it says of a text is shown.
  EXPECT_THAT(ScoreOne(*format, "", "<think>a</think>b").reason,
              testing::HasSubstr("TypeError: string indices must be integers"));
  for (const auto& [num_tokens, value] :
       {std::pair(80, 0.0), {90, -0.5}, {101, -1.0}}) {
    PluginSamples samples = Chat("x");
    samples.response(0).clear_ids();
    for (int i = 0; i < num_tokens; ++i) samples.response(0).add_ids(i);
    EXPECT_EQ(Score(*length, samples)[0].value, value);
  }
}

TEST_F(PypiTest, MathVerify) {
  const auto verifier = MustLoad(Example("math_verify_score.py:compute_score"));
  ASSERT_NE(verifier, nullptr);
  const auto scores = Score(*verifier, PluginSamples()
                                           .Add("1/2", "so it is \\boxed{0.5}")
                                           .Add("1/2", "so it is \\boxed{0.6}")
                                           .Add("(x+1)^2", "$x^2+2x+1$"));
  EXPECT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
  EXPECT_EQ(scores[1].verdict, WRONG) << scores[1].reason;
  EXPECT_EQ(scores[2].verdict, CORRECT) << scores[2].reason;
}

TEST_F(PypiTest, GrpcService) {
  const std::string generate =
      absl::StrCat(kPython, " -m grpc_tools.protoc -I . --python_out=", folder_,
                   " --grpc_python_out=", folder_,
                   " proto/value.proto proto/verifier.proto");
  ASSERT_EQ(std::system(generate.c_str()), 0);
  PluginProcess::Options options;
  options.name = "server";
  options.command = {
      "/bin/sh", "-c",
      absl::StrCat("PYTHONPATH=", folder_, " exec ", kPython,
                   " examples/verifiers/grpc/server.py 127.0.0.1:0")};
  auto server = PluginProcess::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  int port = 0;
  const absl::Status ready =
      (*server)->Exchange("", absl::Seconds(60), [&](absl::string_view line) {
        return absl::ConsumePrefix(&line, "serving on port ") &&
               absl::SimpleAtoi(line, &port);
      });
  ASSERT_TRUE(ready.ok()) << ready;

  PluginVerifier config = Config();
  config.set_address(absl::StrCat("127.0.0.1:", port));
  const auto verifier = MustLoad(config);
  ASSERT_NE(verifier, nullptr);
  PluginSamples samples;
  samples.Add("4", "2+2\n4", R"({"level": [3, null]})")
      .Add("4", "5")
      .Add("", "4")
      .Add("4", std::string(size_t{5} << 20, 'x') + "\xff\n4");
  const auto scores = Score(*verifier, samples);
  EXPECT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
  EXPECT_EQ(scores[0].reason, "mine: level [3, None]");
  EXPECT_EQ(scores[1].verdict, WRONG);
  EXPECT_EQ(scores[2].verdict, UNSCORABLE);
  EXPECT_EQ(scores[3].verdict, CORRECT) << scores[3].reason;
}

}  // namespace
}  // namespace ponder
