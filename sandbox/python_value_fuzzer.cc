// The reader of values out of a sandbox: any bytes, and what it reads it can
// write so that it reads the same again.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "sandbox/python_value.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto value = ponder::ParseMarshal(
      absl::string_view(reinterpret_cast<const char*>(data), size));
  if (!value.ok()) return 0;
  std::string written;
  ponder::AppendMarshal(*value, &written);
  const auto again = ponder::ParseMarshal(written);
  PONDER_CHECK(again.ok());
  std::string rewritten;
  ponder::AppendMarshal(*again, &rewritten);
  PONDER_CHECK(written == rewritten);
  ponder::Describe(*value, 200);
  return 0;
}
