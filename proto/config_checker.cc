#include "proto/config_checker.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

bool IsPlainName(const std::string& name) {
  if (name.empty() || name == "." || name == "..") return false;
  for (const char c : name) {
    if (c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string JoinPath(const std::string& path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

std::string Element(absl::string_view name, int index) {
  return absl::StrCat(name, "[", index, "]");
}

void ConfigChecker::Fail(const std::string& path, absl::string_view name,
                         const std::string& value, const std::string& rule) {
  if (problem_.has_value()) return;
  problem_ = ConfigProblem{JoinPath(path, name), value, rule};
}

void ConfigChecker::Require(bool met, const std::string& path,
                            absl::string_view name, const std::string& value,
                            const std::string& rule) {
  if (!met) Fail(path, name, value, rule);
}

void ConfigChecker::AtLeast(const std::string& path, absl::string_view name,
                            double value, double least, absl::string_view why) {
  // Not(value >= least) also catches NaN.
  Require(value >= least && std::isfinite(value), path, name,
          absl::StrCat(value), absl::StrCat("wanted at least ", least, why));
}

void ConfigChecker::Above(const std::string& path, absl::string_view name,
                          double value, double bound) {
  Require(value > bound && std::isfinite(value), path, name,
          absl::StrCat(value), absl::StrCat("wanted more than ", bound));
}

void ConfigChecker::Within(const std::string& path, absl::string_view name,
                           double value, double low, double high) {
  Require(value >= low && value <= high, path, name, absl::StrCat(value),
          absl::StrCat("wanted ", low, " to ", high));
}

void ConfigChecker::Plain(const std::string& path, absl::string_view name,
                          const std::string& value) {
  Require(IsPlainName(value), path, name, absl::StrCat("\"", value, "\""),
          "wanted a plain name without \"/\"");
}

void ConfigChecker::Given(const std::string& path, absl::string_view name,
                          const std::string& value, absl::string_view what) {
  Require(!value.empty(), path, name, "missing", absl::StrCat("wanted ", what));
}

}  // namespace ponder
