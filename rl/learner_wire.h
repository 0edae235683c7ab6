// What process 0 tells the other learner processes, as bytes. All processes are
// the same program on the same machine.

#ifndef PONDER_RL_LEARNER_WIRE_H_
#define PONDER_RL_LEARNER_WIRE_H_

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "rl/learner.h"

namespace ponder {

// Writes values behind each other, or reads them back in the same order.
class WireWriter {
 public:
  template <typename T>
  void operator()(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  template <typename T>
  void operator()(const std::vector<T>& values) {
    (*this)(values.size());
    for (const T& value : values) (*this)(value);
  }
  void operator()(const std::string& text) {
    (*this)(text.size());
    bytes_ += text;
  }
  void operator()(const TrainSequence& sequence);

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class WireReader {
 public:
  explicit WireReader(absl::string_view bytes) : rest_(bytes) {}

  template <typename T>
  void operator()(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const absl::string_view bytes = Take(sizeof(T));
    std::memcpy(&value, bytes.data(), sizeof(T));
  }
  template <typename T>
  void operator()(std::vector<T>& values) {
    size_t size;
    (*this)(size);
    values.resize(size);
    for (T& value : values) (*this)(value);
  }
  void operator()(std::string& text) {
    size_t size;
    (*this)(size);
    text = std::string(Take(size));
  }
  void operator()(TrainSequence& sequence);

 private:
  absl::string_view Take(size_t size) {
    PONDER_CHECK(size <= rest_.size());
    const absl::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  absl::string_view rest_;
};

// The fields of a sequence, for either.
template <typename Wire, typename Sequence>
void VisitSequence(Wire& wire, Sequence& sequence) {
  wire(sequence.ids);
  wire(sequence.targets);
  wire(sequence.behavior_logprobs);
  wire(sequence.old_logprobs);
  wire(sequence.reference_logprobs);
  wire(sequence.importance);
  wire(sequence.advantages);
}

inline void WireWriter::operator()(const TrainSequence& sequence) {
  VisitSequence(*this, sequence);
}
inline void WireReader::operator()(TrainSequence& sequence) {
  VisitSequence(*this, sequence);
}

}  // namespace ponder

#endif  // PONDER_RL_LEARNER_WIRE_H_
