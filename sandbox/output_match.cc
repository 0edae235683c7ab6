#include "sandbox/output_match.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

// Takes the next line off `rest`.
absl::string_view NextLine(absl::string_view* rest) {
  const size_t end = std::min(rest->find('\n'), rest->size());
  const absl::string_view line = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return absl::StripTrailingAsciiWhitespace(line);
}

// Takes the next word off `rest`; empty at the end.
absl::string_view NextWord(absl::string_view* rest) {
  *rest = absl::StripLeadingAsciiWhitespace(*rest);
  size_t size = 0;
  while (size < rest->size() &&
         !absl::ascii_isspace(static_cast<unsigned char>((*rest)[size]))) {
    ++size;
  }
  const absl::string_view word = rest->substr(0, size);
  rest->remove_prefix(size);
  return word;
}

bool IsInteger(absl::string_view word) {
  if (absl::StartsWith(word, "-") || absl::StartsWith(word, "+")) {
    word.remove_prefix(1);
  }
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
}

bool WordsMatch(absl::string_view expected, absl::string_view got,
                double tolerance) {
  if (expected == got) return true;
  // Integers are exact also where floats may be near.
  if (IsInteger(expected) && IsInteger(got)) {
    int64_t a, b;
    return absl::SimpleAtoi(expected, &a) && absl::SimpleAtoi(got, &b) &&
           a == b;
  }
  double a;
  double b;
  // Longer words are no numbers that anyone prints.
  if (got.size() > 400 || !absl::SimpleAtod(expected, &a) ||
      !absl::SimpleAtod(got, &b)) {
    return false;
  }
  if (!std::isfinite(a) || !std::isfinite(b)) return false;
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(a));
}

bool LinesMatch(absl::string_view expected, absl::string_view got,
                double tolerance) {
  while (true) {
    const absl::string_view a = NextWord(&expected);
    const absl::string_view b = NextWord(&got);
    if (a.empty() || b.empty()) return a.empty() && b.empty();
    if (!WordsMatch(a, b, tolerance)) return false;
  }
}

}  // namespace

absl::StatusOr<std::optional<double>> ParseChecker(absl::string_view checker) {
  if (checker.empty()) return std::optional<double>();
  absl::string_view rest = checker;
  const absl::string_view name = NextWord(&rest);
  const absl::string_view number = NextWord(&rest);
  double tolerance;
  if (name == "float" && NextWord(&rest).empty() &&
      absl::SimpleAtod(number, &tolerance) && tolerance >= 0 && tolerance < 1) {
    return std::optional<double>(tolerance);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("tests.checker: got \"", checker,
                   "\", wanted nothing or \"float T\" with 0 <= T < 1"));
}

bool OutputMatches(absl::string_view expected, absl::string_view got,
                   std::optional<double> tolerance) {
  expected = absl::StripTrailingAsciiWhitespace(expected);
  got = absl::StripTrailingAsciiWhitespace(got);
  while (!expected.empty() || !got.empty()) {
    if (expected.empty() || got.empty()) return false;
    const absl::string_view a = NextLine(&expected);
    const absl::string_view b = NextLine(&got);
    if (tolerance.has_value() ? !LinesMatch(a, b, *tolerance) : a != b) {
      return false;
    }
  }
  return true;
}

}  // namespace ponder
