#include "policy/files/safetensors.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string FileOf(absl::string_view header, absl::string_view data) {
  std::string file;
  for (size_t i = 0; i < 8; ++i) {
    file.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xff));
  }
  return absl::StrCat(file, header, data);
}

std::string ErrorOf(absl::string_view file) {
  const auto tensors = ParseSafetensors(file, "w.safetensors");
  return std::string(tensors.status().message());
}

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        absl::StrCat(testing::TempDir(), "/ponder_safetensors_test_", getpid());
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolders(folder_).ok());
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(absl::string_view name) const {
    return absl::StrCat(folder_, "/", name);
  }

  TensorInfo Floats(const std::string& name) const {
    return {name, "F32", {2, 3}, reinterpret_cast<const char*>(floats_), 24};
  }
  TensorInfo Bytes(const std::string& name) const {
    return {name, "U8", {3}, "xyz", 3};
  }

  std::string folder_;
  const float floats_[6] = {0, 1, 2, 3, 4, -5.5f};
};

TEST_F(SafetensorsTest, RoundTrip) {
  const int64_t number = -7;
  const TensorInfo scalar = {
      "c.scalar", "I64", {}, reinterpret_cast<const char*>(&number), 8};
  const TensorInfo empty = {"d", "BF16", {0, 4}, nullptr, 0};
  const std::string path = Path("a.safetensors");
  ASSERT_TRUE(
      WriteSafetensors(path, {Floats("b"), Bytes("a"), scalar, empty}).ok());

  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ((*file)->tensors().size(), 4);
  EXPECT_EQ((*file)->tensors()[0].name, "a");
  const TensorInfo* b = (*file)->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, "F32");
  EXPECT_EQ(b->shape, (std::vector<int64_t>{2, 3}));
  ASSERT_EQ(b->num_bytes, 24);
  EXPECT_EQ(std::memcmp(b->bytes, floats_, 24), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b->bytes) % 4, 0);
  EXPECT_EQ(std::memcmp((*file)->Find("c.scalar")->bytes, &number, 8), 0);
  EXPECT_EQ((*file)->Find("d")->num_bytes, 0);
  EXPECT_EQ((*file)->Find("e"), nullptr);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(SafetensorsTest, WriterRefusesWrongTensors) {
  const auto error = [&](std::vector<TensorInfo> tensors) {
    const absl::Status status =
        WriteSafetensors(Path("bad"), std::move(tensors));
    EXPECT_FALSE(fs::exists(Path("bad")));
    return std::string(status.message());
  };
  EXPECT_THAT(error({Bytes("a"), Bytes("a")}), HasSubstr("twice"));
  TensorInfo tensor = Bytes("a");
  tensor.shape = {4};
  EXPECT_THAT(error({tensor}), HasSubstr("3 bytes, which is not U8 [4]"));
  tensor.dtype = "float";
  EXPECT_THAT(error({tensor}), HasSubstr("float"));
  EXPECT_THAT(error({Bytes("__metadata__")}), HasSubstr("__metadata__"));
  EXPECT_EQ(WriteSafetensors(Path("no/such/folder"), {}).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(SafetensorsTest, AStoppedWriterLeavesNothing) {
  int asked = 0;
  const absl::Status status =
      WriteSafetensors(Path("stopped"), {Bytes("a"), Floats("b"), Bytes("c")},
                       {}, [&] { return ++asked == 2; });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 0);
}

TEST_F(SafetensorsTest, OpenNamesWhatIsWrong) {
  EXPECT_EQ(SafetensorsFile::Open(Path("none")).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(SafetensorsFile::Open(folder_).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("empty"), "").ok());
  EXPECT_THAT(
      std::string(SafetensorsFile::Open(Path("empty")).status().message()),
      HasSubstr("empty: 0 bytes are too few"));
}

TEST_F(SafetensorsTest, FolderWithOneFile) {
  ASSERT_TRUE(
      WriteSafetensors(Path("model.safetensors"), {Bytes("a")}, {}).ok());
  const auto folder = SafetensorsFolder::Open(folder_);
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ((*folder)->tensors().size(), 1);
  EXPECT_EQ(std::string((*folder)->Find("a")->bytes, 3), "xyz");
}

TEST_F(SafetensorsTest, FolderWithShards) {
  EXPECT_EQ(SafetensorsFolder::Open(folder_).status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteSafetensors(Path("1.safetensors"), {Floats("b")}).ok());
  const auto open = [&](absl::string_view index) {
    EXPECT_TRUE(
        WriteFileAtomically(Path("model.safetensors.index.json"), index).ok());
    return SafetensorsFolder::Open(folder_);
  };
  const auto error = [&](absl::string_view index) {
    return std::string(open(index).status().message());
  };
  const std::string both =
      R"({"weight_map": {"b": "1.safetensors", "a": "2.safetensors"}})";

  EXPECT_THAT(error(both), HasSubstr("the shard 2.safetensors"));
  EXPECT_THAT(error(R"({"weight_map": {"x": "1.safetensors"}})"),
              HasSubstr("lacks the tensor \"x\""));
  EXPECT_THAT(error(R"({"weight_map": {"x": "../1.safetensors"}})"),
              HasSubstr("\"x\""));
  EXPECT_THAT(error(R"({"weight_map": {"x": 1}})"), HasSubstr("\"x\""));
  EXPECT_THAT(error("[]"), HasSubstr("weight_map"));
  EXPECT_THAT(error("{"), HasSubstr("index.json: parse error at line 1"));

  ASSERT_TRUE(WriteSafetensors(Path("2.safetensors"), {Bytes("a")}).ok());
  const auto folder = open(both);
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_EQ((*folder)->tensors().size(), 2);
  EXPECT_EQ((*folder)->tensors()[0].name, "a");
  EXPECT_EQ(std::memcmp((*folder)->Find("b")->bytes, floats_, 24), 0);
}

TEST(ParseSafetensorsTest, EveryLieIsASentence) {
  const auto error = [](absl::string_view entries, absl::string_view data) {
    return ErrorOf(FileOf(entries, data));
  };
  EXPECT_EQ(error("{}", ""), "");
  EXPECT_EQ(
      error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} )", "xy"),
      "");
  EXPECT_THAT(ErrorOf("1234567"), HasSubstr("truncated"));
  EXPECT_THAT(ErrorOf("12345678"), HasSubstr("not a safetensors file"));
  EXPECT_THAT(ErrorOf(FileOf("{}", "").substr(0, 9)), HasSubstr("truncated"));
  EXPECT_THAT(error("{\"a\":", ""), HasSubstr("header: parse error at line 1"));
  EXPECT_THAT(error("[]", ""), HasSubstr("not an object"));
  EXPECT_THAT(error(R"({"a":1})", ""), HasSubstr("\"a\""));
  EXPECT_THAT(error(R"({"a":{"shape":[2],"data_offsets":[0,2]}})", "xy"),
              HasSubstr("dtype"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"X9","shape":[2],"data_offsets":[0,2]}})", "xy"),
      HasSubstr("\"X9\" is unknown"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", "xy"),
      HasSubstr("shape"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", "xy"),
      HasSubstr("data_offsets"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,3]}})", "xy"),
      HasSubstr("bytes 0 to 3 are not within the 2 bytes"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", "xy"),
      HasSubstr("not within"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,2]}})", "xy"),
      HasSubstr("2 bytes, which is not U8 [1]"));
  EXPECT_THAT(error(R"({"a":{"dtype":"I64","shape":[4294967296,4294967296],)"
                    R"("data_offsets":[0,0]}})",
                    ""),
              HasSubstr("0 bytes, which is not I64"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "xy"),
      HasSubstr("end at byte 1 of the data, which has 2"));
  EXPECT_THAT(
      error(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "xy"),
      HasSubstr("hole"));
  EXPECT_THAT(error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                    R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                    "xy"),
              HasSubstr("overlap"));
  EXPECT_THAT(error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                    R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                    "xy"),
              HasSubstr("twice"));
}

// Any one byte of length and header replaced by any other, and any truncation:
// an error, or tensors that lie within the file.
TEST(ParseSafetensorsTest, SurvivesCorruption) {
  const std::string good =
      FileOf(R"({"__metadata__":{"format":"pt"},)"
             R"("a.b":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},)"
             R"("c":{"dtype":"U8","shape":[3],"data_offsets":[4,7]}} )",
             "1234xyz");
  const auto check = [](absl::string_view file) {
    const auto tensors = ParseSafetensors(file, "w");
    if (!tensors.ok()) return;
    int64_t sum = 0;
    for (const TensorInfo& tensor : *tensors) {
      ASSERT_GE(tensor.bytes, file.data());
      ASSERT_LE(tensor.bytes + tensor.num_bytes, file.data() + file.size());
      sum += tensor.num_bytes;
    }
    ASSERT_LE(sum, static_cast<int64_t>(file.size()));
  };
  ASSERT_EQ(ErrorOf(good), "");
  for (size_t i = 0; i < good.size(); ++i) {
    check(absl::string_view(good).substr(0, i));
    std::string bad = good;
    for (int value = 0; value < 256; ++value) {
      bad[i] = static_cast<char>(value);
      check(bad);
    }
  }
}

}  // namespace
}  // namespace ponder
