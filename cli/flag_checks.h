// Checks of what flags hold. CLI11's own of numbers name the largest double,
// all of its 309 digits, as the bound that a 0 does not keep.

#ifndef PONDER_CLI_FLAG_CHECKS_H_
#define PONDER_CLI_FLAG_CHECKS_H_

#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"

namespace ponder {

inline CLI::Validator PositiveNumber() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        const bool ok = CLI::detail::lexical_cast(text, value) && value > 0;
        return ok ? "" : absl::StrCat("wanted a number above 0, got ", text);
      },
      "POSITIVE");
}

inline CLI::Validator NonNegativeNumber() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        const bool ok = CLI::detail::lexical_cast(text, value) && value >= 0;
        return ok ? "" : absl::StrCat("wanted a number from 0 on, got ", text);
      },
      "NONNEGATIVE");
}

// A name or an address, then a port.
inline CLI::Validator HostAndPort() {
  return CLI::Validator(
      [](std::string& text) {
        const size_t colon = text.rfind(':');
        int port = 0;
        const bool ok =
            colon != std::string::npos && colon > 0 &&
            CLI::detail::lexical_cast(text.substr(colon + 1), port) &&
            port > 0 && port < 65536;
        return ok ? "" : absl::StrCat("wanted HOST:PORT, got ", text);
      },
      "HOST:PORT");
}

}  // namespace ponder

#endif  // PONDER_CLI_FLAG_CHECKS_H_
