// Reads an event file back, checking both checksums of every record.

#ifndef PONDER_MONITOR_EVENT_READER_FOR_TEST_H_
#define PONDER_MONITOR_EVENT_READER_FOR_TEST_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "proto/event.pb.h"

namespace ponder {

inline uint32_t MaskForTest(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

inline std::vector<tensorboard::Event> ReadEvents(const std::string& path) {
  std::vector<tensorboard::Event> events;
  const auto content = ReadFile(path);
  EXPECT_TRUE(content.ok()) << content.status();
  if (!content.ok()) return events;
  const absl::string_view bytes = *content;
  size_t at = 0;
  while (at + 16 <= bytes.size()) {
    uint64_t length;
    uint32_t length_crc, crc;
    std::memcpy(&length, bytes.data() + at, 8);
    std::memcpy(&length_crc, bytes.data() + at + 8, 4);
    EXPECT_EQ(length_crc, MaskForTest(Crc32c(bytes.substr(at, 8))));
    const absl::string_view payload = bytes.substr(at + 12, length);
    EXPECT_EQ(payload.size(), length);
    std::memcpy(&crc, bytes.data() + at + 12 + length, 4);
    EXPECT_EQ(crc, MaskForTest(Crc32c(payload)));
    tensorboard::Event event;
    EXPECT_TRUE(
        event.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
    events.push_back(event);
    at += 16 + length;
  }
  EXPECT_EQ(at, bytes.size());
  return events;
}

}  // namespace ponder

#endif  // PONDER_MONITOR_EVENT_READER_FOR_TEST_H_
