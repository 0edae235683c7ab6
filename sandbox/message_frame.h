// Messages in a stream of bytes: 4 bytes of length, little-endian, one byte of
// kind, the body.

#ifndef PONDER_SANDBOX_MESSAGE_FRAME_H_
#define PONDER_SANDBOX_MESSAGE_FRAME_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder {

void AppendLittleEndian32(size_t value, std::string* out);
void AppendFrame(char kind, absl::string_view body, std::string* out);

enum class FrameState {
  kWhole,     // It was taken off the front.
  kPartial,   // More bytes have to come.
  kTooLarge,  // Its length says so: nothing behind it can be read.
};

// Takes one message off the front of `received`, which anyone may have written.
FrameState TakeFrame(std::string* received, size_t max_bytes, char* kind,
                     std::string* body);

}  // namespace ponder

#endif  // PONDER_SANDBOX_MESSAGE_FRAME_H_
