#include "policy/gguf/gguf_tokenizer.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "policy/files/json.h"

namespace ponder {
namespace {

using Json = nlohmann::json;

// Types of tokens.
constexpr int32_t kNormal = 1;
constexpr int32_t kControl = 3;
constexpr int32_t kUserDefined = 4;
constexpr int32_t kUnused = 5;

absl::StatusOr<Json> ReadJson(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseCheckpointJson(text, path);
}

// The regular expressions of a pre_tokenizer, in order.
void CollectPatterns(const Json& part, std::vector<std::string>* patterns) {
  if (!part.is_object()) return;
  if (part.contains("pretokenizers") && part["pretokenizers"].is_array()) {
    for (const Json& inner : part["pretokenizers"]) {
      CollectPatterns(inner, patterns);
    }
    return;
  }
  const auto pattern = part.find("pattern");
  if (pattern != part.end() && pattern->is_object()) {
    const auto regex = pattern->find("Regex");
    if (regex != pattern->end() && regex->is_string()) {
      patterns->push_back(regex->get<std::string>());
    }
  }
}

// llama.cpp knows the rules of splitting by name only.
absl::StatusOr<std::string> PreTokenizerName(const Json& tokenizer,
                                             const std::string& where) {
  std::vector<std::string> patterns;
  const auto part = tokenizer.find("pre_tokenizer");
  if (part != tokenizer.end()) CollectPatterns(*part, &patterns);
  constexpr absl::string_view kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  if (patterns.empty()) return std::string("gpt-2");
  if (patterns.size() == 1 && absl::StrContains(patterns[0], kContractions)) {
    return std::string(
        absl::StrContains(patterns[0], "\\p{N}{1,3}") ? "llama-bpe" : "qwen2");
  }
  if (patterns.size() > 1 && patterns[0] == "\\p{N}{1,3}") {
    return std::string("deepseek-v3");
  }
  if (patterns.size() > 1 && patterns[0] == "[\r\n]") {
    return std::string("deepseek-llm");
  }
  return absl::UnimplementedError(absl::StrCat(
      where,
      ": llama.cpp has no name for this tokenizer's rule to split text (",
      patterns[0].substr(0, 60),
      "); known are those of GPT-2, Llama 3, Qwen "
      "and DeepSeek"));
}

absl::StatusOr<std::vector<std::string>> Merges(const Json& model,
                                                const std::string& where) {
  std::vector<std::string> merges;
  const auto list = model.find("merges");
  if (list == model.end()) return merges;
  for (const Json& merge : *list) {
    if (merge.is_string()) {
      merges.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      merges.push_back(absl::StrCat(merge[0].get<std::string>(), " ",
                                    merge[1].get<std::string>()));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": a merge must be \"a b\" or [\"a\", \"b\"]"));
    }
  }
  return merges;
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
  PONDER_ASSIGN_OR_RETURN(const Json tokenizer, ReadJson(where));
  const auto model = tokenizer.find("model");
  if (model == tokenizer.end() || !model->is_object() ||
      model->value("type", "BPE") != "BPE" ||
      model->value("byte_fallback", false) || !model->contains("vocab") ||
      !(*model)["vocab"].is_object()) {
    return absl::UnimplementedError(absl::StrCat(
        where, ": only byte-level BPE tokenizers are exported to GGUF"));
  }
  PONDER_ASSIGN_OR_RETURN(const std::string pre,
                          PreTokenizerName(tokenizer, where));
  PONDER_ASSIGN_OR_RETURN(const std::vector<std::string> merges,
                          Merges(*model, where));

  std::vector<std::string> tokens(static_cast<size_t>(vocab_size));
  std::vector<int32_t> types(tokens.size(), kUnused);
  for (size_t id = 0; id < tokens.size(); ++id) {
    tokens[id] = absl::StrCat("[PAD", id, "]");
  }
  std::map<std::string, int64_t> ids;
  const auto place = [&](const std::string& text, const Json& id,
                         int32_t type) -> absl::Status {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": token \"", text, "\" has the id ", id.dump(),
                       "; wanted 0 to ", vocab_size - 1));
    }
    const auto index = static_cast<size_t>(id.get<int64_t>());
    tokens[index] = text;
    types[index] = type;
    ids[text] = id.get<int64_t>();
    return absl::OkStatus();
  };
  for (const auto& [text, id] : (*model)["vocab"].items()) {
    PONDER_RETURN_IF_ERROR(place(text, id, kNormal));
  }
  if (tokenizer.contains("added_tokens")) {
    for (const Json& added : tokenizer["added_tokens"]) {
      if (!added.is_object() || !added.contains("id") ||
          !added.contains("content") || !added["content"].is_string()) {
        return absl::InvalidArgumentError(absl::StrCat(
            where, ": an added token needs \"id\" and \"content\""));
      }
      PONDER_RETURN_IF_ERROR(
          place(added["content"].get<std::string>(), added["id"],
                added.value("special", false) ? kControl : kUserDefined));
    }
  }
  writer->Add("tokenizer.ggml.model", "gpt2");
  writer->Add("tokenizer.ggml.pre", pre);
  writer->Add("tokenizer.ggml.tokens", tokens);
  writer->Add("tokenizer.ggml.token_type", types);
  writer->Add("tokenizer.ggml.merges", merges);

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
        std::pair("eos_token", "tokenizer.ggml.eos_token_id"),
        std::pair("pad_token", "tokenizer.ggml.padding_token_id")}) {
    const auto id = ids.find(TokenText(config, name));
    if (id != ids.end()) writer->Add(key, static_cast<uint32_t>(id->second));
  }
  writer->Add("tokenizer.ggml.add_bos_token",
              config.value("add_bos_token", false));
  PONDER_ASSIGN_OR_RETURN(const std::string chat_template,
                          ChatTemplate(folder, config));
  if (!chat_template.empty()) {
    writer->Add("tokenizer.chat_template", chat_template);
  }
  return absl::OkStatus();
}

}  // namespace ponder
