#include "policy/files/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "policy/files/json.h"

namespace ponder {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
// The limit of the format's own reader, so that a broken length is noticed.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr char kMetadataKey[] = "__metadata__";

uint64_t DecodeLength(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  return value;
}

std::string EncodeLength(uint64_t value) {
  std::string bytes;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    bytes.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
  return bytes;
}

// Nothing if the shape has a negative size or the product does not fit.
std::optional<int64_t> BytesOf(const TensorInfo& tensor) {
  int64_t total = SafetensorsDtypeSize(tensor.dtype);
  for (const int64_t size : tensor.shape) {
    if (size < 0 || __builtin_mul_overflow(total, size, &total)) {
      return std::nullopt;
    }
  }
  return total;
}

std::string Describe(const TensorInfo& tensor) {
  return absl::StrCat(tensor.dtype, " [", absl::StrJoin(tensor.shape, ", "),
                      "]");
}

// The list of non-negative integers under `key`.
std::optional<std::vector<int64_t>> IntegerList(const json& object,
                                                const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const json& item : *found) {
    if (!item.is_number_unsigned()) return std::nullopt;
    const uint64_t number = item.get<uint64_t>();
    if (number > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    numbers.push_back(static_cast<int64_t>(number));
  }
  return numbers;
}

// One entry of the header; `data` is what follows the header.
absl::StatusOr<TensorInfo> ParseTensor(const std::string& name,
                                       const json& entry,
                                       absl::string_view data) {
  if (!entry.is_object()) {
    return absl::InvalidArgumentError("its entry is not an object");
  }
  TensorInfo tensor;
  tensor.name = name;
  const auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string()) {
    return absl::InvalidArgumentError("it has no \"dtype\" string");
  }
  tensor.dtype = dtype->get<std::string>();
  if (SafetensorsDtypeSize(tensor.dtype) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("its dtype \"", tensor.dtype, "\" is unknown"));
  }
  std::optional<std::vector<int64_t>> shape = IntegerList(entry, "shape");
  if (!shape.has_value()) {
    return absl::InvalidArgumentError(
        "its \"shape\" is not a list of non-negative integers");
  }
  tensor.shape = *std::move(shape);
  const std::optional<std::vector<int64_t>> offsets =
      IntegerList(entry, "data_offsets");
  if (!offsets.has_value() || offsets->size() != 2) {
    return absl::InvalidArgumentError(
        "its \"data_offsets\" are not two non-negative integers");
  }
  const int64_t begin = (*offsets)[0];
  const int64_t end = (*offsets)[1];
  if (begin > end || end > static_cast<int64_t>(data.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("its bytes ", begin, " to ", end, " are not within the ",
                     data.size(), " bytes of data; is the file truncated?"));
  }
  tensor.bytes = data.data() + begin;
  tensor.num_bytes = end - begin;
  if (BytesOf(tensor) != tensor.num_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("it has ", tensor.num_bytes,
                                                   " bytes, which is not ",
                                                   Describe(tensor)));
  }
  return tensor;
}

// Without holes and overlaps, the tensors cover `data` exactly.
absl::Status CheckCoverage(const std::vector<TensorInfo>& tensors,
                           absl::string_view data, absl::string_view where) {
  std::vector<const TensorInfo*> by_place;
  for (const TensorInfo& tensor : tensors) by_place.push_back(&tensor);
  std::sort(by_place.begin(), by_place.end(),
            [](const TensorInfo* a, const TensorInfo* b) {
              return std::tie(a->bytes, a->num_bytes) <
                     std::tie(b->bytes, b->num_bytes);
            });
  const char* expected = data.data();
  for (const TensorInfo* tensor : by_place) {
    if (tensor->bytes != expected) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": tensor \"", tensor->name, "\" begins at byte ",
          tensor->bytes - data.data(), " of the data, where ",
          expected - data.data(), " was expected: ",
          tensor->bytes < expected ? "tensors overlap" : "there is a hole"));
    }
    expected += tensor->num_bytes;
  }
  if (expected != data.data() + data.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": its tensors end at byte ", expected - data.data(),
        " of the data, which has ", data.size()));
  }
  return absl::OkStatus();
}

const TensorInfo* FindSorted(const std::vector<TensorInfo>& tensors,
                             absl::string_view name) {
  const auto found =
      std::lower_bound(tensors.begin(), tensors.end(), name,
                       [](const TensorInfo& tensor, absl::string_view wanted) {
                         return absl::string_view(tensor.name) < wanted;
                       });
  if (found == tensors.end() || found->name != name) return nullptr;
  return &*found;
}

void SortByName(std::vector<TensorInfo>& tensors) {
  std::sort(
      tensors.begin(), tensors.end(),
      [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
}

// Length and header, padded so that the data begins at a multiple of 8.
std::string EncodeHeader(const std::vector<TensorInfo>& in_order,
                         const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  int64_t offset = 0;
  for (const TensorInfo& tensor : in_order) {
    header[tensor.name] = {
        {"dtype", tensor.dtype},
        {"shape", tensor.shape},
        {"data_offsets", {offset, offset + tensor.num_bytes}}};
    offset += tensor.num_bytes;
  }
  std::string text =
      header.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                  json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return EncodeLength(text.size()) + text;
}

absl::Status CheckWritable(const std::vector<TensorInfo>& sorted,
                           const std::string& path) {
  for (size_t i = 0; i < sorted.size(); ++i) {
    const TensorInfo& tensor = sorted[i];
    const std::string who =
        absl::StrCat(path, ": tensor \"", tensor.name, "\" ");
    if (tensor.name == kMetadataKey) {
      return absl::InvalidArgumentError(
          absl::StrCat(who, "has a name that the format keeps for itself"));
    }
    if (i > 0 && sorted[i - 1].name == tensor.name) {
      return absl::InvalidArgumentError(absl::StrCat(who, "is there twice"));
    }
    if (SafetensorsDtypeSize(tensor.dtype) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(who, "has the unknown dtype \"", tensor.dtype, "\""));
    }
    if (BytesOf(tensor) != tensor.num_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(who, "has ", tensor.num_bytes, " bytes, which is not ",
                       Describe(tensor)));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteParts(const std::string& path, absl::string_view header,
                        const std::vector<TensorInfo>& in_order,
                        const std::function<bool()>& stop) {
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus("cannot create", path);
  absl::Status status = WriteAll(fd, header, path);
  for (const TensorInfo& tensor : in_order) {
    if (status.ok() && stop && stop()) {
      status = absl::CancelledError("stopped; nothing was written");
    }
    if (!status.ok()) break;
    status = WriteAll(
        fd,
        absl::string_view(tensor.bytes, static_cast<size_t>(tensor.num_bytes)),
        path);
  }
  if (status.ok() && fsync(fd) != 0) status = ErrnoStatus("cannot sync", path);
  if (close(fd) != 0 && status.ok()) {
    status = ErrnoStatus("cannot close", path);
  }
  return status;
}

}  // namespace

int64_t SafetensorsDtypeSize(absl::string_view dtype) {
  struct Dtype {
    absl::string_view name;
    int64_t size;
  };
  static constexpr std::array<Dtype, 17> kDtypes = {{{"BOOL", 1},
                                                     {"U8", 1},
                                                     {"I8", 1},
                                                     {"F8_E4M3", 1},
                                                     {"F8_E5M2", 1},
                                                     {"F8_E8M0", 1},
                                                     {"U16", 2},
                                                     {"I16", 2},
                                                     {"F16", 2},
                                                     {"BF16", 2},
                                                     {"U32", 4},
                                                     {"I32", 4},
                                                     {"F32", 4},
                                                     {"U64", 8},
                                                     {"I64", 8},
                                                     {"F64", 8},
                                                     {"C64", 8}}};
  for (const Dtype& known : kDtypes) {
    if (known.name == dtype) return known.size;
  }
  return 0;
}

absl::StatusOr<std::vector<TensorInfo>> ParseSafetensors(
    absl::string_view file, absl::string_view where) {
  if (file.size() < kLengthBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": ", file.size(),
        " bytes are too few for a safetensors file; is it truncated?"));
  }
  const uint64_t header_bytes = DecodeLength(file);
  if (header_bytes > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": its header would have ", header_bytes,
                     " bytes; this is not a safetensors file (the limit is ",
                     kMaxHeaderBytes, ")"));
  }
  if (header_bytes > file.size() - kLengthBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": its header has ", header_bytes, " bytes, the whole file ",
        file.size(), "; is it truncated?"));
  }
  const absl::string_view data = file.substr(kLengthBytes + header_bytes);
  PONDER_ASSIGN_OR_RETURN(
      const json header,
      ParseCheckpointJson(file.substr(kLengthBytes, header_bytes),
                          absl::StrCat(where, ": the safetensors header")));
  if (!header.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": the safetensors header is not an object"));
  }
  std::vector<TensorInfo> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) continue;
    absl::StatusOr<TensorInfo> tensor = ParseTensor(name, entry, data);
    if (!tensor.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": tensor \"", name, "\": ", tensor.status().message()));
    }
    tensors.push_back(*std::move(tensor));
  }
  SortByName(tensors);
  PONDER_RETURN_IF_ERROR(CheckCoverage(tensors, data, where));
  return tensors;
}

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(
    const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus("cannot open", path);
  struct stat status;
  if (fstat(fd, &status) != 0) {
    const absl::Status error = ErrnoStatus("cannot stat", path);
    close(fd);
    return error;
  }
  if (!S_ISREG(status.st_mode)) {
    close(fd);
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a file"));
  }
  const size_t size = static_cast<size_t>(status.st_size);
  // An empty file cannot be mapped; parsing no bytes gives the error.
  void* const map =
      size > 0 ? mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)
               : nullptr;
  const absl::Status map_error =
      map == MAP_FAILED ? ErrnoStatus("cannot map", path) : absl::OkStatus();
  close(fd);
  PONDER_RETURN_IF_ERROR(map_error);
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile(map, size));
  PONDER_ASSIGN_OR_RETURN(
      file->tensors_,
      ParseSafetensors(absl::string_view(static_cast<char*>(map), size), path));
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  if (map_ != nullptr) munmap(map_, size_);
}

const TensorInfo* SafetensorsFile::Find(absl::string_view name) const {
  return FindSorted(tensors_, name);
}

absl::StatusOr<std::unique_ptr<SafetensorsFolder>> SafetensorsFolder::Open(
    const std::string& folder) {
  std::unique_ptr<SafetensorsFolder> result(new SafetensorsFolder);
  const std::string single = absl::StrCat(folder, "/model.safetensors");
  const std::string index_path = absl::StrCat(single, ".index.json");
  if (std::error_code error; std::filesystem::exists(single, error)) {
    PONDER_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file,
                            SafetensorsFile::Open(single));
    result->tensors_ = file->tensors();
    result->files_.push_back(std::move(file));
    return result;
  }
  absl::StatusOr<std::string> index_text = ReadFile(index_path);
  if (absl::IsNotFound(index_text.status())) {
    return absl::NotFoundError(
        absl::StrCat(folder,
                     ": has neither model.safetensors nor "
                     "model.safetensors.index.json"));
  }
  PONDER_RETURN_IF_ERROR(index_text.status());
  PONDER_ASSIGN_OR_RETURN(const json index,
                          ParseCheckpointJson(*index_text, index_path));
  const auto weight_map =
      index.is_object() ? index.find("weight_map") : index.end();
  if (weight_map == index.end() || !weight_map->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(index_path, ": has no \"weight_map\" object"));
  }
  std::map<std::string, const SafetensorsFile*> shards;
  for (const auto& [name, shard_value] : weight_map->items()) {
    if (!shard_value.is_string() ||
        absl::StrContains(shard_value.get_ref<const std::string&>(), "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat(index_path, ": weight_map: \"", name,
                       "\" is not given a file of this folder"));
    }
    const auto& shard = shard_value.get_ref<const std::string&>();
    const SafetensorsFile*& file = shards[shard];
    if (file == nullptr) {
      absl::StatusOr<std::unique_ptr<SafetensorsFile>> opened =
          SafetensorsFile::Open(absl::StrCat(folder, "/", shard));
      if (absl::IsNotFound(opened.status())) {
        return absl::NotFoundError(absl::StrCat(
            folder, ": the shard ", shard, " that ", index_path,
            " names (for \"", name, "\") is missing; is the copy complete?"));
      }
      PONDER_RETURN_IF_ERROR(opened.status());
      file = opened->get();
      result->files_.push_back(*std::move(opened));
    }
    const TensorInfo* const tensor = file->Find(name);
    if (tensor == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, "/", shard, ": lacks the tensor \"", name,
                       "\" that ", index_path, " promises"));
    }
    result->tensors_.push_back(*tensor);
  }
  SortByName(result->tensors_);
  return result;
}

const TensorInfo* SafetensorsFolder::Find(absl::string_view name) const {
  return FindSorted(tensors_, name);
}

absl::Status WriteSafetensors(
    const std::string& path, std::vector<TensorInfo> tensors,
    const std::map<std::string, std::string>& metadata,
    const std::function<bool()>& stop) {
  SortByName(tensors);
  PONDER_RETURN_IF_ERROR(CheckWritable(tensors, path));
  // Wide elements first: then each tensor is aligned to its elements.
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const TensorInfo& a, const TensorInfo& b) {
                     return SafetensorsDtypeSize(a.dtype) >
                            SafetensorsDtypeSize(b.dtype);
                   });
  const std::string temporary = absl::StrCat(path, ".tmp-", getpid());
  absl::Status status =
      WriteParts(temporary, EncodeHeader(tensors, metadata), tensors, stop);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus("cannot rename into place", path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return SyncPath(parent.empty() ? "." : parent);
}

}  // namespace ponder
