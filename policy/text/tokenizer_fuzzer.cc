// libFuzzer target of tokenizer.json: raw text, and edits of a small file that
// uses every part. What is accepted must encode into its own ids, and without
// normalization every string of bytes must come back.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"
#include "policy/files/mutated_json.h"
#include "policy/text/byte_tokenizer.h"
#include "policy/text/tokenizer.h"

namespace {

using nlohmann::json;

const json& File() {
  static const json& file = *[] {
    auto* made = new json(json::parse(ponder::ByteTokenizerJson(262)));
    json& model = (*made)["model"];
    int64_t id = static_cast<int64_t>(model["vocab"].size());
    for (const char* token : {"th", "the", "ab", "abab", "\u0120a", "12"}) {
      if (!model["vocab"].contains(token)) model["vocab"][token] = id++;
    }
    model["merges"] = json::parse(
        R"(["t h", ["th", "e"], ["a", "b"], "ab ab", "\u0120 a", "1 2"])");
    for (json& token : (*made)["added_tokens"]) token["id"] = id++;
    (*made)["normalizer"] = {{"type", "NFC"}};
    (*made)["pre_tokenizer"] = json::parse(R"({"type": "Sequence",
      "pretokenizers": [
        {"type": "Digits", "individual_digits": true},
        {"type": "Split", "behavior": "Isolated", "invert": false,
         "pattern": {"Regex": "\\p{N}{1,3}|\\s+(?!\\S)|[^\\s\\p{N}]+|\\s+"}},
        {"type": "ByteLevel", "add_prefix_space": false,
         "trim_offsets": true, "use_regex": false}]})");
    return made;
  }();
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const bool raw = data[0] % 8 == 0;
  const json file =
      raw ? json()
          : ponder::MutatedJson(File(),
                                absl::MakeConstSpan(data, size).subspan(1));
  const auto tokenizer = ponder::Tokenizer::FromJson(
      raw ? std::string(bytes.substr(1)) : file.dump(), "fuzz");
  if (!tokenizer.ok()) return 0;
  // What is edited may change the text, or which token a text is.
  const auto same = [&](const char* key) {
    return file.value(key, json()) == File()[key];
  };
  const bool keeps_bytes = !raw && file.value("normalizer", json()).is_null() &&
                           same("added_tokens") && same("pre_tokenizer");
  for (const absl::string_view text :
       {bytes, absl::string_view("the abab 12345  \t\n\u00e9e\u0301x")}) {
    const std::vector<int32_t> ids = (*tokenizer)->Encode(text);
    for (const int32_t id : ids) {
      if (id < 0 || id >= (*tokenizer)->num_ids()) std::abort();
    }
    if (keeps_bytes && (*tokenizer)->Decode(ids) != text) {
      std::abort();
    }
  }
  return 0;
}
