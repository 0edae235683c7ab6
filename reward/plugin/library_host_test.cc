// Shared libraries with the C interface, loaded by library-host.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "reward/plugin/plugin_test_fixture.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LibraryHostTest : public PluginTest {
 protected:
  // One of the libraries that CMake builds for this test.
  static PluginVerifier Library(const std::string& name) {
    PluginVerifier config = Config();
    config.set_library(absl::StrCat(PONDER_TEST_LIBRARIES, "/", name, ".so"));
    return config;
  }
};

TEST_F(LibraryHostTest, TheExampleScores) {
  const auto verifier = MustLoad(Library("last_line"));
  ASSERT_NE(verifier, nullptr);
  const auto scores = Score(*verifier, PluginSamples()
                                           .Add("4", "2+2\n 4 \n")
                                           .Add("4", "44")
                                           .Add("", "4")
                                           .Add("4", "4"));
  EXPECT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
  EXPECT_EQ(scores[1].verdict, WRONG);
  EXPECT_EQ(scores[2].verdict, UNSCORABLE);
  EXPECT_EQ(scores[2].reason, "verifier mine: the row has no answer");
  EXPECT_EQ(scores[3].verdict, CORRECT);
}

TEST_F(LibraryHostTest, WhatItDoesWrongIsUnscorable) {
  PluginVerifier config = Library("faulty");
  config.set_timeout_seconds(2);
  const auto verifier = MustLoad(config);
  ASSERT_NE(verifier, nullptr);
  const std::pair<const char*, const char*> faults[] = {
      {"abort", "its process was ended by signal 6"},
      {"exit", "its process ended with exit code 0"},
      {"hang", "it did not answer within 2s"},
      {"infinite", "its score is inf"},
      {"nothing", "its score is nan"},
      {"refuse", "ponder_verifier_score returned 5"},
  };
  for (const auto& [response, reason] : faults) {
    const VerifierScore score = ScoreOne(*verifier, "", response);
    EXPECT_EQ(score.verdict, UNSCORABLE) << response;
    EXPECT_THAT(score.reason, HasSubstr(reason));
    EXPECT_EQ(ScoreOne(*verifier, "", "good").verdict, CORRECT);
  }
  // A 0 within the text, a reason without an end, a print.
  EXPECT_EQ(ScoreOne(*verifier, "", std::string("\0size", 5)).value, 5);
  EXPECT_EQ(ScoreOne(*verifier, "", "long").reason,
            absl::StrCat("mine: ", std::string(256, 'r')));
}

TEST_F(LibraryHostTest, WhatIsNoVerifierIsRefusedAtTheStart) {
  EXPECT_THAT(
      LoadError(Library("no_such")),
      MatchesRegex("verifier mine: cannot load the library: .*no_such.*"));
  EXPECT_THAT(
      LoadError(Library("no_score")),
      HasSubstr("no_score.so has no function ponder_verifier_score; see "
                "reward/plugin/ponder_verifier.h"));
  EXPECT_THAT(LoadError(Library("no_version")),
              HasSubstr("has no function ponder_verifier_version"));
  EXPECT_THAT(
      LoadError(Library("other_version")),
      HasSubstr("was built for version 999 of ponder_verifier.h, wanted "
                "1; build it again"));
}

}  // namespace
}  // namespace ponder
