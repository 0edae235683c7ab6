#include "reward/math/cases.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using Json = nlohmann::json;
using Find = MathOptions::Find;

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

std::string TextOf(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_null()) return "";
  return json.dump();
}

// How a text is to be searched, from the words of its configuration.
struct Search {
  Find find = Find::kDeclared;
  math::ExtractOptions extract{/*boxes=*/false, /*formulas=*/false,
                               /*numbers=*/false};
  std::string choices;
};

absl::Status AddWord(const Json& word, Search* search) {
  std::string type;
  if (word.is_string()) {
    type = word.get<std::string>();
  } else if (word.is_object() && word.contains("type") &&
             word["type"].is_string()) {
    type = word["type"].get<std::string>();
  } else {
    return Bad("a config must be a word or an object with \"type\"");
  }
  if (type == "latex" || type == "latex50") {
    search->find = Find::kAny;
    search->extract.boxes = true;
    search->extract.formulas = true;
    const Json priority = word.is_object()
                              ? word.value("boxed_match_priority", Json(0))
                              : Json(0);
    if (!priority.is_number()) {
      return Bad("\"boxed_match_priority\" must be a number");
    }
    if (priority.get<double>() < 0) search->extract.boxes = false;
  } else if (type == "expr") {
    search->find = Find::kAny;
    search->extract.numbers = true;
  } else if (type == "string") {
    search->find = Find::kChoice;
    if (word.is_object() && word.contains("strings")) {
      for (const Json& choice : word["strings"]) {
        search->choices += TextOf(choice);
      }
    } else {
      search->choices = "ABCD";
    }
  } else if (type == "raw" || type == "latex_raw" || type == "sympy" ||
             type == "literal") {
    search->find = Find::kWhole;
  } else {
    return Bad(absl::StrCat("config \"", type,
                            "\" is not one of latex, latex50, expr, string, "
                            "raw, latex_raw, sympy and literal"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Search> ParseSearch(const Json& test, const char* name) {
  Search search;
  const auto found = test.find(name);
  if (found == test.end() || found->is_null()) return search;
  if (!found->is_array()) {
    return Bad(absl::StrCat("\"", name, "\" must be a list"));
  }
  for (const Json& word : *found) {
    if (absl::Status status = AddWord(word, &search); !status.ok()) {
      return status;
    }
  }
  return search;
}

// SymPy's str() with what reads otherwise in mathematics: E, I, bar{x}, lambda.
std::string FromSympy(absl::string_view text) {
  static constexpr absl::string_view kNames[] = {
      "alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu",
      "phi",   "psi",  "omega", "sigma", "rho",     "tau",   "bar",    "xbar"};
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() &&
           absl::ascii_isalpha(static_cast<unsigned char>(text[end]))) {
      ++end;
    }
    if (end == i) {
      out += text[i++];
      continue;
    }
    const absl::string_view word = text.substr(i, end - i);
    if (word == "E") {
      out += "e";
    } else if (word == "I") {
      out += "i";
    } else if (word == "xbar") {
      out += "\\bar{x}";
    } else if (word == "Abs") {
      out += "abs";
    } else {
      if (std::find(std::begin(kNames), std::end(kNames), word) !=
          std::end(kNames)) {
        out += '\\';
      }
      absl::StrAppend(&out, word);
    }
    i = end;
  }
  return out;
}

// `*value` where the object has no such member.
absl::Status ReadFlag(const Json& object, const char* name, bool* value) {
  const auto found = object.find(name);
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_boolean()) {
    return Bad(absl::StrCat("\"", name, "\" must be true or false"));
  }
  *value = found->get<bool>();
  return absl::OkStatus();
}

absl::Status ReadParams(const Json& params, MathOptions* options) {
  if (params.is_null()) return absl::OkStatus();
  if (!params.is_object()) return Bad("\"params\" must be an object");
  const Json rounding = params.value("float_rounding", Json(6));
  if (!rounding.is_number_integer() || rounding.get<int64_t>() < 0 ||
      rounding.get<int64_t>() > 100) {
    return Bad("\"float_rounding\" must be a whole number from 0 to 100");
  }
  options->float_rounding = rounding.get<int>();
  bool strict = true;
  bool allow_set_relation_comp = true;
  bool ordered_lists = false;
  for (const auto& [name, value] :
       {std::pair{"strict", &strict},
        std::pair{"allow_set_relation_comp", &allow_set_relation_comp},
        std::pair{"ordered_lists", &ordered_lists}}) {
    if (absl::Status status = ReadFlag(params, name, value); !status.ok()) {
      return status;
    }
  }
  options->any_variable_names = !strict;
  options->inequality_for_set = allow_set_relation_comp;
  options->ordered_lists = ordered_lists;
  return absl::OkStatus();
}

absl::StatusOr<std::string> ResponseOf(const Json& test) {
  const auto parts = test.find("pred_gen");
  if (parts == test.end()) {
    if (!test.contains("pred")) return Bad("a case needs \"pred\"");
    return TextOf(test["pred"]);
  }
  std::string response;
  constexpr size_t kMaxBytes = size_t{64} << 20;
  for (const Json& part : *parts) {
    if (!part.is_array() || part.size() != 2 || !part[0].is_string() ||
        !part[1].is_number_integer() || part[1].get<int64_t>() < 0) {
      return Bad("\"pred_gen\" must be a list of pairs [text, count]");
    }
    const std::string text = part[0].get<std::string>();
    const auto count = part[1].get<uint64_t>();
    if (count > kMaxBytes ||
        text.size() * count + response.size() > kMaxBytes) {
      return Bad("\"pred_gen\" makes a text of more than 64 MiB");
    }
    for (uint64_t k = 0; k < count; ++k) response += text;
  }
  return response;
}

}  // namespace

absl::StatusOr<std::optional<MathCase>> ParseMathCase(absl::string_view line) {
  const Json test = Json::parse(line.begin(), line.end(), nullptr,
                                /*allow_exceptions=*/false);
  if (test.is_discarded() || !test.is_object()) {
    return Bad("the line is no JSON object");
  }
  std::string kind = "verify";
  if (test.contains("kind")) kind = TextOf(test["kind"]);
  if (kind != "verify" && kind != "parse_equal" && kind != "parse_error") {
    return std::optional<MathCase>();
  }
  MathCase result;
  if (test.contains("id")) result.id = TextOf(test["id"]);
  if (!test.contains("gold")) return Bad("a case needs \"gold\"");
  result.gold = TextOf(test["gold"]);
  if (kind == "parse_equal" && test.contains("gold_latex") &&
      test["gold_latex"].is_string()) {
    result.gold = test["gold_latex"].get<std::string>();
  } else if (kind == "parse_equal") {
    result.gold = FromSympy(result.gold);
  }
  absl::StatusOr<std::string> response = ResponseOf(test);
  if (!response.ok()) return response.status();
  result.response = *std::move(response);

  absl::StatusOr<Search> gold = ParseSearch(test, "gold_config");
  if (!gold.ok()) return gold.status();
  absl::StatusOr<Search> answer = ParseSearch(test, "pred_config");
  if (!answer.ok()) return answer.status();
  result.options.find_gold = gold->find;
  if (gold->find == Find::kWhole) {
    // A gold that is a whole solution is still read as one.
    result.options.find_gold =
        kind == "verify" ? Find::kDeclared : Find::kWhole;
  }
  result.options.find = answer->find;
  if (answer->find == Find::kAny) result.options.extract = answer->extract;
  if (!answer->choices.empty()) result.options.choices = answer->choices;
  // Suites that search a text do so in all of it.
  result.options.ignore_thought_tags =
      answer->find != Find::kDeclared &&
      result.response.find("</think>") == std::string::npos;
  if (const auto params = test.find("params"); params != test.end()) {
    absl::Status status = ReadParams(*params, &result.options);
    if (!status.ok()) return status;
  }
  if (test.contains("expected") && test["expected"].is_boolean()) {
    result.expected = test["expected"].get<bool>();
  }
  result.flagged = test.contains("flag");
  return std::optional<MathCase>(std::move(result));
}

}  // namespace ponder
