// The reader of messages out of a sandbox: any bytes, in any pieces.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "sandbox/message_frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMost = 1000;
  if (size == 0) return 0;
  const size_t piece = data[0] % 16 + 1;
  std::string received;
  std::string taken;
  for (size_t begin = 1; begin < size; begin += piece) {
    received.append(reinterpret_cast<const char*>(data) + begin,
                    std::min(piece, size - begin));
    char kind;
    std::string body;
    ponder::FrameState state;
    while ((state = ponder::TakeFrame(&received, kMost, &kind, &body)) ==
           ponder::FrameState::kWhole) {
      PONDER_CHECK(body.size() <= kMost);
      ponder::AppendFrame(kind, body, &taken);
    }
    if (state == ponder::FrameState::kTooLarge) return 0;
  }
  // Nothing is lost and nothing is made up.
  taken += received;
  PONDER_CHECK(taken ==
               std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
