#include "reward/plugin/load_plugins.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/verifier_names.h"
#include "reward/builtin_verifiers.h"
#include "reward/plugin/plugin_test_fixture.h"

namespace ponder {
namespace {

using ::testing::ElementsAreArray;

class LoadPluginsTest : public PluginTest {};

TEST_F(LoadPluginsTest, NamesOfTheConfigurationAreThoseOfReward) {
  std::vector<std::string> names;
  for (const auto& [name, verifier] : BuiltInVerifiers(nullptr, {}, "")) {
    names.push_back(name);
  }
  std::vector<std::string> known;
  for (const absl::string_view name : kBuiltInVerifiers) {
    known.emplace_back(name);
  }
  EXPECT_THAT(names, ElementsAreArray(known));
}

TEST_F(LoadPluginsTest, LoadsAllByName) {
  google::protobuf::RepeatedPtrField<PluginVerifier> configs;
  EXPECT_TRUE(LoadPlugins(configs).value().empty());
  *configs.Add() = Python("def f(completions): return [1]");
  *configs.Add() = Python("def f(completions): return [0]");
  configs.Mutable(1)->set_name("hers");
  configs.Mutable(1)->set_workers(0);
  const absl::StatusOr<VerifierMap> verifiers = LoadPlugins(configs);
  ASSERT_TRUE(verifiers.ok()) << verifiers.status();
  ASSERT_EQ(verifiers->size(), 2);
  EXPECT_EQ(ScoreOne(*verifiers->at("mine"), "", "").verdict, CORRECT);
  EXPECT_EQ(ScoreOne(*verifiers->at("hers"), "", "").verdict, WRONG);
  EXPECT_GE(verifiers->at("hers")->num_threads(), 1);
  EXPECT_LE(verifiers->at("hers")->num_threads(), 4);
}

TEST_F(LoadPluginsTest, TheFirstThatCannotBeLoadedIsNamed) {
  google::protobuf::RepeatedPtrField<PluginVerifier> configs;
  *configs.Add() = Python("def f(completions): return [1]");
  *configs.Add() = Config();
  configs.Mutable(1)->set_name("hers");
  EXPECT_EQ(std::string(LoadPlugins(configs).status().message()),
            "verifier hers: names no python, command, library or address");
}

}  // namespace
}  // namespace ponder
