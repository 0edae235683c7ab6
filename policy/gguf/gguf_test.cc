#include <unistd.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/files/json.h"
#include "policy/files/safetensors.h"
#include "policy/gguf/ggml_blocks.h"
#include "policy/gguf/gguf_export.h"
#include "policy/gguf/gguf_writer.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

std::vector<float> Floats(const std::string& hex) {
  const std::string bytes = absl::HexStringToBytes(hex);
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

GgmlType TypeNamed(const std::string& name) {
  for (const GgmlType type :
       {GgmlType::kF16, GgmlType::kBf16, GgmlType::kQ8_0, GgmlType::kQ4_0,
        GgmlType::kQ4_K, GgmlType::kQ6_K}) {
    if (GgmlTypeName(type) == name) return type;
  }
  ADD_FAILURE() << name;
  return GgmlType::kF32;
}

Json Golden() {
  const std::string path = "tests/parity/golden/gguf.json";
  return *ParseCheckpointJson(*ReadFile(path), path);
}

// Golden bytes: tests/parity/make_gguf_golden.py, PyPI's gguf 0.19.0.
TEST(GgmlBlocksTest, WritesTheBytesOfGguf) {
  int compared = 0;
  const Json golden = Golden();
  for (const Json& row : golden["rows"]) {
    const std::vector<float> numbers = Floats(row["numbers"]);
    for (const auto& [name, bytes] : row["bytes"].items()) {
      std::string out;
      AppendGgmlRow(TypeNamed(name), numbers, &out);
      EXPECT_EQ(absl::BytesToHexString(out), bytes.get<std::string>()) << name;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 24);
}

TEST(GgmlBlocksTest, ReadsTheNumbersOfGguf) {
  int compared = 0;
  const Json golden = Golden();
  for (const Json& block : golden["blocks"]) {
    const std::string bytes =
        absl::HexStringToBytes(block["bytes"].get<std::string>());
    const std::vector<float> want = Floats(block["numbers"]);
    std::vector<float> got(want.size());
    ReadGgmlRow(TypeNamed(block["type"]), bytes.data(), absl::MakeSpan(got));
    for (size_t k = 0; k < want.size(); ++k) {
      ASSERT_NEAR(got[k], want[k], 1e-6f * (1 + std::abs(want[k])))
          << block["type"] << " " << k;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 6);
}

// Relative root mean square of what writing and reading a row changes.
double Error(GgmlType type, const std::vector<float>& row) {
  std::string bytes;
  AppendGgmlRow(type, row, &bytes);
  EXPECT_EQ(static_cast<int64_t>(bytes.size()),
            GgmlRowBytes(type, static_cast<int64_t>(row.size())));
  std::vector<float> back(row.size());
  ReadGgmlRow(type, bytes.data(), absl::MakeSpan(back));
  double error = 0;
  double size = 0;
  for (size_t k = 0; k < row.size(); ++k) {
    error += std::pow(back[k] - row[k], 2);
    size += std::pow(row[k], 2);
  }
  return size > 0 ? std::sqrt(error / size) : std::sqrt(error);
}

TEST(GgmlBlocksTest, MoreBitsMeanLessError) {
  const Json golden = Golden();
  for (const Json& row : golden["rows"]) {
    const std::vector<float> numbers = Floats(row["numbers"]);
    if (Error(GgmlType::kF32, numbers) != 0) ADD_FAILURE();
    if (numbers[0] == 0 && numbers[1] == 0) {
      EXPECT_EQ(Error(GgmlType::kQ4_K, numbers), 0);
      EXPECT_EQ(Error(GgmlType::kQ6_K, numbers), 0);
      continue;
    }
    EXPECT_LT(Error(GgmlType::kQ8_0, numbers), 0.01);
    EXPECT_LT(Error(GgmlType::kQ6_K, numbers), 0.03);
    EXPECT_LT(Error(GgmlType::kQ4_K, numbers), Error(GgmlType::kQ4_0, numbers));
  }
}

TEST(GgmlBlocksTest, HalvesRoundAndReturn) {
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    const float value = HalfToFloat(static_cast<uint16_t>(half));
    ASSERT_EQ(FloatToHalf(value), half);
    ASSERT_EQ(FloatToHalf(-value), half | 0x8000);
  }
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);  // Infinity.
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(1e-9f), 0);
  EXPECT_EQ(FloatToHalf(1.0f + 1.0f / 2048), 0x3c00);  // Ties to even.
  EXPECT_EQ(FloatToHalf(1.0f + 3.0f / 2048), 0x3c02);
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(NAN))));
}

class GgufExportTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/ponder_gguf_test_", getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    out_ = folder_ + "/out.gguf";
    config_ = {{"model_type", "llama"},      {"vocab_size", 4},
               {"hidden_size", 32},          {"intermediate_size", 32},
               {"num_hidden_layers", 1},     {"num_attention_heads", 2},
               {"num_key_value_heads", 1},   {"max_position_embeddings", 16},
               {"rms_norm_eps", 1e-5},       {"hidden_act", "silu"},
               {"tie_word_embeddings", true}};
    tokenizer_ = {
        {"model",
         {{"type", "BPE"},
          {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
          {"merges", {"a b"}}}},
        {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
        {"decoder", {{"type", "ByteLevel"}}},
        {"added_tokens",
         {{{"id", 3}, {"content", "<end>"}, {"special", true}}}}};
    AddWeight("model.embed_tokens.weight", {4, 32});
    AddWeight("model.norm.weight", {32});
    const std::string layer = "model.layers.0.";
    AddWeight(layer + "input_layernorm.weight", {32});
    AddWeight(layer + "post_attention_layernorm.weight", {32});
    AddWeight(layer + "self_attn.q_proj.weight", {32, 32});
    AddWeight(layer + "self_attn.k_proj.weight", {16, 32});
    AddWeight(layer + "self_attn.v_proj.weight", {16, 32});
    AddWeight(layer + "self_attn.o_proj.weight", {32, 32});
    for (const char* name : {"gate", "up", "down"}) {
      AddWeight(absl::StrCat(layer, "mlp.", name, "_proj.weight"), {32, 32});
    }
  }

  void AddWeight(const std::string& name, std::vector<int64_t> shape) {
    size_t count = 1;
    for (const int64_t dim : shape) count *= static_cast<size_t>(dim);
    std::vector<float>& numbers = numbers_.emplace_back(count);
    for (size_t k = 0; k < count; ++k) {
      numbers[k] = 0.01f * static_cast<float>(k % 97) - 0.3f;
    }
    weights_.push_back({name, "F32", std::move(shape),
                        reinterpret_cast<const char*>(numbers.data()),
                        static_cast<int64_t>(count * sizeof(float))});
  }

  absl::StatusOr<GgufSummary> Export(
      const std::string& type, const std::function<bool()>& stop = nullptr) {
    EXPECT_TRUE(
        WriteSafetensors(folder_ + "/model.safetensors", weights_).ok());
    EXPECT_TRUE(
        WriteFileAtomically(folder_ + "/config.json", config_.dump()).ok());
    EXPECT_TRUE(
        WriteFileAtomically(folder_ + "/tokenizer.json", tokenizer_.dump())
            .ok());
    return ExportGguf(folder_, type, out_, stop);
  }

  void ExpectRefused(const std::string& type, const std::string& part) {
    const auto summary = Export(type);
    ASSERT_FALSE(summary.ok());
    EXPECT_THAT(std::string(summary.status().message()), HasSubstr(part));
    ExpectNoFile();
  }

  void ExpectNoFile() {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      files += entry.path().string().find("out.gguf") != std::string::npos;
    }
    EXPECT_EQ(files, 0) << "something half-written is left";
  }

  std::string folder_;
  std::string out_;
  Json config_;
  Json tokenizer_;
  std::deque<std::vector<float>> numbers_;
  std::vector<TensorInfo> weights_;
};

TEST_F(GgufExportTest, WritesAWholeFile) {
  for (const char* type : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m"}) {
    const auto summary = Export(type);
    ASSERT_TRUE(summary.ok()) << type << ": " << summary.status();
    EXPECT_EQ(summary->architecture, "llama");
    const std::string file = *ReadFile(out_);
    EXPECT_EQ(static_cast<int64_t>(file.size()), summary->bytes);
    EXPECT_EQ(file.substr(0, 4), "GGUF");
    EXPECT_EQ(file.size() % 32, 0u);
    EXPECT_THAT(file, HasSubstr("blk.0.attn_output.weight"));
    std::filesystem::remove(out_);
  }
}

// Head of 16 rows: llama.cpp turns neighbours, Hugging Face halves.
TEST_F(GgufExportTest, InterleavesTheHalvesOfLlamasHeads) {
  for (size_t row = 0; row < 32; ++row) {  // q_proj is weight number 4.
    numbers_[4][row * 32] = static_cast<float>(row);
  }
  ASSERT_TRUE(Export("f32").ok());
  const std::string file = *ReadFile(out_);
  // The last tensors' sizes tell where attn_q begins: find its rows 0, 8, 1, 9.
  std::vector<float> all(file.size() / 4);
  std::memcpy(all.data(), file.data(), all.size() * 4);
  bool found = false;
  for (size_t k = 0; k + 3 * 32 < all.size() && !found; ++k) {
    found = all[k] == 0 && all[k + 32] == 8 && all[k + 64] == 1 &&
            all[k + 96] == 9 && all[k + 1] == numbers_[4][1];
  }
  EXPECT_TRUE(found);
}

TEST_F(GgufExportTest, RefusesWhatItCannotHold) {
  ExpectRefused("q5_1", "--type q5_1: wanted f32");
  config_["rope_scaling"] = {{"rope_type", "dynamic"}, {"factor", 2.0}};
  ExpectRefused("f32", "rope type dynamic");
  config_.erase("rope_scaling");
  AddWeight("model.extra.weight", {4});
  ExpectRefused("f32", "model.extra.weight");
  weights_.pop_back();
  numbers_[0][5] = NAN;
  ExpectRefused("f32", "token_embd.weight holds a number that is not finite");
  numbers_[0][5] = 1e6f;
  ExpectRefused("f16", "take --type bf16 or f32");
  numbers_[0][5] = 0;
  tokenizer_["model"]["type"] = "Unigram";
  ExpectRefused("f32", "model.type");
  tokenizer_["model"]["type"] = "BPE";
  tokenizer_["model"]["vocab"]["b"] = 9;
  ExpectRefused("f32", "token \"b\" has the id 9");
  tokenizer_["model"]["vocab"]["b"] = 1;
  const Json rule = tokenizer_["pre_tokenizer"];
  tokenizer_["pre_tokenizer"] = {{"type", "Sequence"},
                                 {"pretokenizers",
                                  {{{"type", "Split"},
                                    {"pattern", {{"Regex", "[0-9]"}}},
                                    {"behavior", "Isolated"},
                                    {"invert", false}},
                                   {{"type", "ByteLevel"},
                                    {"add_prefix_space", false},
                                    {"use_regex", false}}}}};
  ExpectRefused("f32", "rule to split text ([0-9])");
  tokenizer_["pre_tokenizer"] = rule;
  tokenizer_["pre_tokenizer"]["add_prefix_space"] = true;
  ExpectRefused("f32", "a space before the text");
  tokenizer_["pre_tokenizer"]["add_prefix_space"] = false;
  tokenizer_["pre_tokenizer"]["use_regex"] = false;
  ExpectRefused("f32", "rule to split text (none)");
  tokenizer_["pre_tokenizer"] = rule;
  tokenizer_["added_tokens"][0]["lstrip"] = true;
  ExpectRefused("f32", "token \"<end>\" looks at the text around it");
  tokenizer_["added_tokens"][0]["lstrip"] = false;
  weights_.erase(weights_.begin() + 1);
  ExpectRefused("f32", "model.norm.weight is missing");
}

// A tokenizer of SentencePiece's: bytes, a, b, c and `tokens` beyond them.
Json SentencePieceTokenizer(std::vector<std::string> tokens, Json merges) {
  Json vocab = {{"\u2581", 256}, {"a", 257}, {"b", 258}, {"c", 259}};
  for (int byte = 0; byte < 256; ++byte) {
    vocab[absl::StrFormat("<0x%02X>", byte)] = byte;
  }
  for (const std::string& token : tokens) vocab[token] = vocab.size();
  return {{"model",
           {{"type", "BPE"},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", merges}}},
          {"normalizer", nullptr},
          {"pre_tokenizer",
           {{"type", "Metaspace"},
            {"replacement", "\u2581"},
            {"prepend_scheme", "first"},
            {"split", false}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"},
               {"pattern", {{"String", "\u2581"}}},
               {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}}}}}}};
}

// What such a file says is compared with llama.cpp's ids by
// tests/parity/check_llama_cpp.py.
TEST_F(GgufExportTest, RanksOfMergesBecomeScoresOfTokens) {
  config_["vocab_size"] = 264;
  numbers_[0].assign(264 * 32, 0.5f);
  weights_[0].shape = {264, 32};
  weights_[0].bytes = reinterpret_cast<const char*>(numbers_[0].data());
  weights_[0].num_bytes = 264 * 32 * 4;
  tokenizer_ = SentencePieceTokenizer({"ab", "bc", "abc"},
                                      {"a b", "b c", "ab c", "a bc"});
  ASSERT_TRUE(Export("f32").ok());
  EXPECT_THAT(*ReadFile(out_), HasSubstr("tokenizer.ggml.scores"));
  std::filesystem::remove(out_);
  tokenizer_ =
      SentencePieceTokenizer({"ab", "bc", "abc"}, {"a b", "b c", "ab c"});
  ExpectRefused("f32", "the merge of \"a\" and \"bc\" is not in the list");
  tokenizer_ = SentencePieceTokenizer({"ab", "bc", "abc"},
                                      {"a b", "ab c", "b c", "a bc"});
  ExpectRefused("f32", "\"a\" and \"bc\" stands apart");
  tokenizer_ = SentencePieceTokenizer({"a\u2581"}, {"a \u2581"});
  ASSERT_TRUE(Export("f32").ok());
  std::filesystem::remove(out_);
  tokenizer_["pre_tokenizer"]["split"] = true;
  ExpectRefused("f32", "spans words");
}

TEST_F(GgufExportTest, AStoppedExportLeavesNothing) {
  int asked = 0;
  const auto summary = Export("q8_0", [&] { return ++asked == 3; });
  EXPECT_TRUE(absl::IsCancelled(summary.status())) << summary.status();
  EXPECT_EQ(asked, 3);
  ExpectNoFile();
}

TEST_F(GgufExportTest, KeepsAFileThatIsThere) {
  ASSERT_TRUE(WriteFileAtomically(out_, "mine").ok());
  const auto summary = Export("f32");
  EXPECT_EQ(summary.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*ReadFile(out_), "mine");
}

}  // namespace
}  // namespace ponder
