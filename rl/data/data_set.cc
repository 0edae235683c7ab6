#include "rl/data/data_set.h"

#include <cstddef>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/philox.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/code_rows.h"
#include "proto/text_config.h"
#include "proto/value_codec.h"
#include "rl/data/verl_ground_truth.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

struct Column {
  std::string name;
  const Json* value = nullptr;  // Not null and not JSON's null if found.
  bool found() const { return value != nullptr; }
};

// The column `name`; "a.b" is also column b of the object in column a.
Column FindColumn(const Json& row, const std::string& name) {
  const auto usable = [](const Json& value) { return !value.is_null(); };
  const auto it = row.find(name);
  if (it != row.end() && usable(*it)) return {name, &*it};
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return {};
  const std::string outer = name.substr(0, dot);
  const auto object = row.find(outer);
  if (object == row.end() || !object->is_object()) return {};
  const Column inner = FindColumn(*object, name.substr(dot + 1));
  if (!inner.found()) return {};
  return {name, inner.value};
}

// The column that the configuration names, or else the first of `names`.
Column ChooseColumn(const Json& row, bool is_set, const std::string& set,
                    const std::vector<std::string>& names) {
  if (is_set) return FindColumn(row, set);
  for (const std::string& name : names) {
    const Column column = FindColumn(row, name);
    if (column.found()) return column;
  }
  return {};
}

std::string ColumnNames(const Json& row) {
  std::vector<std::string> names;
  for (const auto& [name, unused] : row.items()) names.push_back(name);
  return names.empty() ? "no columns" : absl::StrJoin(names, ", ");
}

// A string without its quotes; anything else as JSON.
std::string AsText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : DumpJson(value);
}

absl::StatusOr<std::vector<ChatMessage>> ParseMessages(
    const Json& value, const std::string& column) {
  if (!value.is_array() || value.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("column ", column, " is ", value.type_name(),
                     "; wanted a text or a list of {role, content}"));
  }
  std::vector<ChatMessage> messages;
  for (const Json& item : value) {
    const Column role = item.is_object() ? FindColumn(item, "role") : Column{};
    const Column content =
        item.is_object() ? FindColumn(item, "content") : Column{};
    if (!role.found() || !role.value->is_string() || !content.found() ||
        !content.value->is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("message ", messages.size() + 1, " of column ", column,
                       " has no \"role\" and \"content\" that are texts"));
    }
    messages.push_back(
        {role.value->get<std::string>(), content.value->get<std::string>()});
  }
  return messages;
}

// What was said last by `role`; empty if nothing was.
std::string LastOf(const std::vector<ChatMessage>& messages,
                   absl::string_view role) {
  for (auto it = messages.rbegin(); it != messages.rend(); ++it) {
    if (it->role == role) return it->content;
  }
  return "";
}

class RowParser {
 public:
  explicit RowParser(const DataSet& config) : config_(config) {}

  absl::StatusOr<DataRow> Parse(const Json& json) const {
    if (!json.is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "holds ", json.type_name(), "; wanted one JSON object on each line"));
    }
    DataRow row;
    std::set<std::string> used;  // "a.b" leaves column a among the others.
    PONDER_RETURN_IF_ERROR(ParsePrompt(json, row, used));
    PONDER_RETURN_IF_ERROR(ParseAnswers(json, row, used));
    PONDER_RETURN_IF_ERROR(ParseTests(json, row, used));
    PONDER_ASSIGN_OR_RETURN(
        const Column id, ColumnOf(json, "id_field", config_.id_field(), "id"));
    if (id.found()) {
      row.id = AsText(*id.value);
      used.insert(id.name);
    }
    const Column rate = FindColumn(json, "pass_rate");
    if (rate.found() && rate.value->is_number()) {
      row.pass_rate = rate.value->get<double>();
    }
    for (const auto& [name, value] : json.items()) {
      if (used.count(name) > 0) continue;
      Field& field = *row.row.add_fields();
      field.set_name(name);
      PONDER_ASSIGN_OR_RETURN(*field.mutable_value(), ValueFromJson(value));
    }
    return row;
  }

 private:
  absl::Status ParsePrompt(const Json& json, DataRow& row,
                           std::set<std::string>& used) const {
    const Column text = FindColumn(json, "text");
    if (text.found() && text.value->is_string()) {
      row.text = text.value->get<std::string>();
      used.insert("text");
    }
    const Column prompt =
        ChooseColumn(json, config_.has_prompt_field(), config_.prompt_field(),
                     {"prompt", "question", "problem", "messages"});
    if (!prompt.found()) {
      if (!row.text.empty() && !config_.has_prompt_field()) {
        return absl::OkStatus();
      }
      return absl::InvalidArgumentError(absl::StrCat(
          "no column ",
          config_.has_prompt_field()
              ? absl::StrCat("\"", config_.prompt_field(), "\"")
              : "prompt, question, problem or messages",
          "; the row has ", ColumnNames(json), "; set data.prompt_field"));
    }
    used.insert(prompt.name);
    if (prompt.value->is_string()) {
      row.prompt = prompt.value->get<std::string>();
      return absl::OkStatus();
    }
    PONDER_ASSIGN_OR_RETURN(row.messages,
                            ParseMessages(*prompt.value, prompt.name));
    row.prompt = LastOf(row.messages, "user");
    if (row.prompt.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", prompt.name, " has no message of role user"));
    }
    if (row.messages.back().role == "assistant") {
      row.response = row.messages.back().content;
    }
    return absl::OkStatus();
  }

  absl::Status ParseAnswers(const Json& json, DataRow& row,
                            std::set<std::string>& used) const {
    const Column answer = ChooseColumn(
        json, config_.has_answer_field(), config_.answer_field(),
        {"answer", "reward_model.ground_truth", "ground_truth", "solution"});
    if (config_.has_answer_field() && !answer.found()) {
      return MissingField("answer_field", config_.answer_field(), json);
    }
    if (answer.found()) row.answer = AsText(*answer.value);
    const Column response = ChooseColumn(
        json, config_.has_response_field(), config_.response_field(),
        {"response", "completion", "solution"});
    if (config_.has_response_field() && !response.found()) {
      return MissingField("response_field", config_.response_field(), json);
    }
    if (response.found()) {
      if (response.value->is_array()) {
        PONDER_ASSIGN_OR_RETURN(const std::vector<ChatMessage> messages,
                                ParseMessages(*response.value, response.name));
        row.response = LastOf(messages, "assistant");
      } else {
        row.response = AsText(*response.value);
      }
      // What a solution is called verifiers may want, and it may be the answer.
      if (response.name != answer.name && response.name != "solution") {
        used.insert(response.name);
      }
    } else if (row.response.empty() && absl::StrContains(row.answer, "####")) {
      row.response = row.answer;  // GSM8K: the solution, then "#### 18".
    }
    return absl::OkStatus();
  }

  absl::Status ParseTests(const Json& json, DataRow& row,
                          std::set<std::string>& used) const {
    PONDER_ASSIGN_OR_RETURN(
        const Column tests,
        ColumnOf(json, "tests_field", config_.tests_field(), "tests"));
    if (tests.found()) used.insert(tests.name);
    PONDER_ASSIGN_OR_RETURN(
        const Column verifier,
        ColumnOf(json, "verifier_field", config_.verifier_field(), "verifier"));
    if (verifier.found()) {
      used.insert(verifier.name);
      if (!verifier.value->is_string()) {
        return absl::InvalidArgumentError(
            absl::StrCat("column ", verifier.name, " is ",
                         verifier.value->type_name(), "; wanted a name"));
      }
      row.verifier = verifier.value->get<std::string>();
    }
    if (config_.has_verifier()) row.verifier = config_.verifier();
    // What else looks like tests is for a verifier of the user's own to read.
    if (!tests.found() && !row.verifier.empty() && row.verifier != "code") {
      return absl::OkStatus();
    }
    Json renamed;
    if (tests.found() && tests.name != "tests") {
      renamed["tests"] = *tests.value;
    }
    PONDER_ASSIGN_OR_RETURN(std::optional<TestSuite> suite,
                            TestSuiteFromRow(renamed.empty() ? json : renamed));
    if (suite.has_value()) row.tests = *std::move(suite);
    if (!row.verifier.empty()) return absl::OkStatus();
    // verl's own place for tests says more than that they are some.
    if (row.tests.hidden_size() + row.tests.visible_size() > 0 &&
        (tests.found() || !FindColumn(json, "reward_model").found())) {
      row.verifier = "code";
      return absl::OkStatus();
    }
    return ChooseByGroundTruth(json, row);
  }

  // Of a row that neither says what verifies it nor has tests: by what verl's
  // ground truth is, else it is maths.
  static absl::Status ChooseByGroundTruth(const Json& json, DataRow& row) {
    row.verifier = "math";
    const Column style = FindColumn(json, "reward_model.style");
    if (style.found() && *style.value == "model") {
      return absl::InvalidArgumentError(
          "reward_model.style is \"model\": the row wants a reward model, and "
          "no rule can score it; leave such rows out, or name a plug-in that "
          "asks the model with data.verifier");
    }
    const Column truth = FindColumn(json, "reward_model.ground_truth");
    if (!truth.found()) return absl::OkStatus();
    PONDER_ASSIGN_OR_RETURN(VerlGroundTruth parsed,
                            ParseVerlGroundTruth(*truth.value));
    if (parsed.verifier.empty()) return absl::OkStatus();
    row.verifier = parsed.verifier;
    row.tests = std::move(parsed.tests);
    row.row = std::move(parsed.columns);
    row.answer.clear();  // It was the tests' or the target's text.
    return absl::OkStatus();
  }

  // The column that the setting names, which must be there, or else `usual`,
  // which need not.
  static absl::StatusOr<Column> ColumnOf(const Json& json,
                                         absl::string_view setting,
                                         const std::string& name,
                                         const std::string& usual) {
    if (name.empty()) return FindColumn(json, usual);
    const Column column = FindColumn(json, name);
    if (!column.found()) return MissingField(setting, name, json);
    return column;
  }

  static absl::Status MissingField(absl::string_view setting,
                                   const std::string& name, const Json& json) {
    return absl::InvalidArgumentError(
        absl::StrCat("no column \"", name, "\", which ", setting,
                     " names; the row has ", ColumnNames(json)));
  }

  const DataSet& config_;
};

std::string RowHash(const Json& json) {
  return absl::StrCat(
      absl::Hex(StreamKey().Add(DumpJson(json)).key(), absl::kZeroPad16));
}

}  // namespace

Problem ProblemOfRow(const DataRow& row) {
  Problem problem;
  problem.set_id(row.id);
  problem.set_verifier(row.verifier);
  problem.set_prompt(row.prompt);
  problem.set_answer(row.answer);
  *problem.mutable_tests() = row.tests;
  *problem.mutable_row() = row.row;
  for (const ChatMessage& message : row.messages) {
    PromptMessage* out = problem.add_messages();
    out->set_role(message.role);
    out->set_content(message.content);
  }
  // The answer to the prompt is no part of it.
  if (!row.messages.empty() && row.messages.back().role == "assistant") {
    problem.mutable_messages()->RemoveLast();
  }
  return problem;
}

absl::StatusOr<std::vector<DataRow>> ParseDataRows(const DataSet& config,
                                                   absl::string_view content,
                                                   const std::string& path) {
  const RowParser parser(config);
  std::vector<DataRow> rows;
  std::unordered_map<std::string, int> line_of_id;
  std::unordered_map<std::string, int> copies;    // Of rows without an id.
  absl::ConsumePrefix(&content, "\xEF\xBB\xBF");  // UTF-8's byte order mark.
  for (int line = 1; !content.empty(); ++line) {
    const size_t end = content.find('\n');
    const absl::string_view text = content.substr(0, end);
    content.remove_prefix(end == absl::string_view::npos ? content.size()
                                                         : end + 1);
    if (absl::StripAsciiWhitespace(text).empty()) continue;
    const std::string where = absl::StrCat(path, ":", line);
    const absl::StatusOr<Json> json = ParseJson(text, "");
    if (!json.ok()) {  // Its message starts with ", column 7: ".
      const std::string message(json.status().message());
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": ", absl::StripPrefix(message, ", ")));
    }
    absl::StatusOr<DataRow> row = parser.Parse(*json);
    if (!row.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": ", row.status().message()));
    }
    if (row->id.empty()) {
      row->id = RowHash(*json);
      const int copy = ++copies[row->id];
      if (copy > 1) absl::StrAppend(&row->id, "-", copy);
    }
    const auto [first, is_new] = line_of_id.emplace(row->id, line);
    if (!is_new) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": id \"", row->id, "\" is that of line ",
                       first->second, " too; ids must differ"));
    }
    row->line = line;
    rows.push_back(*std::move(row));
    if (config.limit() > 0 &&
        static_cast<int64_t>(rows.size()) == config.limit()) {
      break;
    }
  }
  if (rows.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": holds no rows; wanted a JSON object a line"));
  }
  return rows;
}

namespace {

// Parquet is columns in compressed pages; its files begin with "PAR1".
absl::Status CheckIsText(const std::string& path, absl::string_view content) {
  if (!absl::EndsWith(path, ".parquet") && !absl::StartsWith(content, "PAR1")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path,
      ": is a Parquet file, and data is read as JSON lines; convert it "
      "with `scripts/parquet-to-jsonl ",
      path, " OUT.jsonl`, which needs PyPI's pyarrow"));
}

// Pass rates by id, as a sample stage writes them.
absl::StatusOr<std::unordered_map<std::string, double>> ReadPassRates(
    const std::string& path, const std::string& set) {
  PONDER_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::unordered_map<std::string, double> rates;
  int line = 0;
  for (const absl::string_view text : absl::StrSplit(content, '\n')) {
    ++line;
    if (absl::StripAsciiWhitespace(text).empty()) continue;
    const absl::StatusOr<Json> json = ParseJson(text, "");
    const Column id =
        json.ok() && json->is_object() ? FindColumn(*json, "id") : Column{};
    const Column rate = id.found() ? FindColumn(*json, "pass_rate") : Column{};
    if (!rate.found() || !rate.value->is_number()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ":", line, ": wanted {\"id\": ..., \"pass_rate\": NUMBER}"));
    }
    const Column of = FindColumn(*json, "set");
    if (of.found() && AsText(*of.value) != set) continue;
    rates[AsText(*id.value)] = rate.value->get<double>();
  }
  return rates;
}

// Leaves out the rows whose pass rate is unknown or out of bounds.
void FilterByPassRate(const DataSet& config, DataRows* data) {
  const double low = config.has_min_pass_rate() ? config.min_pass_rate() : 0;
  const double high = config.has_max_pass_rate() ? config.max_pass_rate() : 1;
  const size_t all = data->rows.size();
  size_t unknown = 0;
  std::erase_if(data->rows, [&](const DataRow& row) {
    unknown += !row.pass_rate.has_value();
    return !row.pass_rate || *row.pass_rate < low || *row.pass_rate > high;
  });
  data->note = absl::StrCat("data set ", data->name, ": ", data->rows.size(),
                            " of ", all, " rows have a pass rate of ", low,
                            " to ", high, "; ", unknown, " have none");
}

}  // namespace

absl::StatusOr<DataRows> LoadDataRows(const DataSet& config,
                                      const std::string& run_folder) {
  const std::string path = ExpandRunPath(config.path(), run_folder);
  PONDER_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  PONDER_RETURN_IF_ERROR(CheckIsText(path, content));
  DataRows result;
  result.name = DataSetName(config);
  result.weight = config.weight();
  PONDER_ASSIGN_OR_RETURN(result.rows, ParseDataRows(config, content, path));
  if (config.has_pass_rates()) {
    PONDER_ASSIGN_OR_RETURN(
        const auto rates,
        ReadPassRates(ExpandRunPath(config.pass_rates(), run_folder),
                      result.name));
    for (DataRow& row : result.rows) {
      const auto it = rates.find(row.id);
      if (it != rates.end()) row.pass_rate = it->second;
    }
  }
  if (config.has_min_pass_rate() || config.has_max_pass_rate()) {
    FilterByPassRate(config, &result);
    if (result.rows.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(result.note, ", so that none is left"));
    }
  }
  return result;
}

}  // namespace ponder
