// PONDER_CHECK(condition): our own bugs end the process with a line that says
// where. What the outside can cause is an absl::Status instead.

#ifndef PONDER_BASE_CHECK_H_
#define PONDER_BASE_CHECK_H_

namespace ponder {

[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* condition);

}  // namespace ponder

#define PONDER_CHECK(condition)                              \
  do {                                                       \
    if (!(condition)) [[unlikely]]                           \
      ::ponder::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#endif  // PONDER_BASE_CHECK_H_
