#include "rl/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "policy/files/safetensors.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

constexpr char kManifest[] = "MANIFEST";
constexpr char kStateFile[] = "trainer_state/state.json";
constexpr char kWeightsFile[] = "model.safetensors";

// Reads in pieces: checkpoints may be larger than memory.
absl::StatusOr<uint32_t> FileCrc32c(const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return ErrnoStatus("cannot open", path);
  std::vector<char> buffer(1 << 20);
  uint32_t crc = 0;
  size_t got;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) {
    crc = ExtendCrc32c(crc, buffer.data(), got);
  }
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) return ErrnoStatus("cannot read", path);
  return crc;
}

absl::Status WriteManifest(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) {
      names.insert(fs::relative(entry.path(), folder).string());
    }
  }
  std::string text;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(folder, "/", name);
    PONDER_ASSIGN_OR_RETURN(const uint32_t crc, FileCrc32c(path));
    absl::StrAppendFormat(&text, "%08x  %d  %s\n", crc, fs::file_size(path),
                          name);
  }
  return WriteFileAtomically(absl::StrCat(folder, "/", kManifest), text);
}

absl::Status RemoveFolder(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (!error) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(path, ": cannot be removed: ", error.message()));
}

// step_N folders by N.
std::map<int64_t, std::string> StepFolders(const std::string& checkpoints) {
  std::map<int64_t, std::string> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(checkpoints, error)) {
    const std::string name = entry.path().filename().string();
    absl::string_view number = name;
    int64_t step;
    if (absl::ConsumePrefix(&number, "step_") &&
        absl::SimpleAtoi(number, &step)) {
      folders[step] = entry.path().string();
    }
  }
  return folders;
}

// Whether a run's folder is that of a run that failed before its first step, as
// one does whose data cannot be read.
bool NeverBegan(const std::string& path) {
  std::error_code error;
  const std::string metrics = absl::StrCat(path, "/metrics.jsonl");
  const bool measured =
      fs::exists(metrics, error) && fs::file_size(metrics, error) > 0;
  return !measured &&
         fs::exists(absl::StrCat(path, "/config.textproto"), error) &&
         StepFolders(absl::StrCat(path, "/checkpoints")).empty();
}

}  // namespace

absl::Status CheckManifest(const std::string& folder) {
  PONDER_ASSIGN_OR_RETURN(const std::string text,
                          ReadFile(absl::StrCat(folder, "/", kManifest)));
  std::set<std::string> listed;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, "  ");
    uint32_t crc;
    int64_t size;
    if (parts.size() != 3 || !absl::SimpleHexAtoi(parts[0], &crc) ||
        !absl::SimpleAtoi(parts[1], &size)) {
      return absl::DataLossError(
          absl::StrCat(folder, "/", kManifest, ": broken line: ", line));
    }
    const std::string path = absl::StrCat(folder, "/", parts[2]);
    std::error_code error;
    const auto actual = fs::file_size(path, error);
    if (error || static_cast<int64_t>(actual) != size) {
      return absl::DataLossError(
          absl::StrCat(path, ": has ", error ? 0 : actual,
                       " bytes, the manifest says ", size));
    }
    PONDER_ASSIGN_OR_RETURN(const uint32_t actual_crc, FileCrc32c(path));
    if (actual_crc != crc) {
      return absl::DataLossError(
          absl::StrCat(path, ": its checksum is not the manifest's"));
    }
    listed.insert(parts[2]);
  }
  // A manifest that lost lines would vouch for too little.
  for (const char* name : {kWeightsFile, kStateFile}) {
    if (listed.contains(name)) continue;
    return absl::DataLossError(
        absl::StrCat(folder, "/", kManifest, ": does not list ", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<RunFolder> RunFolder::Create(const std::string& path) {
  RunFolder folder(path);
  std::error_code error;
  if (fs::exists(path, error)) {
    PONDER_RETURN_IF_ERROR(folder.Lock());
    if (!NeverBegan(path)) {
      return absl::AlreadyExistsError(
          absl::StrCat(path, ": this run exists; go on with it by `--resume ",
                       path, "`, or give another name with `--set name=NAME`"));
    }
    for (const char* part :
         {"checkpoints", "samples", "logs", "data", "manifests"}) {
      PONDER_RETURN_IF_ERROR(RemoveFolder(absl::StrCat(path, "/", part)));
    }
  }
  for (const char* part :
       {"", "/checkpoints", "/samples", "/logs", "/data", "/manifests"}) {
    PONDER_RETURN_IF_ERROR(MakeFolders(absl::StrCat(path, part)));
  }
  if (folder.lock_ == nullptr) PONDER_RETURN_IF_ERROR(folder.Lock());
  return folder;
}

absl::Status RunFolder::Lock() {
  absl::StatusOr<std::unique_ptr<FolderLock>> lock = FolderLock::Take(path_);
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(
        absl::StrCat(path_,
                     ": another process runs this run; wait for its "
                     "end, or stop it"));
  }
  PONDER_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  return absl::OkStatus();
}

absl::StatusOr<RunFolder> RunFolder::Open(const std::string& path) {
  std::error_code error;
  if (!fs::exists(absl::StrCat(path, "/config.textproto"), error)) {
    return absl::NotFoundError(
        absl::StrCat(path, ": is no run; a run's folder has config.textproto"));
  }
  return RunFolder(path);
}

absl::StatusOr<std::string> RunFolder::SaveCheckpoint(
    int64_t step, const PolicyFiles& files, const TensorMap& weights,
    const TensorMap& optimizer, const nlohmann::ordered_json& state) const {
  const std::string folder = absl::StrCat(path_, "/checkpoints/step_", step);
  PONDER_ASSIGN_OR_RETURN(FolderWriter writer, FolderWriter::Replace(folder));
  PONDER_RETURN_IF_ERROR(
      WriteCheckpoint(writer.folder(), files, weights, at::kFloat));
  const std::string trainer_state =
      absl::StrCat(writer.folder(), "/trainer_state");
  PONDER_RETURN_IF_ERROR(MakeFolders(trainer_state));
  PONDER_RETURN_IF_ERROR(WriteFileAtomically(
      absl::StrCat(writer.folder(), "/", kStateFile), state.dump(2) + "\n"));
  if (!optimizer.empty()) {
    std::vector<TensorInfo> tensors;
    TensorMap on_cpu;  // Owns the bytes until they are written.
    for (const auto& [name, moment] : optimizer) {
      const at::Tensor& tensor = on_cpu[name] = moment.to(at::kCPU);
      TensorInfo info;
      info.name = name;
      info.dtype = "F32";
      info.shape = tensor.sizes().vec();
      info.bytes = static_cast<const char*>(tensor.const_data_ptr());
      info.num_bytes = static_cast<int64_t>(tensor.nbytes());
      tensors.push_back(std::move(info));
    }
    PONDER_RETURN_IF_ERROR(
        WriteSafetensors(absl::StrCat(trainer_state, "/optimizer.safetensors"),
                         std::move(tensors)));
  }
  PONDER_RETURN_IF_ERROR(WriteManifest(writer.folder()));
  PONDER_RETURN_IF_ERROR(writer.Commit());
  return folder;
}

absl::StatusOr<RunCheckpoint> RunFolder::NewestCheckpoint() const {
  const auto folders = StepFolders(absl::StrCat(path_, "/checkpoints"));
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) {
    if (!CheckManifest(it->second).ok()) continue;
    RunCheckpoint checkpoint;
    checkpoint.step = it->first;
    checkpoint.folder = it->second;
    PONDER_ASSIGN_OR_RETURN(
        const std::string text,
        ReadFile(absl::StrCat(it->second, "/", kStateFile)));
    checkpoint.state = nlohmann::ordered_json::parse(
        text, nullptr, /*allow_exceptions=*/false);
    if (checkpoint.state.is_object()) return checkpoint;
  }
  return absl::NotFoundError(
      absl::StrCat(path_, ": has no complete checkpoint to go on from"));
}

absl::Status RunFolder::RemoveOldCheckpoints(
    int keep_last, const std::vector<std::string>& keep) const {
  const auto folders = StepFolders(absl::StrCat(path_, "/checkpoints"));
  int newer = 0;
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) {
    if (std::count(keep.begin(), keep.end(), it->second) > 0) continue;
    if (++newer <= keep_last) continue;
    PONDER_RETURN_IF_ERROR(RemoveFolder(it->second));
  }
  // What a trainer that was killed while it wrote has left.
  std::vector<std::string> unfinished;
  std::error_code error;
  for (const auto& entry :
       fs::directory_iterator(absl::StrCat(path_, "/checkpoints"), error)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, "step_") && absl::StrContains(name, ".tmp-")) {
      unfinished.push_back(entry.path().string());
    }
  }
  for (const std::string& folder : unfinished) {
    PONDER_RETURN_IF_ERROR(RemoveFolder(folder));
  }
  return absl::OkStatus();
}

}  // namespace ponder
