// A folder for plug-ins that a test writes, and shorthands to load and ask
// them.

#ifndef PONDER_REWARD_PLUGIN_PLUGIN_TEST_FIXTURE_H_
#define PONDER_REWARD_PLUGIN_PLUGIN_TEST_FIXTURE_H_

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "reward/plugin/load_plugins.h"
#include "reward/plugin/plugin_samples_for_test.h"

namespace ponder {

class PluginTest : public testing::Test {
 protected:
  PluginTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "ponder-plugin-XXXXXX")
            .string();
    if (mkdtemp(name.data()) != nullptr) folder_ = name;
  }
  ~PluginTest() override { std::filesystem::remove_all(folder_); }

  // Writes a file and returns its path.
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = absl::StrCat(folder_, "/", name);
    EXPECT_TRUE(WriteFileAtomically(path, content).ok());
    return path;
  }

  // One process, so that a test knows which one answers.
  static PluginVerifier Config() {
    PluginVerifier config;
    config.set_name("mine");
    config.set_workers(1);
    config.set_timeout_seconds(60);
    return config;
  }

  // The function `f` of a Python file with this content.
  PluginVerifier Python(const std::string& content) {
    PluginVerifier config = Config();
    config.set_python(absl::StrCat(
        Write(absl::StrCat("file", num_files_++, ".py"), content), ":f"));
    return config;
  }

  static absl::StatusOr<std::unique_ptr<Verifier>> Load(
      const PluginVerifier& config) {
    google::protobuf::RepeatedPtrField<PluginVerifier> configs;
    *configs.Add() = config;
    absl::StatusOr<VerifierMap> loaded = LoadPlugins(configs);
    if (!loaded.ok()) return loaded.status();
    return std::move(loaded->at(config.name()));
  }

  // Null, and a failure, if it cannot be loaded.
  static std::unique_ptr<Verifier> MustLoad(const PluginVerifier& config) {
    absl::StatusOr<std::unique_ptr<Verifier>> verifier = Load(config);
    EXPECT_TRUE(verifier.ok()) << verifier.status();
    return verifier.ok() ? *std::move(verifier) : nullptr;
  }

  // The sentence with which it is refused.
  static std::string LoadError(const PluginVerifier& config) {
    const absl::StatusOr<std::unique_ptr<Verifier>> verifier = Load(config);
    if (verifier.ok()) return "no error";
    EXPECT_EQ(verifier.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(verifier.status().message());
  }

  static std::vector<VerifierScore> Score(Verifier& verifier,
                                          const PluginSamples& samples) {
    auto scores = verifier.Score(samples.samples(), /*cancel=*/nullptr);
    EXPECT_TRUE(scores.ok()) << scores.status();
    if (!scores.ok()) return {};
    EXPECT_EQ(scores->size(), samples.samples().size());
    return *std::move(scores);
  }

  // Of a new plug-in, which must be able to score right afterwards as well.
  static VerifierScore ScoreOne(Verifier& verifier, absl::string_view answer,
                                absl::string_view response) {
    const std::vector<VerifierScore> scores =
        Score(verifier, PluginSamples().Add(answer, response));
    return scores.empty() ? VerifierScore() : scores[0];
  }

  std::string folder_;
  int num_files_ = 0;
};

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_PLUGIN_TEST_FIXTURE_H_
