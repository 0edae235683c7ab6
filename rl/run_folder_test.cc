#include "rl/run_folder.h"

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/files/safetensors.h"
#include "rl/tiny_policy_for_test.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class RunFolderTest : public ::testing::Test {
 protected:
  RunFolderTest()
      : path_(absl::StrCat(
            ::testing::TempDir(), "run_folder_test-", getpid(), "-",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(path_);
  }
  ~RunFolderTest() override { fs::remove_all(path_); }

  RunFolder NewRun() const {
    auto run = RunFolder::Create(path_);
    EXPECT_TRUE(run.ok()) << run.status();
    return *run;
  }

  // Saves the tiny policy with a state that says `step`.
  std::string Save(const RunFolder& run, int64_t step) const {
    const Checkpoint policy = TinyCheckpoint(static_cast<uint64_t>(step));
    Json state;
    state["step"] = step;
    const auto folder =
        run.SaveCheckpoint(step, policy.files, policy.weights,
                           {{"m.w", at::full({3}, 0.5)}}, state);
    EXPECT_TRUE(folder.ok()) << folder.status();
    return *folder;
  }

  // Steps of the folders in checkpoints/ by name.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_ + "/checkpoints")) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  const std::string path_;
};

void FlipByte(const std::string& file, int64_t offset) {
  std::string bytes = *ReadFile(file);
  ASSERT_LT(static_cast<size_t>(offset), bytes.size());
  bytes[static_cast<size_t>(offset)] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(file, bytes).ok());
}

TEST_F(RunFolderTest, AnExistingRunIsRefused) {
  NewRun();
  const absl::Status status = RunFolder::Create(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(absl::StrCat("--resume ", path_)));
}

TEST_F(RunFolderTest, OnlyAFolderWithAConfigurationIsARun) {
  const RunFolder run = NewRun();
  EXPECT_EQ(RunFolder::Open(path_).status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(run.File("config.textproto"), "").ok());
  EXPECT_TRUE(RunFolder::Open(path_).ok());
}

TEST_F(RunFolderTest, ACheckpointComesBackAsItWas) {
  const RunFolder run = NewRun();
  const std::string folder = Save(run, 7);
  EXPECT_EQ(folder, path_ + "/checkpoints/step_7");
  EXPECT_TRUE(CheckManifest(folder).ok());
  const auto newest = run.NewestCheckpoint();
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->folder, folder);
  EXPECT_EQ(newest->step, 7);
  EXPECT_EQ(newest->state["step"], 7);

  const auto loaded = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Checkpoint saved = TinyCheckpoint(7);
  ASSERT_EQ(loaded->weights.size(), saved.weights.size());
  for (const auto& [name, weight] : saved.weights) {
    EXPECT_TRUE(at::equal(loaded->weights.at(name), weight)) << name;
  }
  EXPECT_EQ(loaded->files, saved.files);
  const auto optimizer =
      SafetensorsFile::Open(folder + "/trainer_state/optimizer.safetensors");
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  EXPECT_EQ((*optimizer)->tensors().size(), 1u);
}

TEST_F(RunFolderTest, TheNewestIsByNumberNotByName) {
  const RunFolder run = NewRun();
  Save(run, 9);
  Save(run, 10);
  EXPECT_EQ(run.NewestCheckpoint()->step, 10);
}

TEST_F(RunFolderTest, ANewRunHasNoCheckpoint) {
  const absl::Status status = NewRun().NewestCheckpoint().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

TEST_F(RunFolderTest, ADamagedCheckpointIsPassedOver) {
  const RunFolder run = NewRun();
  Save(run, 1);
  const std::vector<
      std::pair<const char*, std::function<void(const std::string&)>>>
      damages = {
          {"weights cut",
           [](const std::string& f) {
             const std::string file = f + "/model.safetensors";
             fs::resize_file(file, fs::file_size(file) - 1);
           }},
          {"weights grown",
           [](const std::string& f) {
             const std::string file = f + "/model.safetensors";
             fs::resize_file(file, fs::file_size(file) + 1);
           }},
          {"a byte of the weights flipped",
           [](const std::string& f) {
             const std::string file = f + "/model.safetensors";
             FlipByte(file, static_cast<int64_t>(fs::file_size(file)) - 3);
           }},
          {"a byte of the optimizer flipped",
           [](const std::string& f) {
             FlipByte(f + "/trainer_state/optimizer.safetensors", 100);
           }},
          {"a byte of the configuration flipped",
           [](const std::string& f) { FlipByte(f + "/config.json", 5); }},
          {"tokenizer lost",
           [](const std::string& f) { fs::remove(f + "/tokenizer.json"); }},
          {"state lost",
           [](const std::string& f) {
             fs::remove(f + "/trainer_state/state.json");
           }},
          {"manifest lost",
           [](const std::string& f) { fs::remove(f + "/MANIFEST"); }},
          {"manifest emptied",
           [](const std::string& f) { fs::resize_file(f + "/MANIFEST", 0); }},
          {"manifest cut within a line",
           [](const std::string& f) {
             fs::resize_file(f + "/MANIFEST",
                             fs::file_size(f + "/MANIFEST") - 4);
           }},
          {"manifest cut behind its first line",
           [](const std::string& f) {
             const std::string text = *ReadFile(f + "/MANIFEST");
             fs::resize_file(f + "/MANIFEST", text.find('\n') + 1);
           }},
          {"a checksum of the manifest flipped",
           [](const std::string& f) { FlipByte(f + "/MANIFEST", 0); }},
      };
  for (const auto& [name, damage] : damages) {
    SCOPED_TRACE(name);
    const std::string folder = Save(run, 2);
    ASSERT_EQ(run.NewestCheckpoint()->step, 2);
    damage(folder);
    EXPECT_FALSE(CheckManifest(folder).ok());
    const auto newest = run.NewestCheckpoint();
    ASSERT_TRUE(newest.ok()) << newest.status();
    EXPECT_EQ(newest->step, 1);
    fs::remove_all(folder);
  }
}

TEST_F(RunFolderTest, DamageIsNamed) {
  const RunFolder run = NewRun();
  const std::string folder = Save(run, 1);
  FlipByte(folder + "/tokenizer.json", 10);
  const absl::Status status = CheckManifest(folder);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(folder + "/tokenizer.json"));
}

TEST_F(RunFolderTest, AStateThatIsNoObjectIsPassedOver) {
  const RunFolder run = NewRun();
  Save(run, 1);
  const Checkpoint policy = TinyCheckpoint();
  ASSERT_TRUE(
      run.SaveCheckpoint(2, policy.files, policy.weights, {}, Json(3)).ok());
  EXPECT_EQ(run.NewestCheckpoint()->step, 1);
}

TEST_F(RunFolderTest, WhatAKilledTrainerLeftIsNotLoadedAndGoesAway) {
  const RunFolder run = NewRun();
  Save(run, 1);
  // A whole checkpoint that never got its name.
  fs::rename(Save(run, 2), path_ + "/checkpoints/step_2.tmp-12345");
  EXPECT_EQ(run.NewestCheckpoint()->step, 1);
  ASSERT_TRUE(run.RemoveOldCheckpoints(1, {}).ok());
  EXPECT_THAT(Names(), ElementsAre("step_1"));
}

TEST_F(RunFolderTest, SavingTheSameStepAgainReplacesIt) {
  const RunFolder run = NewRun();
  const std::string folder = Save(run, 3);
  const Checkpoint other = TinyCheckpoint(99);
  Json state;
  state["step"] = 3;
  ASSERT_TRUE(
      run.SaveCheckpoint(3, other.files, other.weights, {}, state).ok());
  const auto loaded = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  for (const auto& [name, weight] : other.weights) {
    EXPECT_TRUE(at::equal(loaded->weights.at(name), weight)) << name;
  }
  EXPECT_FALSE(fs::exists(folder + "/trainer_state/optimizer.safetensors"));
  EXPECT_THAT(Names(), ElementsAre("step_3"));
}

TEST_F(RunFolderTest, KeepsTheLastAndThoseThatAreNeeded) {
  const RunFolder run = NewRun();
  for (const int step : {1, 2, 3, 4, 10}) Save(run, step);
  ASSERT_TRUE(
      run.RemoveOldCheckpoints(2, {run.File("checkpoints/step_2")}).ok());
  EXPECT_THAT(Names(), ElementsAre("step_10", "step_2", "step_4"));
}

TEST_F(RunFolderTest, AFailedSaveLeavesNothingAndTheOldOnes) {
  const RunFolder run = NewRun();
  Save(run, 1);
  // A small file whose name cannot be: its folder is missing.
  const Checkpoint policy = TinyCheckpoint();
  PolicyFiles files = policy.files;
  files["no/such/folder.json"] = "{}";
  EXPECT_FALSE(
      run.SaveCheckpoint(2, files, policy.weights, {}, Json::object()).ok());
  EXPECT_THAT(Names(), ElementsAre("step_1"));
  EXPECT_EQ(run.NewestCheckpoint()->step, 1);
}

}  // namespace
}  // namespace ponder
