#include "reward/plugin/grpc_verifier.h"

#include <limits>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "reward/plugin/plugin_test_fixture.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Does what the first response says.
class FakeService final : public VerifierService::Service {
 public:
  grpc::Status Verify(grpc::ServerContext*, const VerifyRequest* request,
                      VerifyReply* reply) override {
    last_request = *request;
    const std::string& what = request->samples(0).response();
    if (what == "fail") return {grpc::StatusCode::INTERNAL, "out of paper"};
    if (what == "hang") let_go.WaitForNotification();
    for (const SampleToVerify& sample : request->samples()) {
      SampleScore* score = reply->add_scores();
      if (sample.response() == "nan") {
        score->set_score(std::numeric_limits<double>::quiet_NaN());
      } else if (sample.response() != "none") {
        score->set_score(static_cast<double>(sample.response().size()));
      }
      if (sample.response() == "none") score->set_reason("no idea");
    }
    if (what == "few") reply->mutable_scores()->RemoveLast();
    if (what == "many") reply->add_scores()->set_score(1);
    return grpc::Status::OK;
  }

  VerifyRequest last_request;
  absl::Notification let_go;
};

class GrpcVerifierTest : public PluginTest {
 protected:
  GrpcVerifierTest() {
    StartServer("127.0.0.1:0");
    config_ = Config();
    config_.set_address(absl::StrCat("127.0.0.1:", port_));
  }
  ~GrpcVerifierTest() override {
    if (!service_.let_go.HasBeenNotified()) service_.let_go.Notify();
  }

  void StartServer(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(),
                             &port_);
    builder.SetMaxReceiveMessageSize(64 << 20);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }

  FakeService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  PluginVerifier config_;
};

TEST_F(GrpcVerifierTest, ScoresSamples) {
  config_.set_workers(3);
  const auto verifier = MustLoad(config_);
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(verifier->num_threads(), 3);
  PluginSamples samples;
  samples.Add("4", "x<|endoftext|>", R"({"level": 3})")
      .Add("5", "")
      .Add("", "none");
  samples.problem(0).add_messages()->set_content("hi");
  samples.response(1).set_truncated(true);
  samples.response(1).set_thought_opened(true);
  const auto scores = Score(*verifier, samples);
  ASSERT_EQ(scores.size(), 3);
  EXPECT_EQ(scores[0].verdict, CORRECT);
  EXPECT_EQ(scores[1].verdict, WRONG);
  EXPECT_EQ(scores[1].value, 0);
  EXPECT_EQ(scores[2].verdict, UNSCORABLE);
  EXPECT_EQ(scores[2].reason, "verifier mine: no idea");

  const SampleToVerify& first = service_.last_request.samples(0);
  EXPECT_EQ(first.problem_id(), "p1");
  EXPECT_EQ(first.prompt(), "What is it?");
  EXPECT_EQ(first.messages(0).content(), "hi");
  EXPECT_EQ(first.answer(), "4");
  EXPECT_EQ(first.row().fields(0).value().int_value(), 3);
  EXPECT_EQ(first.response(), "x");
  EXPECT_THAT(first.response_ids(), testing::ElementsAre(7, 8));
  EXPECT_FALSE(first.truncated());
  EXPECT_TRUE(service_.last_request.samples(1).truncated());
  EXPECT_TRUE(service_.last_request.samples(1).thought_opened());
}

TEST_F(GrpcVerifierTest, WhatItDoesWrongIsUnscorable) {
  config_.set_timeout_seconds(2);
  const auto verifier = MustLoad(config_);
  ASSERT_NE(verifier, nullptr);
  const std::pair<const char*, const char*> faults[] = {
      {"fail", "failed: out of paper"},
      {"few", " answered 1 scores for 2 samples"},
      {"many", " answered 3 scores for 2 samples"},
      {"nan", "its score is nan"},
      {"hang", "did not answer within 2s"},
  };
  for (const auto& [response, reason] : faults) {
    const auto scores =
        Score(*verifier, PluginSamples().Add("", response).Add("", "nan"));
    for (const VerifierScore& score : scores) {
      EXPECT_EQ(score.verdict, UNSCORABLE) << response;
      EXPECT_THAT(score.reason,
                  AllOf(StartsWith("verifier mine: "), HasSubstr(reason)));
      EXPECT_EQ(score.timed_out, std::string(response) == "hang");
    }
  }
  EXPECT_EQ(ScoreOne(*verifier, "", "good").verdict, CORRECT);
}

TEST_F(GrpcVerifierTest, LargeAndBrokenResponsesArrive) {
  const auto verifier = MustLoad(config_);
  ASSERT_NE(verifier, nullptr);
  PluginSamples samples;
  for (int i = 0; i < 16; ++i) {
    samples.Add("", std::string(size_t{1} << 20, 'a') + "\xff");
  }
  for (const VerifierScore& score : Score(*verifier, samples)) {
    EXPECT_EQ(score.value, (1 << 20) + 3) << score.reason;  // U+FFFD.
  }
}

TEST_F(GrpcVerifierTest, CancelEndsTheCall) {
  const auto verifier = MustLoad(config_);
  ASSERT_NE(verifier, nullptr);
  CancelToken cancel;
  cancel.Cancel();
  const PluginSamples samples = PluginSamples().Add("", "hang");
  EXPECT_TRUE(
      absl::IsCancelled(verifier->Score(samples.samples(), &cancel).status()));
}

TEST_F(GrpcVerifierTest, ServiceThatComesBackScoresAgain) {
  const auto verifier = MustLoad(config_);
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(ScoreOne(*verifier, "", "good").verdict, CORRECT);
  server_->Shutdown();
  server_->Wait();
  server_.reset();
  StartServer(config_.address());
  ASSERT_NE(server_, nullptr);
  EXPECT_EQ(ScoreOne(*verifier, "", "good").verdict, CORRECT);
}

}  // namespace
}  // namespace ponder
