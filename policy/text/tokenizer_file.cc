#include "policy/text/tokenizer_file.h"

#include <initializer_list>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "policy/files/json.h"
#include "policy/text/regex_splitter.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

using nlohmann::json;

// Far above any vocabulary; keeps a broken id from asking for a huge table.
constexpr uint64_t kMaxId = 1 << 24;

// One value of the file, with its path for errors.
class Field {
 public:
  Field(const json& value, std::string path)
      : value_(&value), path_(std::move(path)) {}

  const json& value() const { return *value_; }
  const std::string& path() const { return path_; }

  absl::Status Error(absl::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", message));
  }
  absl::Status Unsupported(absl::string_view supported) const {
    std::string text = value_->dump(-1, ' ', /*ensure_ascii=*/false);
    if (text.size() > 60) {
      text.resize(ValidUtf8Length(absl::string_view(text).substr(0, 57)));
      text += "...";
    }
    return Error(
        absl::StrCat(text, " is not supported; ", supported, " would be"));
  }

  bool IsNull() const { return value_->is_null(); }
  bool Has(const char* key) const { return value_->contains(key); }

  // The member; null if there is none. REQUIRES: an object.
  Field operator[](const char* key) const {
    static const json kNull;
    const auto member = value_->find(key);
    return Field(member == value_->end() ? kNull : *member,
                 absl::StrCat(path_, ".", key));
  }

  // An object with no other keys than these.
  absl::Status CheckObject(
      std::initializer_list<absl::string_view> keys) const {
    if (!value_->is_object()) return Error("should be an object");
    for (const auto& [key, member] : value_->items()) {
      bool is_known = false;
      for (const absl::string_view known : keys) is_known |= key == known;
      if (!is_known) {
        return Field(member, absl::StrCat(path_, ".", key))
            .Error("is not known to this version");
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Bool(bool if_absent) const {
    if (IsNull()) return if_absent;
    if (!value_->is_boolean()) return Error("should be true or false");
    return value_->get<bool>();
  }
  absl::StatusOr<std::string> String() const {
    if (!value_->is_string()) return Error("should be a string");
    return value_->get<std::string>();
  }
  absl::StatusOr<int32_t> Id() const {
    if (!value_->is_number_unsigned() || value_->get<uint64_t>() > kMaxId) {
      return Error(absl::StrCat("should be an id from 0 to ", kMaxId));
    }
    return static_cast<int32_t>(value_->get<uint64_t>());
  }
  absl::StatusOr<std::vector<Field>> Items() const {
    if (!value_->is_array()) return Error("should be a list");
    std::vector<Field> items;
    for (size_t i = 0; i < value_->size(); ++i) {
      items.emplace_back((*value_)[i], absl::StrCat(path_, "[", i, "]"));
    }
    return items;
  }
  // The member "type" of an object; empty if there is none.
  std::string Type() const {
    if (!value_->is_object()) return "";
    const auto type = value_->find("type");
    return type != value_->end() && type->is_string() ? type->get<std::string>()
                                                      : "";
  }

 private:
  const json* value_;  // Not owned; outlives this.
  std::string path_;
};

absl::StatusOr<AddedToken> ParseAddedToken(const Field& field) {
  PONDER_RETURN_IF_ERROR(
      field.CheckObject({"id", "content", "single_word", "lstrip", "rstrip",
                         "normalized", "special"}));
  AddedToken token;
  PONDER_ASSIGN_OR_RETURN(token.id, field["id"].Id());
  PONDER_ASSIGN_OR_RETURN(token.content, field["content"].String());
  if (token.content.empty()) return field["content"].Error("is empty");
  PONDER_ASSIGN_OR_RETURN(token.single_word, field["single_word"].Bool(false));
  PONDER_ASSIGN_OR_RETURN(token.lstrip, field["lstrip"].Bool(false));
  PONDER_ASSIGN_OR_RETURN(token.rstrip, field["rstrip"].Bool(false));
  PONDER_ASSIGN_OR_RETURN(token.special, field["special"].Bool(false));
  PONDER_ASSIGN_OR_RETURN(token.normalized,
                          field["normalized"].Bool(!token.special));
  return token;
}

// A Replace of one text by another.
absl::Status CheckReplace(const Field& field, const char* from,
                          const char* to) {
  PONDER_RETURN_IF_ERROR(field.CheckObject({"type", "pattern", "content"}));
  if (field["pattern"].value() != json({{"String", from}}) ||
      field["content"].value() != json(to)) {
    return field.Unsupported(
        absl::StrCat("\"", from, "\" replaced by \"", to, "\""));
  }
  return absl::OkStatus();
}

absl::Status ParseNormalizer(const Field& field, TokenizerFile& file) {
  if (field.IsNull()) return absl::OkStatus();
  const std::string type = field.Type();
  if (type == "NFC") {
    PONDER_RETURN_IF_ERROR(field.CheckObject({"type"}));
    file.nfc = true;
    return absl::OkStatus();
  }
  if (file.byte_fallback && type == "Prepend") {
    PONDER_RETURN_IF_ERROR(field.CheckObject({"type", "prepend"}));
    if (field["prepend"].value() != json(kMetaspace)) {
      return field["prepend"].Unsupported("U+2581");
    }
    if (file.spaces.normalizer_prepends) return field.Error("is there twice");
    file.spaces.normalizer_prepends = true;
    return absl::OkStatus();
  }
  if (file.byte_fallback && type == "Replace") {
    PONDER_RETURN_IF_ERROR(CheckReplace(field, " ", kMetaspace));
    file.spaces.normalizer_replaces = true;
    return absl::OkStatus();
  }
  if (type == "Sequence") {
    PONDER_RETURN_IF_ERROR(field.CheckObject({"type", "normalizers"}));
    PONDER_ASSIGN_OR_RETURN(const std::vector<Field> items,
                            field["normalizers"].Items());
    for (const Field& item : items) {
      PONDER_RETURN_IF_ERROR(ParseNormalizer(item, file));
    }
    return absl::OkStatus();
  }
  return field.Unsupported(
      file.byte_fallback ? "Prepend, Replace or NFC, or a Sequence of them,"
                         : "NFC, or a Sequence of it,");
}

absl::Status ParseSplit(const Field& field, TokenizerFile& file) {
  PONDER_RETURN_IF_ERROR(
      field.CheckObject({"type", "pattern", "behavior", "invert"}));
  const Field pattern = field["pattern"];
  PONDER_RETURN_IF_ERROR(pattern.CheckObject({"Regex", "String"}));
  PONDER_ASSIGN_OR_RETURN(
      std::string regex,
      pattern[pattern.Has("Regex") ? "Regex" : "String"].String());
  if (!pattern.Has("Regex")) regex = EscapeRegex(regex);
  if (regex.empty()) return pattern.Error("is empty");
  if (field["behavior"].value() != json("Isolated")) {
    return field["behavior"].Unsupported("\"Isolated\"");
  }
  PONDER_ASSIGN_OR_RETURN(const bool invert, field["invert"].Bool(false));
  if (invert) return field["invert"].Unsupported("false");
  // Where it is wrong is known here.
  const auto splitter = RegexSplitter::Create(regex);
  if (!splitter.ok()) return pattern.Error(splitter.status().message());
  file.pre_tokenizer.push_back(
      {.split_regex = std::move(regex), .add_prefix_space = false});
  return absl::OkStatus();
}

// The pre-tokenizer of a model with byte_fallback: none or Metaspace.
absl::Status ParseMetaspace(const Field& field, TokenizerFile& file) {
  using Prefix = TokenizerFile::Spaces::Prefix;
  if (field.IsNull()) return absl::OkStatus();
  if (field.Type() != "Metaspace") {
    return field.Unsupported("null or Metaspace");
  }
  PONDER_RETURN_IF_ERROR(field.CheckObject(
      {"type", "replacement", "prepend_scheme", "split", "add_prefix_space"}));
  if (field["replacement"].value() != json(kMetaspace)) {
    return field["replacement"].Unsupported("U+2581");
  }
  file.spaces.has_pre_tokenizer = true;
  PONDER_ASSIGN_OR_RETURN(file.spaces.split, field["split"].Bool(true));
  if (field.Has("prepend_scheme")) {
    PONDER_ASSIGN_OR_RETURN(const std::string scheme,
                            field["prepend_scheme"].String());
    if (scheme != "first" && scheme != "always" && scheme != "never") {
      return field["prepend_scheme"].Unsupported("first, always or never");
    }
    file.spaces.prefix = scheme == "first"    ? Prefix::kFirst
                         : scheme == "always" ? Prefix::kAlways
                                              : Prefix::kNever;
    return absl::OkStatus();
  }
  // Files of older versions.
  PONDER_ASSIGN_OR_RETURN(const bool prefix,
                          field["add_prefix_space"].Bool(true));
  file.spaces.prefix = prefix ? Prefix::kAlways : Prefix::kNever;
  return absl::OkStatus();
}

// Sets `has_byte_level` at the ByteLevel step, which must come last: after it
// the text is spelled in the byte-level alphabet.
absl::Status ParsePreTokenizer(const Field& field, TokenizerFile& file,
                               bool& has_byte_level) {
  if (has_byte_level) {
    return field.Unsupported("nothing after the ByteLevel step");
  }
  const std::string type = field.Type();
  if (type == "Sequence") {
    PONDER_RETURN_IF_ERROR(field.CheckObject({"type", "pretokenizers"}));
    PONDER_ASSIGN_OR_RETURN(const std::vector<Field> items,
                            field["pretokenizers"].Items());
    for (const Field& item : items) {
      PONDER_RETURN_IF_ERROR(ParsePreTokenizer(item, file, has_byte_level));
    }
    return absl::OkStatus();
  }
  if (type == "Split") return ParseSplit(field, file);
  if (type == "Digits") {
    PONDER_RETURN_IF_ERROR(field.CheckObject({"type", "individual_digits"}));
    PONDER_ASSIGN_OR_RETURN(const bool individual,
                            field["individual_digits"].Bool(false));
    file.pre_tokenizer.push_back(
        {.split_regex = individual ? R"(\p{N})" : R"(\p{N}+)"});
    return absl::OkStatus();
  }
  if (type == "ByteLevel") {
    // trim_offsets is about offsets, which we don't give.
    PONDER_RETURN_IF_ERROR(field.CheckObject(
        {"type", "add_prefix_space", "trim_offsets", "use_regex"}));
    PONDER_ASSIGN_OR_RETURN(const bool prefix,
                            field["add_prefix_space"].Bool(true));
    PONDER_ASSIGN_OR_RETURN(const bool use_regex,
                            field["use_regex"].Bool(true));
    if (prefix)
      file.pre_tokenizer.push_back(
          {.split_regex = "", .add_prefix_space = true});
    if (use_regex) {
      file.pre_tokenizer.push_back({.split_regex = kGpt2Regex});
    }
    has_byte_level = true;
    return absl::OkStatus();
  }
  return field.Unsupported(
      "a Sequence of Split and Digits with ByteLevel at its end");
}

// Only its being known is checked: it adds tokens around a text, or changes
// offsets, and Encode() does neither.
absl::Status CheckPostProcessor(const Field& field) {
  if (field.IsNull()) return absl::OkStatus();
  const std::string type = field.Type();
  if (type == "ByteLevel" || type == "TemplateProcessing") {
    return absl::OkStatus();
  }
  if (type != "Sequence") {
    return field.Unsupported("TemplateProcessing and ByteLevel");
  }
  PONDER_ASSIGN_OR_RETURN(const std::vector<Field> items,
                          field["processors"].Items());
  for (const Field& item : items) {
    PONDER_RETURN_IF_ERROR(CheckPostProcessor(item));
  }
  return absl::OkStatus();
}

absl::Status CheckDecoder(const Field& field) {
  if (field.Type() == "ByteLevel") {
    return field.CheckObject(
        {"type", "add_prefix_space", "trim_offsets", "use_regex"});
  }
  if (field.Type() == "Sequence") {
    PONDER_ASSIGN_OR_RETURN(const std::vector<Field> items,
                            field["decoders"].Items());
    if (items.size() == 1) return CheckDecoder(items[0]);
  }
  return field.Unsupported("ByteLevel");
}

// The decoder of a model with byte_fallback: kMetaspace becomes a space, tokens
// of bytes become bytes, and spaces at the begin may go.
absl::Status ParseSpaceDecoder(const Field& field, TokenizerFile& file) {
  constexpr char kWanted[] =
      "a Sequence of Replace (U+2581 by a space), ByteFallback, Fuse and, "
      "maybe, Strip (of spaces at the begin)";
  if (field.Type() != "Sequence") return field.Unsupported(kWanted);
  PONDER_RETURN_IF_ERROR(field.CheckObject({"type", "decoders"}));
  PONDER_ASSIGN_OR_RETURN(const std::vector<Field> items,
                          field["decoders"].Items());
  constexpr absl::string_view kTypes[] = {"Replace", "ByteFallback", "Fuse",
                                          "Strip"};
  if (items.size() < 3 || items.size() > 4) return field.Unsupported(kWanted);
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].Type() != kTypes[i]) return field.Unsupported(kWanted);
  }
  PONDER_RETURN_IF_ERROR(CheckReplace(items[0], kMetaspace, " "));
  PONDER_RETURN_IF_ERROR(items[1].CheckObject({"type"}));
  PONDER_RETURN_IF_ERROR(items[2].CheckObject({"type"}));
  if (items.size() == 3) return absl::OkStatus();
  PONDER_RETURN_IF_ERROR(
      items[3].CheckObject({"type", "content", "start", "stop"}));
  if (items[3]["content"].value() != json(" ") ||
      items[3]["stop"].value() != json(0)) {
    return items[3].Unsupported(kWanted);
  }
  PONDER_ASSIGN_OR_RETURN(file.spaces.num_stripped_spaces,
                          items[3]["start"].Id());
  return absl::OkStatus();
}

// "a b" of older files, ["a", "b"] of newer ones.
absl::StatusOr<std::pair<std::string, std::string>> ParseMerge(
    const json& value, absl::string_view path) {
  if (value.is_array() && value.size() == 2 && value[0].is_string() &&
      value[1].is_string()) {
    return std::make_pair(value[0].get<std::string>(),
                          value[1].get<std::string>());
  }
  if (value.is_string()) {
    const auto& both = value.get_ref<const std::string&>();
    const size_t space = both.find(' ');
    if (space != std::string::npos &&
        both.find(' ', space + 1) == std::string::npos) {
      return std::make_pair(both.substr(0, space), both.substr(space + 1));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": should be two tokens, as \"a b\" or [\"a\", \"b\"]"));
}

absl::Status ParseModel(const Field& field, TokenizerFile& file) {
  if (field.Has("type") && field.Type() != "BPE") {
    return field["type"].Unsupported("\"BPE\"");
  }
  // unk_token and fuse_unk have no effect where every byte has a token.
  PONDER_RETURN_IF_ERROR(field.CheckObject(
      {"type", "dropout", "unk_token", "continuing_subword_prefix",
       "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges",
       "vocab", "merges"}));
  const Field dropout = field["dropout"];
  if (!dropout.IsNull() && dropout.value() != json(0.0)) {
    return dropout.Unsupported("null");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!field[key].IsNull() && field[key].value() != json("")) {
      return field[key].Unsupported("null");
    }
  }
  PONDER_ASSIGN_OR_RETURN(file.byte_fallback,
                          field["byte_fallback"].Bool(false));
  PONDER_ASSIGN_OR_RETURN(file.ignore_merges,
                          field["ignore_merges"].Bool(false));

  const Field vocab = field["vocab"];
  if (!vocab.value().is_object()) return vocab.Error("should be an object");
  for (const auto& [token, id] : vocab.value().items()) {
    PONDER_ASSIGN_OR_RETURN(
        const int32_t number,
        Field(id, absl::StrCat(vocab.path(), "[\"", token, "\"]")).Id());
    file.vocabulary.emplace_back(token, number);
  }
  const Field merges = field["merges"];
  if (!merges.value().is_array()) return merges.Error("should be a list");
  size_t rank = 0;
  for (const json& merge : merges.value()) {
    const std::string path = absl::StrCat(merges.path(), "[", rank++, "]");
    if (merge.is_string() &&
        absl::StartsWith(merge.get_ref<const std::string&>(), "#version")) {
      continue;
    }
    PONDER_ASSIGN_OR_RETURN(auto pair, ParseMerge(merge, path));
    file.merges.push_back(std::move(pair));
  }
  return absl::OkStatus();
}

absl::Status Parse(const Field& root, TokenizerFile& file) {
  PONDER_RETURN_IF_ERROR(root.CheckObject(
      {"version", "truncation", "padding", "added_tokens", "normalizer",
       "pre_tokenizer", "post_processor", "decoder", "model"}));
  if (root.Has("version") && root["version"].value() != json("1.0")) {
    return root["version"].Unsupported("\"1.0\"");
  }
  for (const char* key : {"truncation", "padding"}) {
    if (!root[key].IsNull()) return root[key].Unsupported("null");
  }
  if (!root["added_tokens"].IsNull()) {
    PONDER_ASSIGN_OR_RETURN(const std::vector<Field> items,
                            root["added_tokens"].Items());
    for (const Field& item : items) {
      PONDER_ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(item));
      file.added_tokens.push_back(std::move(token));
    }
  }
  // First: what else may be there follows the kind of vocabulary.
  if (!root["model"].value().is_object()) {
    return root["model"].Error("should be an object");
  }
  PONDER_RETURN_IF_ERROR(ParseModel(root["model"], file));
  PONDER_RETURN_IF_ERROR(ParseNormalizer(root["normalizer"], file));
  PONDER_RETURN_IF_ERROR(CheckPostProcessor(root["post_processor"]));
  if (file.byte_fallback) {
    PONDER_RETURN_IF_ERROR(ParseMetaspace(root["pre_tokenizer"], file));
    return ParseSpaceDecoder(root["decoder"], file);
  }
  bool has_byte_level = false;
  PONDER_RETURN_IF_ERROR(
      ParsePreTokenizer(root["pre_tokenizer"], file, has_byte_level));
  if (!has_byte_level) {
    return root["pre_tokenizer"].Unsupported("one that ends with ByteLevel");
  }
  return CheckDecoder(root["decoder"]);
}

}  // namespace

absl::StatusOr<TokenizerFile> ParseTokenizerFile(absl::string_view json_text,
                                                 absl::string_view where) {
  PONDER_ASSIGN_OR_RETURN(const json root,
                          ParseCheckpointJson(json_text, where));
  if (!root.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": should be an object"));
  }
  TokenizerFile file;
  PONDER_RETURN_IF_ERROR(Parse(Field(root, std::string(where)), file));
  return file;
}

}  // namespace ponder
