// PONDER_RETURN_IF_ERROR and PONDER_ASSIGN_OR_RETURN.

#ifndef PONDER_BASE_STATUS_MACROS_H_
#define PONDER_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define PONDER_RETURN_IF_ERROR(expr)                            \
  do {                                                          \
    if (absl::Status ponder_error = (expr); !ponder_error.ok()) \
      return ponder_error;                                      \
  } while (false)

#define PONDER_CONCAT_INNER_(a, b) a##b
#define PONDER_CONCAT_(a, b) PONDER_CONCAT_INNER_(a, b)

// `lhs` may declare a variable. Expands to several statements.
#define PONDER_ASSIGN_OR_RETURN(lhs, expr) \
  PONDER_ASSIGN_OR_RETURN_IMPL_(PONDER_CONCAT_(status_or_, __LINE__), lhs, expr)
#define PONDER_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return std::move(tmp).status();      \
  lhs = *std::move(tmp)

#endif  // PONDER_BASE_STATUS_MACROS_H_
