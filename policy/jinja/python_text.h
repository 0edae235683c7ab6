// Python's `str`, on UTF-8. All texts are well-formed; positions count code
// points.

#ifndef PONDER_POLICY_JINJA_PYTHON_TEXT_H_
#define PONDER_POLICY_JINJA_PYTHON_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder::jinja {

bool IsWellFormedUtf8(absl::string_view text);

// The code point that `text` begins with, and its length in `*num_bytes`.
// REQUIRES: not empty.
uint32_t FirstCodePointOf(absl::string_view text, size_t* num_bytes);
void AppendUtf8(uint32_t code_point, std::string* text);

int64_t NumCodePoints(absl::string_view text);
std::vector<absl::string_view> CodePoints(absl::string_view text);

// str.isspace() of one character.
bool IsPythonSpace(uint32_t code_point);

// A decimal digit of any script.
bool IsDecimalDigit(uint32_t code_point);

// str.strip(), lstrip(), rstrip(). Without `characters` white space is
// stripped.
enum class Side { kLeft, kRight, kBoth };
absl::string_view Strip(absl::string_view text, Side side,
                        std::optional<absl::string_view> characters);

// INVALID_ARGUMENT for a character whose other case is several characters, or
// depends on its neighbours.
absl::StatusOr<std::string> ToUpper(absl::string_view text);
absl::StatusOr<std::string> ToLower(absl::string_view text);
// str.title() and str.capitalize().
absl::StatusOr<std::string> ToTitle(absl::string_view text);
absl::StatusOr<std::string> Capitalize(absl::string_view text);

// repr() of a str, a float.
std::string TextRepr(absl::string_view text);
std::string FloatRepr(double number);

// json.dumps() of a str.
std::string JsonText(absl::string_view text, bool ensure_ascii);

// int() and float() of a str; nothing where Python raises ValueError.
// OUT_OF_RANGE for an integer beyond 64 bits.
absl::StatusOr<std::optional<int64_t>> ParsePythonInt(absl::string_view text);
std::optional<double> ParsePythonFloat(absl::string_view text);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_PYTHON_TEXT_H_
