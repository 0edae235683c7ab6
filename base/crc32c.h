// CRC-32C (Castagnoli): polynomial 0x1EDC6F41, reflected, initial value and
// final xor 0xFFFFFFFF. "123456789" gives 0xE3069283.

#ifndef PONDER_BASE_CRC32C_H_
#define PONDER_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace ponder {

// Checksum of the bytes that gave `crc` followed by `size` bytes at `bytes`;
// start with crc = 0. Thread-safe.
uint32_t ExtendCrc32c(uint32_t crc, const void* bytes, size_t size);

inline uint32_t Crc32c(absl::string_view bytes) {
  return ExtendCrc32c(0, bytes.data(), bytes.size());
}

}  // namespace ponder

#endif  // PONDER_BASE_CRC32C_H_
