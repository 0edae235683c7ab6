#include "cli/policy_folder.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rl/run_folder.h"

namespace ponder {
namespace {

bool Exists(const std::string& folder, const char* name) {
  std::error_code error;
  return std::filesystem::exists(absl::StrCat(folder, "/", name), error);
}

}  // namespace

absl::StatusOr<std::string> FindPolicyFolder(const std::string& path) {
  if (Exists(path, "config.json")) {
    if (Exists(path, "MANIFEST")) PONDER_RETURN_IF_ERROR(CheckManifest(path));
    return path;
  }
  if (!Exists(path, "config.textproto")) {
    return absl::NotFoundError(absl::StrCat(
        path,
        ": is neither a policy (a Hugging Face folder with config.json) nor a "
        "run (a folder with config.textproto)"));
  }
  const std::string exported = absl::StrCat(path, "/export");
  if (Exists(exported, "config.json")) return exported;
  PONDER_ASSIGN_OR_RETURN(const RunFolder run, RunFolder::Open(path));
  const absl::StatusOr<RunCheckpoint> newest = run.NewestCheckpoint();
  if (absl::IsNotFound(newest.status())) {
    return absl::NotFoundError(
        absl::StrCat(path, ": this run has no complete checkpoint yet"));
  }
  PONDER_RETURN_IF_ERROR(newest.status());
  return newest->folder;
}

}  // namespace ponder
