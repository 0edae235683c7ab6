// What the checks of a configuration share.

#ifndef PONDER_PROTO_CONFIG_CHECKER_H_
#define PONDER_PROTO_CONFIG_CHECKER_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "proto/config_check.h"

namespace ponder {

// "a.b", or `name` alone where there is no path.
std::string JoinPath(const std::string& path, absl::string_view name);

// "name[2]".
std::string Element(absl::string_view name, int index);

// Collects the first problem; each method checks one field of the message that
// stands at `path`.
class ConfigChecker {
 public:
  const std::optional<ConfigProblem>& problem() const { return problem_; }

  void Fail(const std::string& path, absl::string_view name,
            const std::string& value, const std::string& rule);
  void Require(bool met, const std::string& path, absl::string_view name,
               const std::string& value, const std::string& rule);
  // Numbers; NaN and infinity are never met. `why` follows the bound.
  void AtLeast(const std::string& path, absl::string_view name, double value,
               double least, absl::string_view why = "");
  void Above(const std::string& path, absl::string_view name, double value,
             double bound);
  void Within(const std::string& path, absl::string_view name, double value,
              double low, double high);
  // A name that may be one of a file.
  void Plain(const std::string& path, absl::string_view name,
             const std::string& value);
  // Not empty; `what` is wanted otherwise.
  void Given(const std::string& path, absl::string_view name,
             const std::string& value, absl::string_view what);

 private:
  std::optional<ConfigProblem> problem_;
};

// The policy of the run, or of a stage.
void CheckPolicy(const std::string& path, const PolicyConfig& policy,
                 const RunConfig& config, ConfigChecker& check);

// All of config.stage().
void CheckStages(const RunConfig& config, ConfigChecker& check);

}  // namespace ponder

#endif  // PONDER_PROTO_CONFIG_CHECKER_H_
