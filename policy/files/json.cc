#include "policy/files/json.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

constexpr int kMaxDepth = 100;

}  // namespace

absl::StatusOr<nlohmann::json> ParseCheckpointJson(absl::string_view text,
                                                   absl::string_view where) {
  using nlohmann::json;
  std::vector<absl::flat_hash_set<std::string>> open_objects;
  absl::Status status;
  const auto on_event = [&](int depth, json::parse_event_t event,
                            json& parsed) {
    if (depth > kMaxDepth && status.ok()) {
      status = absl::InvalidArgumentError(
          absl::StrCat(where, ": is nested deeper than ", kMaxDepth));
    }
    if (event == json::parse_event_t::object_start) {
      open_objects.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      open_objects.pop_back();
    } else if (event == json::parse_event_t::key && status.ok()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second) {
        status = absl::InvalidArgumentError(
            absl::StrCat(where, ": the key \"", key, "\" is there twice"));
      }
    }
    return true;
  };
  try {
    json value = json::parse(text.begin(), text.end(), on_event);
    if (!status.ok()) return status;
    return value;
  } catch (const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    absl::string_view reason = error.what();
    const size_t end_of_tag = reason.find("] ");
    if (end_of_tag != absl::string_view::npos) {
      reason.remove_prefix(end_of_tag + 2);
    }
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", reason));
  }
}

}  // namespace ponder
