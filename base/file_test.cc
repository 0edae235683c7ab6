#include "base/file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        testing::TempDir() + "/ponder_file_test_" + std::to_string(getpid());
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolders(folder_).ok());
  }
  void TearDown() override { fs::remove_all(folder_); }

  int CountEntries() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder_), {}));
  }

  std::string folder_;
};

TEST_F(FileTest, WritesAndReads) {
  const std::string path = folder_ + "/a";
  ASSERT_TRUE(WriteFileAtomically(path, std::string("x\0y", 3)).ok());
  EXPECT_EQ(*ReadFile(path), std::string("x\0y", 3));
  EXPECT_EQ(CountEntries(), 1);  // No temporary file stays.
}

TEST_F(FileTest, MissingFileNamesThePath) {
  const auto content = ReadFile(folder_ + "/none");
  EXPECT_EQ(content.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(content.status().message()), HasSubstr("/none"));
}

TEST_F(FileTest, FailedWriteLeavesNothing) {
  const std::string path = folder_ + "/is_a_folder";
  ASSERT_TRUE(MakeFolders(path + "/x").ok());
  EXPECT_FALSE(WriteFileAtomically(path, "text").ok());
  EXPECT_EQ(CountEntries(), 1);
}

TEST_F(FileTest, FolderAppearsOnlyWithCommit) {
  const std::string path = folder_ + "/out";
  {
    auto writer = FolderWriter::Create(path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(WriteFileAtomically(writer->folder() + "/f", "1").ok());
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_EQ(CountEntries(), 0);  // Dropped without Commit().

  auto writer = FolderWriter::Create(path);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(WriteFileAtomically(writer->folder() + "/f", "1").ok());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(*ReadFile(path + "/f"), "1");
  EXPECT_EQ(FolderWriter::Create(path).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(FileTest, WhatAKilledProcessLeftIsRemoved) {
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  const std::string path = folder_ + "/out";
  ASSERT_TRUE(MakeFolders(absl::StrCat(path, ".tmp-", dead, "/x")).ok());
  // Of a process that lives, and not of a process at all.
  ASSERT_TRUE(MakeFolders(absl::StrCat(path, ".tmp-", getppid())).ok());
  ASSERT_TRUE(MakeFolders(path + ".tmp-mine").ok());
  ASSERT_TRUE(FolderWriter::Create(path).ok());
  EXPECT_FALSE(fs::exists(absl::StrCat(path, ".tmp-", dead)));
  EXPECT_EQ(CountEntries(), 2);
}

}  // namespace
}  // namespace ponder
