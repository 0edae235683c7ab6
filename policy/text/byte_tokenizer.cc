#include "policy/text/byte_tokenizer.h"

#include "base/check.h"
#include "nlohmann/json.hpp"
#include "policy/text/byte_alphabet.h"

namespace ponder {
namespace {

using nlohmann::ordered_json;

constexpr char kEndOfText[] = "<|endoftext|>";

ordered_json AddedTokenEntry(int32_t id, const char* content, bool special) {
  return {{"id", id},          {"content", content}, {"single_word", false},
          {"lstrip", false},   {"rstrip", false},    {"normalized", false},
          {"special", special}};
}

// Templates may hold any bytes; a file may not.
std::string Dump(const ordered_json& value) {
  return value.dump(/*indent=*/2, /*indent_char=*/' ', /*ensure_ascii=*/false,
                    ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace

std::string ByteTokenizerJson(int64_t vocab_size) {
  PONDER_CHECK(vocab_size >= kByteTokenizerNumIds);
  ordered_json vocab = ordered_json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocab[ByteToCharacter(static_cast<uint8_t>(byte))] = byte;
  }
  const ordered_json byte_level = {{"type", "ByteLevel"},
                                   {"add_prefix_space", false},
                                   {"trim_offsets", false},
                                   {"use_regex", false}};
  const ordered_json file = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens",
       ordered_json::array(
           {AddedTokenEntry(kByteEndOfTextId, kEndOfText, /*special=*/true),
            AddedTokenEntry(kByteThinkBeginId, "<think>", /*special=*/false),
            AddedTokenEntry(kByteThinkEndId, "</think>", /*special=*/false)})},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", false},
        {"vocab", vocab},
        {"merges", ordered_json::array()}}}};
  return Dump(file);
}

std::string ByteTokenizerConfigJson(const std::string& chat_template) {
  ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                         {"eos_token", kEndOfText},
                         {"pad_token", kEndOfText},
                         {"clean_up_tokenization_spaces", false},
                         // No limit of its own; the model's is in config.json.
                         {"model_max_length", 1'000'000'000}};
  if (!chat_template.empty()) config["chat_template"] = chat_template;
  return Dump(config);
}

}  // namespace ponder
