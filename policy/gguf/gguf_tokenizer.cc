#include "policy/gguf/gguf_tokenizer.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "policy/files/json.h"
#include "policy/text/tokenizer_file.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

using Json = nlohmann::json;

// Types of tokens.
constexpr int32_t kNormal = 1;
constexpr int32_t kControl = 3;
constexpr int32_t kUserDefined = 4;
constexpr int32_t kUnused = 5;
constexpr int32_t kByte = 6;

// llama.cpp knows the rules of splitting by name only.
absl::StatusOr<std::string> PreTokenizerName(const TokenizerFile& file,
                                             const std::string& where) {
  std::vector<std::string> patterns;
  for (const TokenizerFile::PreTokenizerStep& step : file.pre_tokenizer) {
    if (step.add_prefix_space) {
      return absl::UnimplementedError(
          absl::StrCat(where,
                       ": llama.cpp cannot put a space before the text "
                       "(add_prefix_space) with byte-level BPE"));
    }
    patterns.push_back(step.split_regex);
  }
  // Without merges, text is bytes however it is split.
  if (patterns.empty() && file.merges.empty()) return std::string("gpt-2");
  const std::string first = patterns.empty() ? "none" : patterns[0];
  if (patterns.size() == 1 && first == kGpt2Regex) return std::string("gpt-2");
  constexpr absl::string_view kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  if (patterns.size() == 1 && absl::StrContains(first, kContractions)) {
    return std::string(absl::StrContains(first, "\\p{N}{1,3}") ? "llama-bpe"
                                                               : "qwen2");
  }
  if (patterns.size() > 1 && first == "\\p{N}{1,3}") {
    return std::string("deepseek-v3");
  }
  if (patterns.size() > 1 && (first == "[\r\n]" || first == "[\\r\\n]")) {
    return std::string("deepseek-llm");
  }
  return absl::UnimplementedError(absl::StrCat(
      where,
      ": llama.cpp has no name for this tokenizer's rule to split text (",
      first.substr(0, 60),
      "); known are those of GPT-2, Llama 3, Qwen and DeepSeek"));
}

absl::Status AddByteLevelRules(const TokenizerFile& file,
                               const std::string& where, GgufWriter* writer) {
  PONDER_ASSIGN_OR_RETURN(const std::string pre, PreTokenizerName(file, where));
  std::vector<std::string> merges;
  for (const auto& [left, right] : file.merges) {
    merges.push_back(absl::StrCat(left, " ", right));
  }
  writer->Add("tokenizer.ggml.model", "gpt2");
  writer->Add("tokenizer.ggml.pre", pre);
  writer->Add("tokenizer.ggml.merges", merges);
  return absl::OkStatus();
}

// llama.cpp has no list of merges here: it joins two neighbours if both
// together are a token, those of the highest score first. That is the same if
// every way to make a token is in the list, and the ways to make one token
// follow each other. SentencePiece's files are like that.
absl::StatusOr<std::vector<float>> Scores(
    const TokenizerFile& file, const std::vector<std::string>& tokens,
    const std::string& where) {
  const auto refusal = [&](absl::string_view left, absl::string_view right,
                           absl::string_view why) {
    return absl::UnimplementedError(absl::StrCat(
        where, ": the merge of \"", left, "\" and \"", right, "\" ", why,
        "; llama.cpp ranks tokens, not merges, as SentencePiece does, and "
        "would split text in other places"));
  };
  absl::flat_hash_set<absl::string_view> known(tokens.begin(), tokens.end());
  // They are cut out of the text before.
  for (const AddedToken& added : file.added_tokens) known.erase(added.content);
  absl::flat_hash_set<std::pair<absl::string_view, absl::string_view>> listed;
  absl::flat_hash_map<std::string, float> scores;
  std::string last;
  for (const auto& [left, right] : file.merges) {
    const std::string token = left + right;
    listed.insert({left, right});
    if (token == last) continue;
    last = token;
    if (!scores.emplace(token, -static_cast<float>(scores.size())).second) {
      return refusal(left, right, "stands apart from another for this token");
    }
  }
  // Below all that a merge makes.
  std::vector<float> result(tokens.size(), -static_cast<float>(scores.size()));
  for (size_t id = 0; id < tokens.size(); ++id) {
    const absl::string_view token = tokens[id];
    const auto score = scores.find(token);
    if (score == scores.end()) continue;
    result[id] = score->second;
    // A character or a token.
    const auto is_part = [&](absl::string_view part) {
      return known.contains(part) ||
             FirstCodePoint(part).num_bytes == part.size();
    };
    for (size_t cut = FirstCodePoint(token).num_bytes; cut < token.size();
         cut += FirstCodePoint(token.substr(cut)).num_bytes) {
      const absl::string_view left = token.substr(0, cut);
      const absl::string_view right = token.substr(cut);
      if (is_part(left) && is_part(right) && !listed.contains({left, right})) {
        return refusal(left, right, "is not in the list");
      }
    }
  }
  return result;
}

// SentencePiece's BPE, "llama" in GGUF. Sets the types of tokens for bytes.
absl::Status AddSentencePieceRules(const TokenizerFile& file,
                                   const std::vector<std::string>& tokens,
                                   const std::string& where,
                                   std::vector<int32_t>* types,
                                   GgufWriter* writer) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<float> scores,
                          Scores(file, tokens, where));
  const TokenizerFile::Spaces& spaces = file.spaces;
  if (file.nfc || (!spaces.normalizer_replaces && !spaces.has_pre_tokenizer)) {
    return absl::UnimplementedError(
        absl::StrCat(where,
                     ": with byte_fallback, llama.cpp replaces spaces by "
                     "U+2581 and normalizes nothing else; this file wants "
                     "something else"));
  }
  for (size_t id = 0; id < tokens.size(); ++id) {
    int byte = 0;
    if (tokens[id].size() == 6 && absl::StartsWith(tokens[id], "<0x") &&
        absl::SimpleHexAtoi(tokens[id].substr(3, 2), &byte)) {
      (*types)[id] = kByte;
    }
    if (spaces.split && tokens[id].find(kMetaspace, 1) != std::string::npos) {
      return absl::UnimplementedError(absl::StrCat(
          where, ": token \"", tokens[id],
          "\" spans words, which this tokenizer splits before it merges "
          "(Metaspace's split); llama.cpp does not split, and would use it"));
    }
  }
  writer->Add("tokenizer.ggml.model", "llama");
  writer->Add("tokenizer.ggml.pre", "default");
  writer->Add("tokenizer.ggml.scores", scores);
  writer->Add("tokenizer.ggml.add_space_prefix",
              spaces.normalizer_prepends ||
                  spaces.prefix != TokenizerFile::Spaces::Prefix::kNever);
  return absl::OkStatus();
}

// The text of a token in tokenizer_config.json: a string or {"content": ...}.
std::string TokenText(const Json& config, const char* name) {
  const auto token = config.find(name);
  if (token == config.end()) return "";
  if (token->is_string()) return token->get<std::string>();
  if (token->is_object() && token->contains("content") &&
      (*token)["content"].is_string()) {
    return (*token)["content"].get<std::string>();
  }
  return "";
}

// The template as the model ships it; empty without one.
absl::StatusOr<std::string> ChatTemplate(const std::string& folder,
                                         const Json& config) {
  const absl::StatusOr<std::string> file =
      ReadFile(absl::StrCat(folder, "/chat_template.jinja"));
  if (file.ok()) return *file;
  const auto text = config.find("chat_template");
  if (text == config.end() || text->is_null()) return std::string();
  if (text->is_string()) return text->get<std::string>();
  if (text->is_array()) {
    for (const Json& named : *text) {
      if (named.is_object() && named.value("name", "") == "default" &&
          named.contains("template") && named["template"].is_string()) {
        return named["template"].get<std::string>();
      }
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      folder,
      "/tokenizer_config.json: chat_template is neither a text nor a "
      "list with a \"default\""));
}

}  // namespace

absl::Status AddGgufTokenizer(const std::string& folder, int64_t vocab_size,
                              GgufWriter* writer) {
  const std::string where = absl::StrCat(folder, "/tokenizer.json");
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(where));
  PONDER_ASSIGN_OR_RETURN(const TokenizerFile file,
                          ParseTokenizerFile(text, where));
  std::vector<std::string> tokens(static_cast<size_t>(vocab_size));
  std::vector<int32_t> types(tokens.size(), kUnused);
  for (size_t id = 0; id < tokens.size(); ++id) {
    tokens[id] = absl::StrCat("[PAD", id, "]");
  }
  absl::flat_hash_map<std::string, int32_t> ids;
  const auto place = [&](const std::string& token, int32_t id,
                         int32_t type) -> absl::Status {
    if (id >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": token \"", token, "\" has the id ", id,
                       "; wanted 0 to ", vocab_size - 1));
    }
    tokens[static_cast<size_t>(id)] = token;
    types[static_cast<size_t>(id)] = type;
    ids[token] = id;
    return absl::OkStatus();
  };
  for (const auto& [token, id] : file.vocabulary) {
    PONDER_RETURN_IF_ERROR(place(token, id, kNormal));
  }
  for (const AddedToken& added : file.added_tokens) {
    if (added.lstrip || added.rstrip || added.single_word) {
      return absl::UnimplementedError(absl::StrCat(
          where, ": token \"", added.content,
          "\" looks at the text around it (lstrip, rstrip or single_word); "
          "GGUF cannot say so. Set these flags to false if nothing depends on "
          "them"));
    }
    PONDER_RETURN_IF_ERROR(place(added.content, added.id,
                                 added.special ? kControl : kUserDefined));
  }
  PONDER_RETURN_IF_ERROR(
      file.byte_fallback
          ? AddSentencePieceRules(file, tokens, where, &types, writer)
          : AddByteLevelRules(file, where, writer));
  writer->Add("tokenizer.ggml.tokens", tokens);
  writer->Add("tokenizer.ggml.token_type", types);

  Json config = Json::object();
  const std::string config_path =
      absl::StrCat(folder, "/tokenizer_config.json");
  const absl::StatusOr<std::string> config_text = ReadFile(config_path);
  if (config_text.ok()) {
    PONDER_ASSIGN_OR_RETURN(config,
                            ParseCheckpointJson(*config_text, config_path));
  }
  for (const auto& [name, key] :
       {std::pair("bos_token", "tokenizer.ggml.bos_token_id"),
        std::pair("unk_token", "tokenizer.ggml.unknown_token_id"),
        std::pair("eos_token", "tokenizer.ggml.eos_token_id"),
        std::pair("pad_token", "tokenizer.ggml.padding_token_id")}) {
    const auto id = ids.find(TokenText(config, name));
    if (id != ids.end()) writer->Add(key, static_cast<uint32_t>(id->second));
  }
  for (const char* name : {"add_bos_token", "add_eos_token"}) {
    const auto flag = config.find(name);
    writer->Add(absl::StrCat("tokenizer.ggml.", name),
                flag != config.end() && *flag == Json(true));
  }
  PONDER_ASSIGN_OR_RETURN(const std::string chat_template,
                          ChatTemplate(folder, config));
  if (!chat_template.empty()) {
    writer->Add("tokenizer.chat_template", chat_template);
  }
  return absl::OkStatus();
}

}  // namespace ponder
