// For libFuzzer targets: edits of a valid JSON file, chosen by the fuzzer's
// bytes. So most inputs get past the syntax and break one thing or a few.

#ifndef PONDER_POLICY_FILES_MUTATED_JSON_H_
#define PONDER_POLICY_FILES_MUTATED_JSON_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>

#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace ponder {

// Values that readers get wrong.
inline nlohmann::json OddJson(uint8_t choice) {
  using nlohmann::json;
  static const json& values = *new json({nullptr,
                                         true,
                                         false,
                                         -1,
                                         0,
                                         1,
                                         2,
                                         3,
                                         255,
                                         65536,
                                         1 << 24,
                                         std::numeric_limits<int32_t>::max(),
                                         int64_t{1} << 31,
                                         int64_t{1} << 32,
                                         int64_t{1} << 53,
                                         std::numeric_limits<int64_t>::max(),
                                         std::numeric_limits<int64_t>::min(),
                                         std::numeric_limits<uint64_t>::max(),
                                         0.5,
                                         -0.0,
                                         1e-300,
                                         1e300,
                                         "",
                                         "x",
                                         " ",
                                         "0",
                                         "a b",
                                         std::string(1, '\0'),
                                         "\u00e9",
                                         "(a+)+$",
                                         "(?<=a*)b",
                                         "\\p{L}",
                                         std::string(300, 'a'),
                                         json::array(),
                                         json::object(),
                                         json::array({1, 2}),
                                         json::array({json::array()}),
                                         json::object({{"type", "Sequence"}}),
                                         json::object({{"", 1}})});
  return values[choice % values.size()];
}

// `seed` with the edits that `data` stands for: each walks down some members
// and there replaces, removes, copies or adds a value.
inline nlohmann::json MutatedJson(nlohmann::json seed,
                                  absl::Span<const uint8_t> data) {
  using nlohmann::json;
  const auto next = [&]() -> uint8_t {
    if (data.empty()) return 0;
    const uint8_t byte = data[0];
    data.remove_prefix(1);
    return byte;
  };
  while (!data.empty()) {
    json* at = &seed;
    json* parent = nullptr;
    json::iterator place;
    while (at->is_structured() && !at->empty()) {
      // Two bytes: a vocabulary has more than 256 members.
      const size_t choice = next() * size_t{256} + next();
      const size_t index = choice % (at->size() + 1);
      if (index == at->size()) break;
      parent = at;
      place = std::next(at->begin(), static_cast<std::ptrdiff_t>(index));
      at = &*place;
    }
    const uint8_t edit = next();
    const uint8_t value = next();
    switch (edit % 4) {
      case 0:
        *at = OddJson(value);
        break;
      case 1:
        if (parent != nullptr) parent->erase(place);
        break;
      case 2: {
        const json copy = *at;
        if (parent != nullptr && parent->is_array()) parent->push_back(copy);
        break;
      }
      case 3:
        if (at->is_object()) {
          (*at)[OddJson(edit / 4).dump()] = OddJson(value);
        } else if (at->is_array()) {
          at->push_back(OddJson(value));
        }
        break;
    }
  }
  return seed;
}

}  // namespace ponder

#endif  // PONDER_POLICY_FILES_MUTATED_JSON_H_
