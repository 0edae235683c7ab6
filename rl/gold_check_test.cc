#include "rl/gold_check.h"

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// Finds a response correct if it contains "right"; breaks down for problems
// whose id begins with "lost".
class FakeRewards final : public RewardService::Service {
 public:
  grpc::Status Score(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<ScoreReply, ScoreRequest>* stream) override {
    ScoreRequest request;
    while (stream->Read(&request)) {
      std::map<int, Problem> problems;
      for (const Problem& problem : request.problems()) {
        if (problem.id().starts_with("lost")) {
          return {grpc::StatusCode::UNAVAILABLE, "the sandbox is gone"};
        }
        problems[problem.slot()] = problem;
      }
      ScoreReply reply;
      for (const ResponseToScore& response : request.responses()) {
        const Problem& problem = problems[response.slot()];
        {
          absl::MutexLock lock(&mu_);
          seen_.push_back(absl::StrCat(problem.id(), ":", problem.verifier(),
                                       ":", response.text()));
        }
        ScoredResponse* scored = reply.add_scores();
        const bool right = response.text().find("right") != std::string::npos;
        scored->set_index(response.index());
        scored->set_verdict(right ? CORRECT : WRONG);
        scored->set_reason(right ? "equal" : "7 is not 8");
      }
      stream->Write(reply);
    }
    return grpc::Status::OK;
  }

  std::vector<std::string> seen() const {
    absl::MutexLock lock(&mu_);
    return seen_;
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<std::string> seen_ ABSL_GUARDED_BY(mu_);
};

class GoldCheckTest : public ::testing::Test {
 protected:
  GoldCheckTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = RewardService::NewStub(server_->InProcessChannel({}));
  }

  static DataRow Row(const std::string& id, const std::string& answer,
                     const std::string& response = "") {
    DataRow row;
    row.id = id;
    row.answer = answer;
    row.response = response;
    row.verifier = "math";
    return row;
  }

  FakeRewards service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<RewardService::Stub> stub_;
};

TEST_F(GoldCheckTest, AnswersThatMarkThemselvesGoAsTheyAre) {
  const DataRows rows = {.name = "set",
                         .rows = {Row("a", "right"), Row("b", "x #### right"),
                                  Row("c", "so \\boxed{right}")}};
  const auto check = CheckGoldAnswers(stub_.get(), rows);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_TRUE(check->status.ok());
  EXPECT_EQ(check->checked, 3);
  EXPECT_EQ(check->passed, 3);
  EXPECT_EQ(check->Line("set"), "gold answers of set: 3 of 3 score 1");
  EXPECT_THAT(
      service_.seen(),
      UnorderedElementsAre("a:math:\\boxed{right}", "b:math:x #### right",
                           "c:math:so \\boxed{right}"));
}

TEST_F(GoldCheckTest, FailuresAreCountedAndNamed) {
  DataRows rows = {.name = "set", .rows = {Row("good", "right")}};
  for (int i = 0; i < 20; ++i) {
    rows.rows.push_back(Row(absl::StrCat("bad", i), "8"));
  }
  const auto check = CheckGoldAnswers(stub_.get(), rows);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->checked, 21);
  EXPECT_EQ(check->passed, 1);
  EXPECT_EQ(check->failures.size(), 20u);
  EXPECT_EQ(check->status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(check->status.message());
  EXPECT_THAT(message, HasSubstr("data set set: 20 of 21 gold answers"));
  EXPECT_THAT(message, HasSubstr("row bad"));
  EXPECT_THAT(message, HasSubstr("7 is not 8"));
}

TEST_F(GoldCheckTest, SolutionsAreCheckedOnlyOnRequest) {
  const DataRows rows = {.name = "set",
                         .rows = {Row("code", "", "def right(): pass")}};
  auto check = CheckGoldAnswers(stub_.get(), rows);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->checked, 0);
  EXPECT_EQ(check->skipped, 1);
  EXPECT_TRUE(check->status.ok());
  EXPECT_THAT(check->Line("set"),
              HasSubstr("1 rows have no gold answer to check"));
  check = CheckGoldAnswers(stub_.get(), rows, /*run_solutions=*/true);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->passed, 1);
  EXPECT_THAT(service_.seen(), ElementsAre("code:math:def right(): pass"));
}

// Which answer a plug-in calls right nobody knows; but the server must have it.
TEST_F(GoldCheckTest, OfPlugInsTheFirstRowIsScored) {
  DataRows rows = {.name = "set", .rows = {Row("a", "right")}};
  for (int i = 0; i < 40; ++i) {
    rows.rows.push_back(Row(absl::StrCat("mine", i), i == 0 ? "" : "wrong"));
    rows.rows.back().verifier = "mine";
  }
  const auto check = CheckGoldAnswers(stub_.get(), rows);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_TRUE(check->status.ok()) << check->status;
  EXPECT_EQ(check->checked, 1);
  EXPECT_EQ(check->skipped, 40);
  EXPECT_THAT(service_.seen(),
              UnorderedElementsAre("a:math:\\boxed{right}", "mine0:mine:"));
}

TEST_F(GoldCheckTest, SolutionsOfPlugInsAreCheckedOnRequest) {
  DataRows rows = {.name = "set",
                   .rows = {Row("a", "x", "right"), Row("b", "x", "wrong"),
                            Row("c", "right")}};
  for (DataRow& row : rows.rows) row.verifier = "mine";
  const auto check =
      CheckGoldAnswers(stub_.get(), rows, /*run_solutions=*/true);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->checked, 2);
  EXPECT_EQ(check->passed, 1);
  EXPECT_EQ(check->skipped, 1);
  EXPECT_FALSE(check->status.ok());
  EXPECT_THAT(service_.seen(),
              UnorderedElementsAre("a:mine:right", "b:mine:wrong"));
}

TEST_F(GoldCheckTest, LostInfrastructureIsNoVerdict) {
  const DataRows rows = {
      .name = "set",
      .rows = {Row("a", "right"), Row("lost1", "right"), Row("b", "right")}};
  const auto check = CheckGoldAnswers(stub_.get(), rows);
  EXPECT_EQ(check.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(check.status().message()),
              HasSubstr("the sandbox is gone"));
}

TEST_F(GoldCheckTest, NoRowsAreFine) {
  const auto check = CheckGoldAnswers(stub_.get(), {.name = "set", .rows = {}});
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->checked, 0);
}

}  // namespace
}  // namespace ponder
