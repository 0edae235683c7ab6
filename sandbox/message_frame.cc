#include "sandbox/message_frame.h"

#include <cstdint>

namespace ponder {
namespace {

constexpr size_t kHeaderBytes = 5;

uint32_t LittleEndian32(const std::string& bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

}  // namespace

void AppendLittleEndian32(size_t value, std::string* out) {
  for (int i = 0; i < 4; ++i) out->push_back(static_cast<char>(value >> 8 * i));
}

void AppendFrame(char kind, absl::string_view body, std::string* out) {
  AppendLittleEndian32(body.size(), out);
  out->push_back(kind);
  out->append(body.data(), body.size());
}

FrameState TakeFrame(std::string* received, size_t max_bytes, char* kind,
                     std::string* body) {
  if (received->size() < kHeaderBytes) return FrameState::kPartial;
  const size_t size = LittleEndian32(*received);
  if (size > max_bytes) return FrameState::kTooLarge;
  if (received->size() < kHeaderBytes + size) return FrameState::kPartial;
  *kind = (*received)[4];
  body->assign(*received, kHeaderBytes, size);
  received->erase(0, kHeaderBytes + size);
  return FrameState::kWhole;
}

}  // namespace ponder
