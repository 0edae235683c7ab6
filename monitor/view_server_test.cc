#include "monitor/view_server.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAttack[] =
    "</script><script>document.title='gone'</script><img src=x onerror=1>";

class ViewServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/view_", getpid());
    std::filesystem::create_directories(folder_ + "/samples");
    std::ofstream(folder_ + "/config.textproto") << "name: \"x\"\n";
    for (int step = 1; step <= 3; ++step) {
      for (int group = 0; group < 2; ++group) {
        for (int sample = 0; sample < 2; ++sample) {
          Append(step, group, sample);
        }
      }
    }
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Of two samples of a group the first is right in step 1.
  void Append(int step, int group, int sample) const {
    const bool right = step == 1 && sample == 0;
    Json line = {{"step", step},
                 {"group", group},
                 {"sample", sample},
                 {"problem", absl::StrCat("p", group)},
                 {"verdict", right ? "CORRECT" : "WRONG"},
                 {"reward", right ? 1 : 0},
                 {"finish_reason", sample == 1 ? "length" : "stop"},
                 {"tokens", 3},
                 {"extracted", "7"},
                 {"components", {{"accuracy", right ? 1 : 0}}},
                 {"reason", "because"},
                 {"prompt", "1+1?"},
                 {"response", kAttack}};
    std::ofstream(folder_ + "/samples/grpo.jsonl", std::ios::app)
        << line.dump() << "\n";
  }

  void Start() {
    auto server = ViewServer::Start(folder_, /*port=*/0);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  httplib::Result Get(const std::string& path,
                      const httplib::Headers& headers = {}) const {
    httplib::Client client("127.0.0.1", server_->port());
    return client.Get(path, headers);
  }

  Json GetJson(const std::string& path, int status = 200) const {
    const httplib::Result result = Get(path);
    EXPECT_TRUE(result) << path;
    if (!result) return Json();
    EXPECT_EQ(result->status, status) << path << ": " << result->body;
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
    return Json::parse(result->body);
  }

  std::string folder_;
  std::unique_ptr<ViewServer> server_;
};

TEST_F(ViewServerTest, ThePageBringsEverythingAlong) {
  Start();
  const httplib::Result page = Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_THAT(page->body, HasSubstr("<title>ponder view</title>"));
  EXPECT_THAT(page->body, Not(HasSubstr("@NONCE@")));
  // It loads nothing from anywhere: no address, and a policy that says so.
  for (const char* part : {"https://", "src=\"", "href=", "@import", "url("}) {
    EXPECT_THAT(page->body, Not(HasSubstr(part)));
  }
  const std::string policy = page->get_header_value("Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; connect-src 'self'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(page->get_header_value("X-Content-Type-Options"), "nosniff");
  // Scripts run by a name that is another one each time.
  EXPECT_NE(policy, Get("/")->get_header_value("Content-Security-Policy"));
}

TEST_F(ViewServerTest, RunAndSteps) {
  std::ofstream(folder_ + "/samples/pass_rates.jsonl")
      << R"({"set":"a","id":"b","samples":2,"pass_rate":0.5})"
      << "\n";
  Start();
  const Json run = GetJson("/api/run");
  EXPECT_EQ(run["run"], std::filesystem::path(folder_).filename().string());
  ASSERT_EQ(run["stages"].size(), 1);
  EXPECT_EQ(run["stages"][0]["name"], "grpo");
  EXPECT_EQ(run["stages"][0]["samples"], 12);
  EXPECT_EQ(run["stages"][0]["last_step"], 3);
  const Json steps = GetJson("/api/steps?stage=grpo");
  ASSERT_EQ(steps["steps"].size(), 3);
  EXPECT_EQ(steps["steps"][0]["reward"], 0.5);
  EXPECT_EQ(steps["steps"][1]["correct"], 0);
  EXPECT_EQ(steps["span"], 1);
}

TEST_F(ViewServerTest, Filters) {
  Start();
  const auto samples = [&](const std::string& filter) {
    return GetJson("/api/groups?stage=grpo&filter=" +
                   filter)["matching_samples"]
        .get<int>();
  };
  EXPECT_EQ(samples("all"), 12);
  EXPECT_EQ(samples("correct"), 2);
  EXPECT_EQ(samples("wrong"), 10);
  EXPECT_EQ(samples("truncated"), 6);
  EXPECT_EQ(samples("wrong_well_formed"), 4);
  EXPECT_EQ(samples("unscorable"), 0);
  EXPECT_EQ(samples("reward_fell"), 4);
  const Json fell = GetJson("/api/groups?stage=grpo&filter=reward_fell");
  EXPECT_EQ(fell["groups"][0]["step"], 2);
  EXPECT_EQ(fell["groups"][0]["fell_from"], 0.5);
  GetJson("/api/groups?stage=grpo&filter=odd", 400);
}

TEST_F(ViewServerTest, PagesOfGroups) {
  Start();
  Json page = GetJson("/api/groups?stage=grpo&limit=4");
  ASSERT_EQ(page["groups"].size(), 4);
  EXPECT_EQ(page["matching_groups"], 6);
  EXPECT_EQ(page["next"], 4);
  page = GetJson("/api/groups?stage=grpo&limit=4&from=4");
  ASSERT_EQ(page["groups"].size(), 2);
  EXPECT_TRUE(page["next"].is_null());
  page = GetJson("/api/groups?stage=grpo&step=2");
  ASSERT_EQ(page["groups"].size(), 2);
  EXPECT_EQ(page["groups"][1]["problem"], "p1");
  EXPECT_EQ(page["groups"][1]["samples"][1]["truncated"], true);
  // Odd numbers are no reason to fail.
  EXPECT_EQ(GetJson("/api/groups?stage=grpo&limit=-3&from=-1")["groups"].size(),
            1);
  EXPECT_EQ(GetJson("/api/groups?stage=grpo&limit=x")["groups"].size(), 6);
}

// Markup in a response comes as text in JSON, with a type that is not markup.
TEST_F(ViewServerTest, AGroupWithItsTexts) {
  Start();
  const Json group = GetJson("/api/group?stage=grpo&group=0");
  EXPECT_EQ(group["step"], 1);
  ASSERT_EQ(group["samples"].size(), 2);
  EXPECT_EQ(group["samples"][0]["response"], kAttack);
  EXPECT_EQ(group["samples"][0]["reason"], "because");
  EXPECT_EQ(group["samples"][0]["well_formed"], true);
  EXPECT_EQ(group["left_out"], 0);
  EXPECT_EQ(group["samples"][1]["matches"], true);
  const Json right = GetJson("/api/group?stage=grpo&group=0&filter=correct");
  EXPECT_EQ(right["samples"][0]["matches"], true);
  EXPECT_EQ(right["samples"][1]["matches"], false);
  GetJson("/api/group?stage=grpo&group=0&filter=odd", 400);
  GetJson("/api/group?stage=grpo&group=6", 404);
  GetJson("/api/group?stage=grpo", 404);
  GetJson("/api/group?stage=..%2F..%2Fetc&group=0", 404);
}

TEST_F(ViewServerTest, AGroupIsCutWhereItsTextsAreTooLong) {
  std::ofstream out(folder_ + "/samples/grpo.jsonl", std::ios::app);
  for (int sample = 0; sample < 5; ++sample) {
    out << Json({{"step", 4},
                 {"verdict", "WRONG"},
                 {"response", std::string(3 << 20, 'x')}})
               .dump()
        << "\n";
  }
  out.close();
  Start();
  const Json group = GetJson("/api/group?stage=grpo&group=6");
  EXPECT_EQ(group["samples"].size(), 2);
  EXPECT_EQ(group["left_out"], 3);
}

TEST_F(ViewServerTest, ForeignHostsAreRefused) {
  Start();
  const std::string port = absl::StrCat(":", server_->port());
  for (const std::string& host :
       {std::string("evil.example"), "evil.example" + port,
        "127.0.0.1.evil.example" + port, std::string("localhost"),
        std::string("127.0.0.1:1"), std::string("")}) {
    for (const char* path : {"/", "/api/group?stage=grpo&group=0"}) {
      const httplib::Result result = Get(path, {{"Host", host}});
      ASSERT_TRUE(result) << host;
      EXPECT_EQ(result->status, 403) << host;
      EXPECT_THAT(result->body, Not(HasSubstr("because")));
    }
  }
  EXPECT_EQ(Get("/", {{"Host", "localhost" + port}})->status, 200);
  EXPECT_EQ(Get("/", {{"Host", "127.0.0.1" + port}})->status, 200);
}

TEST_F(ViewServerTest, OnlyReads) {
  Start();
  httplib::Client client("127.0.0.1", server_->port());
  EXPECT_EQ(client.Post("/api/run", "x", "text/plain")->status, 404);
  EXPECT_EQ(client.Delete("/api/run")->status, 404);
  EXPECT_EQ(client.Get("/../config.textproto")->status, 404);
  EXPECT_FALSE(
      client.Get("/api/run")->has_header("Access-Control-Allow-Origin"));
}

TEST_F(ViewServerTest, ShowsWhatARunWritesMeanwhile) {
  Start();
  Append(4, 0, 0);
  EXPECT_EQ(GetJson("/api/run")["stages"][0]["samples"], 13);
  std::filesystem::copy(folder_ + "/samples/grpo.jsonl",
                        folder_ + "/samples/second.jsonl");
  EXPECT_EQ(GetJson("/api/run")["stages"].size(), 2);
}

TEST_F(ViewServerTest, WhatCannotBeShownIsSaidInASentence) {
  EXPECT_THAT(std::string(ViewServer::Start("/none", 0).status().message()),
              HasSubstr("/none: is no run"));
  Start();
  EXPECT_THAT(
      std::string(
          ViewServer::Start(folder_, server_->port()).status().message()),
      HasSubstr("is in use"));
  std::filesystem::remove(folder_ + "/samples/grpo.jsonl");
  EXPECT_THAT(std::string(ViewServer::Start(folder_, 0).status().message()),
              HasSubstr("has no samples yet"));
}

}  // namespace
}  // namespace ponder
