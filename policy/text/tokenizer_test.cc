#include "policy/text/tokenizer.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/text/byte_tokenizer.h"

namespace ponder {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json ByteFile() { return json::parse(ByteTokenizerJson(259)); }

// Bytes, and tokens from 256 on for `tokens`, each the merge of a pair; after
// them the tags.
json FileWithMerges(
    const std::vector<std::pair<std::string, std::string>>& merges) {
  json file = ByteFile();
  for (const auto& [left, right] : merges) {
    json& vocab = file["model"]["vocab"];
    const size_t id = vocab.size();
    vocab.emplace(left + right, id);
    file["model"]["merges"].push_back({left, right});
  }
  for (size_t i = 0; i < 3; ++i) {
    file["added_tokens"][i]["id"] = file["model"]["vocab"].size() + i;
  }
  return file;
}

std::unique_ptr<Tokenizer> Make(const json& file) {
  auto tokenizer = Tokenizer::FromJson(file.dump(), "t.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

std::string ErrorAfter(const std::function<void(json&)>& change) {
  json file = FileWithMerges({{"a", "b"}});
  change(file);
  return std::string(
      Tokenizer::FromJson(file.dump(), "t.json").status().message());
}

TEST(TokenizerTest, MergesByRankThenFromTheLeft) {
  const auto tokenizer = Make(FileWithMerges({{"b", "c"}, {"a", "b"}}));
  EXPECT_THAT(tokenizer->Encode("abc"), ElementsAre('a', 256));
  EXPECT_THAT(tokenizer->Encode("abab"), ElementsAre(257, 257));
  EXPECT_THAT(Make(FileWithMerges({{"a", "a"}}))->Encode("aaa"),
              ElementsAre(256, 'a'));
}

TEST(TokenizerTest, MergesInTheOlderSpelling) {
  json file = FileWithMerges({{"a", "b"}, {"ab", "c"}});
  file["model"]["merges"] = {"#version: 0.2", "a b", "ab c"};
  EXPECT_THAT(Make(file)->Encode("abc"), ElementsAre(257));
}

TEST(TokenizerTest, IgnoreMergesTakesWholePieces) {
  json file = FileWithMerges({{"a", "b"}, {"abc", "d"}});
  EXPECT_FALSE(Tokenizer::FromJson(file.dump(), "t.json").ok());
  file["model"]["vocab"] =
      FileWithMerges({{"a", "b"}, {"b", "cd"}})["model"]["vocab"];
  file["model"]["merges"] = {"a b"};
  EXPECT_THAT(Make(file)->Encode("bcd"), ElementsAre('b', 'c', 'd'));
  file["model"]["ignore_merges"] = true;
  EXPECT_THAT(Make(file)->Encode("bcd"), ElementsAre(257));
  EXPECT_THAT(Make(file)->Encode("bcda"), ElementsAre('b', 'c', 'd', 'a'));
}

TEST(TokenizerTest, KeepsBytesThatAreNotText) {
  json file = FileWithMerges({{"Ã", "©"}});  // The two bytes of e acute.
  file["pre_tokenizer"]["use_regex"] = true;
  const auto tokenizer = Make(file);
  EXPECT_THAT(tokenizer->Encode("\xC3\xA9\xC3x\xFF\xA9"),
              ElementsAre(256, 0xC3, 'x', 0xFF, 0xA9));

  RandomStream random(StreamKey().Add("tokenizer test").key());
  const std::string some = "<think>\xE2\x82\xAC \xC3\xA9\n<|endoftext|>1";
  for (int trial = 0; trial < 2000; ++trial) {
    std::string bytes;
    const int64_t length = random.Int(0, 40);
    for (int64_t i = 0; i < length; ++i) {
      // Half of them from a text with tokens and long characters.
      bytes.push_back(random.Int(0, 1) == 0
                          ? static_cast<char>(random.Int(0, 255))
                          : some[random.Int(0, some.size() - 1)]);
    }
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(bytes)), bytes);
  }
}

TEST(TokenizerTest, NormalizesAroundBytesThatAreNotText) {
  json file = ByteFile();
  file["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(Make(file)->Decode(Make(file)->Encode("\xFF"
                                                  "e\xCC\x81\xCC")),
            "\xFF\xC3\xA9\xCC");
}

TEST(TokenizerTest, NamesWhatIsNotSupported) {
  const auto set = [](const std::string& pointer, const json& value) {
    return ErrorAfter(
        [&](json& file) { file[json::json_pointer(pointer)] = value; });
  };
  EXPECT_EQ(ErrorAfter([](json&) {}), "");
  EXPECT_THAT(set("/model/type", "Unigram"),
              HasSubstr("t.json.model.type: \"Unigram\" is not supported"));
  EXPECT_THAT(set("/model/dropout", 0.1), HasSubstr("t.json.model.dropout"));
  EXPECT_THAT(set("/model/byte_fallback", true),
              HasSubstr("t.json.pre_tokenizer: "));
  EXPECT_THAT(set("/model/end_of_word_suffix", "</w>"),
              HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(set("/model/novelty", 1),
              HasSubstr("t.json.model.novelty: is not known"));
  EXPECT_THAT(set("/truncation", {{"max_length", 5}}), HasSubstr("truncation"));
  EXPECT_THAT(set("/novelty", 1), HasSubstr("t.json.novelty"));
  EXPECT_THAT(set("/version", "2.0"), HasSubstr("t.json.version"));
  EXPECT_THAT(set("/normalizer", {{"type", "NFKC"}}),
              HasSubstr("t.json.normalizer: {\"type\":\"NFKC\"} is not"));
  EXPECT_THAT(set("/pre_tokenizer", nullptr),
              HasSubstr("t.json.pre_tokenizer: null is not supported"));
  EXPECT_THAT(set("/pre_tokenizer/type", "Metaspace"),
              HasSubstr("t.json.pre_tokenizer: "));
  EXPECT_THAT(
      set("/pre_tokenizer", json::parse(R"({"type":"Sequence","pretokenizers":[
                    {"type":"Split","pattern":{"Regex":"\\w"},
                     "behavior":"Isolated","invert":false}]})")),
      HasSubstr("t.json.pre_tokenizer.pretokenizers[0].pattern: "));
  EXPECT_THAT(set("/decoder", nullptr), HasSubstr("t.json.decoder"));
  EXPECT_THAT(set("/post_processor", {{"type", "BertProcessing"}}),
              HasSubstr("t.json.post_processor"));
}

// As SentencePiece's converters write it: bytes, "a", and spaces as U+2581.
json SentencePieceFile() {
  json file = json::parse(R"({"version": "1.0", "added_tokens": [],
    "normalizer": {"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "\u2581"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
    "pre_tokenizer": null, "post_processor": null,
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
      "fuse_unk": true, "vocab": {"\u2581": 256, "a": 257, "\u2581a": 258},
      "merges": ["\u2581 a"]}})");
  for (int byte = 0; byte < 256; ++byte) {
    file["model"]["vocab"][absl::StrFormat("<0x%02X>", byte)] = byte;
  }
  return file;
}

TEST(TokenizerTest, CharactersWithoutATokenAreBytes) {
  const auto tokenizer = Make(SentencePieceFile());
  EXPECT_THAT(tokenizer->Encode("a a\xC3\xA9\n"),
              ElementsAre(258, 258, 0xC3, 0xA9, '\n'));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a a\xC3\xA9\n")),
            "a a\xC3\xA9\n");
  // What is no text comes back, too.
  EXPECT_THAT(tokenizer->Encode("a\xFF"), ElementsAre(258, 0xFF));
  EXPECT_EQ(tokenizer->Decode({258, 0xFF}), "a\xFF");
}

TEST(TokenizerTest, NamesWhatIsNotSupportedOfSentencePiece) {
  const auto set = [](const std::string& pointer, const json& value) {
    json file = SentencePieceFile();
    file[json::json_pointer(pointer)] = value;
    return std::string(
        Tokenizer::FromJson(file.dump(), "t.json").status().message());
  };
  EXPECT_THAT(set("/normalizer/normalizers/0/prepend", "_"),
              HasSubstr("t.json.normalizer.normalizers[0].prepend: "));
  EXPECT_THAT(set("/normalizer/normalizers/1/content", "_"),
              HasSubstr("t.json.normalizer.normalizers[1]: "));
  EXPECT_THAT(set("/pre_tokenizer", {{"type", "Whitespace"}}),
              HasSubstr("t.json.pre_tokenizer: "));
  EXPECT_THAT(set("/pre_tokenizer", {{"type", "Metaspace"},
                                     {"replacement", "_"},
                                     {"prepend_scheme", "first"},
                                     {"split", false}}),
              HasSubstr("t.json.pre_tokenizer.replacement: "));
  EXPECT_THAT(set("/decoder/decoders/3/stop", 1),
              HasSubstr("t.json.decoder.decoders[3]: "));
  EXPECT_THAT(set("/decoder", {{"type", "ByteLevel"}}),
              HasSubstr("t.json.decoder: "));
  json file = SentencePieceFile();
  file["model"]["vocab"].erase("<0x41>");
  EXPECT_THAT(
      std::string(
          Tokenizer::FromJson(file.dump(), "t.json").status().message()),
      HasSubstr("lacks \"<0x41>\", the token of byte 65"));
}

TEST(TokenizerTest, NamesWhatIsBroken) {
  EXPECT_THAT(
      std::string(Tokenizer::FromJson("{", "t.json").status().message()),
      HasSubstr("t.json: parse error at line 1"));
  EXPECT_FALSE(Tokenizer::FromJson("[]", "t.json").ok());
  EXPECT_THAT(ErrorAfter([](json& f) { f["model"]["vocab"].erase("q"); }),
              HasSubstr("lacks \"q\", the token of byte 113"));
  EXPECT_THAT(ErrorAfter([](json& f) { f["model"]["vocab"]["q"] = 7; }),
              HasSubstr("the id 7 of"));
  EXPECT_THAT(ErrorAfter([](json& f) { f["model"]["vocab"]["q"] = -1; }),
              HasSubstr("t.json.model.vocab[\"q\"]"));
  EXPECT_THAT(ErrorAfter([](json& f) { f["model"]["vocab"]["q"] = 1u << 30; }),
              HasSubstr("t.json.model.vocab[\"q\"]"));
  EXPECT_THAT(ErrorAfter([](json& f) { f["model"]["merges"][0] = "ab"; }),
              HasSubstr("t.json.model.merges[0]"));
  EXPECT_THAT(ErrorAfter([](json& f) { f["model"]["merges"][0] = "b a"; }),
              HasSubstr("\"ba\" is not in the vocabulary"));
  EXPECT_THAT(ErrorAfter([](json& f) { f["added_tokens"][0]["id"] = 300; }),
              HasSubstr("\"<|endoftext|>\" has the id 300, but 257"));
  EXPECT_THAT(ErrorAfter([](json& f) { f["added_tokens"][0].erase("id"); }),
              HasSubstr("t.json.added_tokens[0].id"));
}

// Some bytes of a good file replaced: an error, or a tokenizer that works.
// A table of 16 million ids for a file of a few kilobytes.
TEST(TokenizerTest, AnIdOutOfAllProportionAllocatesNothing) {
  json file = ByteFile();
  file["model"]["vocab"]["zz"] = 1 << 24;
  const auto tokenizer = Tokenizer::FromJson(file.dump(), "tokenizer.json");
  EXPECT_THAT(std::string(tokenizer.status().message()),
              HasSubstr("but ids up to 16777216; is one of them wrong?"));
}

TEST(TokenizerTest, SurvivesCorruption) {
  json file = FileWithMerges({{"a", "b"}, {"ab", "c"}});
  file["pre_tokenizer"]["use_regex"] = true;
  file["normalizer"] = {{"type", "NFC"}};
  const std::string good = file.dump();
  RandomStream random(StreamKey().Add("tokenizer corruption").key());
  int num_accepted = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    std::string bad = good;
    for (int64_t i = random.Int(1, 3); i > 0; --i) {
      bad[random.Int(0, bad.size() - 1)] = good[random.Int(0, bad.size() - 1)];
    }
    const auto tokenizer = Tokenizer::FromJson(bad, "t.json");
    if (!tokenizer.ok()) continue;
    ++num_accepted;
    const std::string text = "abc <think> \xC3\xA9\xFF";
    EXPECT_FALSE((*tokenizer)->Encode(text).empty());
  }
  EXPECT_GT(num_accepted, 0);
}

// A quadratic algorithm would take minutes.
TEST(TokenizerTest, LongPiecesTakeLinearTime) {
  json file = FileWithMerges({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
  file["pre_tokenizer"]["use_regex"] = true;
  const auto tokenizer = Make(file);
  const absl::Time start = absl::Now();
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, 'a')).size(), 1 << 17);
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, ' ') + "x").size(),
            (1 << 20) + 1);
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, '<')).size(), 1 << 20);
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, '\xFF')).size(), 1 << 20);
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

TEST(TokenizerTest, ThreadsShareIt) {
  const auto content = ReadFile("tests/parity/golden/tokenizers/qwen3.json");
  ASSERT_TRUE(content.ok()) << content.status();
  const auto made = Tokenizer::FromJson(*content, "qwen3.json");
  ASSERT_TRUE(made.ok()) << made.status();
  const Tokenizer& tokenizer = **made;
  const std::vector<int32_t> wanted = tokenizer.Encode(*content);
  std::vector<std::vector<int32_t>> got(4);
  std::vector<std::thread> threads;
  for (std::vector<int32_t>& ids : got) {
    threads.emplace_back([&] { ids = tokenizer.Encode(*content); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<int32_t>& ids : got) EXPECT_EQ(ids, wanted);
}

}  // namespace
}  // namespace ponder
