#include "policy/gguf/gguf_writer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;

// Types of values.
constexpr uint32_t kUint32 = 4;
constexpr uint32_t kInt32 = 5;
constexpr uint32_t kFloat32 = 6;
constexpr uint32_t kBool = 7;
constexpr uint32_t kString = 8;
constexpr uint32_t kArray = 9;

template <typename T>
void Append(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendString(absl::string_view text, std::string* out) {
  Append<uint64_t>(text.size(), out);
  out->append(text.data(), text.size());
}

uint64_t Padded(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t Rows(const GgufTensor& tensor) {
  int64_t rows = 1;
  for (size_t k = 0; k + 1 < tensor.shape.size(); ++k) rows *= tensor.shape[k];
  return rows;
}

uint64_t TensorBytes(const GgufTensor& tensor) {
  return static_cast<uint64_t>(Rows(tensor) *
                               GgmlRowBytes(tensor.type, tensor.shape.back()));
}

absl::Status CheckRow(const GgufTensor& tensor, absl::Span<const float> row) {
  constexpr float kLargestHalf = 65504;
  for (const float number : row) {
    if (!std::isfinite(number)) {
      return absl::OutOfRangeError(absl::StrCat(
          "tensor ", tensor.name, " holds a number that is not finite"));
    }
    if (tensor.type != GgmlType::kF32 && tensor.type != GgmlType::kBf16 &&
        std::abs(number) > kLargestHalf) {
      return absl::OutOfRangeError(absl::StrCat(
          "tensor ", tensor.name, " holds ", number, ", which ",
          GgmlTypeName(tensor.type), " cannot; take --type bf16 or f32"));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteTensor(const GgufTensor& tensor, int fd,
                         const std::string& path) {
  constexpr size_t kBufferBytes = size_t{1} << 20;
  std::vector<float> row(static_cast<size_t>(tensor.shape.back()));
  std::string buffer;
  for (int64_t r = 0; r < Rows(tensor); ++r) {
    tensor.read_row(r, absl::MakeSpan(row));
    PONDER_RETURN_IF_ERROR(CheckRow(tensor, row));
    AppendGgmlRow(tensor.type, row, &buffer);
    if (buffer.size() >= kBufferBytes) {
      PONDER_RETURN_IF_ERROR(WriteAll(fd, buffer, path));
      buffer.clear();
    }
  }
  const uint64_t bytes = TensorBytes(tensor);
  buffer.append(Padded(bytes) - bytes, '\0');
  return WriteAll(fd, buffer, path);
}

}  // namespace

void GgufWriter::Add(absl::string_view key, uint32_t value) {
  AppendString(key, &keys_);
  Append(kUint32, &keys_);
  Append(value, &keys_);
  ++num_keys_;
}

void GgufWriter::Add(absl::string_view key, float value) {
  AppendString(key, &keys_);
  Append(kFloat32, &keys_);
  Append(value, &keys_);
  ++num_keys_;
}

void GgufWriter::Add(absl::string_view key, bool value) {
  AppendString(key, &keys_);
  Append(kBool, &keys_);
  keys_.push_back(value ? 1 : 0);
  ++num_keys_;
}

void GgufWriter::Add(absl::string_view key, absl::string_view value) {
  AppendString(key, &keys_);
  Append(kString, &keys_);
  AppendString(value, &keys_);
  ++num_keys_;
}

void GgufWriter::Add(absl::string_view key,
                     const std::vector<std::string>& values) {
  AppendString(key, &keys_);
  Append(kArray, &keys_);
  Append(kString, &keys_);
  Append<uint64_t>(values.size(), &keys_);
  for (const std::string& value : values) AppendString(value, &keys_);
  ++num_keys_;
}

template <typename T>
void GgufWriter::AddArray(absl::string_view key, uint32_t type,
                          const std::vector<T>& values) {
  AppendString(key, &keys_);
  Append(kArray, &keys_);
  Append(type, &keys_);
  Append<uint64_t>(values.size(), &keys_);
  for (const T value : values) Append(value, &keys_);
  ++num_keys_;
}

void GgufWriter::Add(absl::string_view key,
                     const std::vector<int32_t>& values) {
  AddArray(key, kInt32, values);
}

void GgufWriter::Add(absl::string_view key, const std::vector<float>& values) {
  AddArray(key, kFloat32, values);
}

std::string GgufWriter::Header() const {
  std::string header = "GGUF";
  Append(kVersion, &header);
  Append<uint64_t>(tensors_.size(), &header);
  Append(num_keys_, &header);
  header += keys_;
  uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors_) {
    AppendString(tensor.name, &header);
    Append<uint32_t>(static_cast<uint32_t>(tensor.shape.size()), &header);
    for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) {
      Append<uint64_t>(static_cast<uint64_t>(*dim), &header);
    }
    Append(static_cast<uint32_t>(tensor.type), &header);
    Append(offset, &header);
    offset += Padded(TensorBytes(tensor));
  }
  header.append(Padded(header.size()) - header.size(), '\0');
  return header;
}

int64_t GgufWriter::FileBytes() const {
  uint64_t bytes = Header().size();
  for (const GgufTensor& tensor : tensors_) {
    bytes += Padded(TensorBytes(tensor));
  }
  return static_cast<int64_t>(bytes);
}

absl::Status GgufWriter::Write(const std::string& path,
                               const std::function<bool()>& stop) const {
  if (access(path.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, ": is there already; give another --out"));
  }
  // Without a name where the file system can do that: then nothing is left of
  // it when the process is killed.
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string temporary;
  int fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
  if (fd < 0) {
    temporary = absl::StrCat(path, ".XXXXXX");
    fd = mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) return ErrnoStatus("create", temporary);
    if (fchmod(fd, 0644) != 0) return ErrnoStatus("set the mode of", temporary);
  }
  auto remove = absl::MakeCleanup([&] {
    close(fd);
    if (!temporary.empty()) unlink(temporary.c_str());
  });
  PONDER_RETURN_IF_ERROR(WriteAll(fd, Header(), path));
  for (const GgufTensor& tensor : tensors_) {
    if (stop && stop()) {
      return absl::CancelledError("stopped; nothing was written");
    }
    PONDER_RETURN_IF_ERROR(WriteTensor(tensor, fd, path));
  }
  if (fsync(fd) != 0) return ErrnoStatus("sync", path);
  if (temporary.empty()) {
    const std::string nameless = absl::StrCat("/proc/self/fd/", fd);
    if (linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, path.c_str(),
               AT_SYMLINK_FOLLOW) != 0) {
      return ErrnoStatus("give the file its name", path);
    }
    return absl::OkStatus();
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoStatus("rename to", path);
  }
  temporary.clear();
  return absl::OkStatus();
}

}  // namespace ponder
