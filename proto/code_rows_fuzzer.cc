// Task files and rows of code problems: any text.

#include <cstddef>
#include <cstdint>

#include "proto/code_rows.h"
#include "proto/value_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = ponder::ParseJson(
      absl::string_view(reinterpret_cast<const char*>(data), size), "input");
  if (!json.ok()) return 0;
  ponder::TestSuiteFromJson(*json).status().IgnoreError();
  ponder::TestSuiteFromRow(*json).status().IgnoreError();
  return 0;
}
