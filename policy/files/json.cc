#include "policy/files/json.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 100;

// Reads a text without making a value of it, up to the first thing that is
// wrong. json::parse() with a callback would do both at once, but looks through
// all of an object's members again each time that one of them ends: minutes for
// the header of 100,000 tensors.
class Checker final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool start_array(size_t) override { return Open(); }
  bool end_array() override { return Close(); }

  bool key(string_t& key) override {
    if (open_.back().insert(key).second) return true;
    error_ = absl::StrCat("the key \"", key, "\" is there twice");
    return false;
  }

  bool parse_error(size_t, const std::string&,
                   const json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    absl::string_view reason = error.what();
    const size_t end_of_tag = reason.find("] ");
    if (end_of_tag != absl::string_view::npos) {
      reason.remove_prefix(end_of_tag + 2);
    }
    error_ = std::string(reason);
    return false;
  }

  const std::string& error() const { return error_; }

 private:
  bool Open() {
    open_.emplace_back();
    if (open_.size() <= kMaxDepth) return true;
    error_ = absl::StrCat("is nested deeper than ", kMaxDepth);
    return false;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  // Keys so far of each open object; none of an array.
  std::vector<absl::flat_hash_set<std::string>> open_;
  std::string error_;
};

}  // namespace

absl::StatusOr<json> ParseCheckpointJson(absl::string_view text,
                                         absl::string_view where) {
  Checker checker;
  if (!json::sax_parse(text.begin(), text.end(), &checker)) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": ", checker.error()));
  }
  return json::parse(text.begin(), text.end(), /*cb=*/nullptr,
                     /*allow_exceptions=*/false);
}

}  // namespace ponder
