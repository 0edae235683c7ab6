#include "reward/math/matrices.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "reward/math/exact.h"
#include "reward/math/limits.h"

namespace ponder::math {
namespace {

// kNoId if the sizes differ.
Id Sum(Arena* arena, Id x, Id y) {
  if (arena->node(x).count != arena->node(y).count ||
      arena->node(x).value != arena->node(y).value) {
    return kNoId;
  }
  std::vector<Id> cells;
  for (int k = 0; k < arena->node(x).count; ++k) {
    cells.push_back(
        arena->Make(Op::kAdd, {arena->child(x, k), arena->child(y, k)}));
  }
  return arena->Make(Op::kMatrix, cells, arena->node(x).value);
}

// Of matrices and scalars. kNoId if the sizes don't fit.
Id Times(Arena* arena, Id x, Id y) {
  const bool matrix_x = arena->Is(x, Op::kMatrix);
  const bool matrix_y = arena->Is(y, Op::kMatrix);
  if (!matrix_x && !matrix_y) return arena->Make(Op::kMul, {x, y});
  if (matrix_x != matrix_y) {
    const Id matrix = matrix_x ? x : y;
    const Id factor = matrix_x ? y : x;
    std::vector<Id> cells;
    for (int k = 0; k < arena->node(matrix).count; ++k) {
      cells.push_back(arena->Make(Op::kMul, {factor, arena->child(matrix, k)}));
    }
    return arena->Make(Op::kMatrix, cells, arena->node(matrix).value);
  }
  const int inner = arena->node(x).value;
  const int columns = arena->node(y).value;
  if (inner <= 0 || columns <= 0) return kNoId;
  const int rows = arena->node(x).count / inner;
  if (arena->node(y).count / columns != inner) return kNoId;
  if (rows * columns * inner > static_cast<int>(kMaxItems)) return kNoId;
  std::vector<Id> cells;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      std::vector<Id> terms;
      for (int k = 0; k < inner; ++k) {
        terms.push_back(
            arena->Make(Op::kMul, {arena->child(x, r * inner + k),
                                   arena->child(y, k * columns + c)}));
      }
      cells.push_back(arena->Make(Op::kAdd, terms));
    }
  }
  return arena->Make(Op::kMatrix, cells, columns);
}

Id MatrixAt(Arena* arena, Id id, Budget* budget, int depth) {
  if (arena->Is(id, Op::kMatrix)) return id;
  if (depth > 20 || arena->num_nodes() > kMaxNodes) return kNoId;
  const Node node = arena->node(id);
  if (node.op == Op::kAdd) {
    Id total = kNoId;
    for (int k = 0; k < node.count; ++k) {
      const Id part = MatrixAt(arena, arena->child(id, k), budget, depth + 1);
      if (part == kNoId) return kNoId;
      total = total == kNoId ? part : Sum(arena, total, part);
      if (total == kNoId) return kNoId;
    }
    return total;
  }
  if (node.op == Op::kMul || node.op == Op::kDiv) {
    Id total = kNoId;  // A matrix, or a scalar so far.
    for (int k = 0; k < node.count; ++k) {
      Id part = arena->child(id, k);
      if (arena->Contains(part, Op::kMatrix)) {
        part = MatrixAt(arena, part, budget, depth + 1);
        const bool divisor = node.op == Op::kDiv && k > 0;
        if (part == kNoId || divisor) return kNoId;
      } else if (node.op == Op::kDiv && k > 0) {
        part = arena->Make(Op::kDiv, {arena->MakeNumber(1), part});
      }
      total = total == kNoId ? part : Times(arena, total, part);
      if (total == kNoId) return kNoId;
    }
    return arena->Is(total, Op::kMatrix) ? total : kNoId;
  }
  if (node.op == Op::kPow && arena->Is(arena->child(id, 0), Op::kMatrix)) {
    const std::optional<Rational> power =
        ExactValue(*arena, arena->child(id, 1), budget);
    if (!power.has_value() || !power->is_small() || power->small() < 1 ||
        power->small() > 8) {
      return kNoId;
    }
    Id total = arena->child(id, 0);
    for (int64_t k = 1; k < power->small(); ++k) {
      total = Times(arena, total, arena->child(id, 0));
      if (total == kNoId) return kNoId;
    }
    return total;
  }
  return kNoId;
}

}  // namespace

Id MatrixOf(Arena* arena, Id id, Budget* budget) {
  return MatrixAt(arena, id, budget, 0);
}

// By the first row (Laplace).
Id Determinant(Arena* arena, Id matrix) {
  const int n = arena->node(matrix).value;
  if (n < 1 || n > 4 || arena->node(matrix).count != n * n) return kNoId;
  if (n == 1) return arena->child(matrix, 0);
  std::vector<Id> terms;
  for (int skip = 0; skip < n; ++skip) {
    std::vector<Id> cells;
    for (int k = n; k < n * n; ++k) {
      if (k % n != skip) cells.push_back(arena->child(matrix, k));
    }
    const Id minor = arena->Make(Op::kMatrix, cells, n - 1);
    terms.push_back(arena->Make(
        Op::kMul, {arena->MakeNumber(skip % 2 == 0 ? 1 : -1),
                   arena->child(matrix, skip), Determinant(arena, minor)}));
  }
  return arena->Make(Op::kAdd, terms);
}

Id Transposed(Arena* arena, Id matrix) {
  const int columns = arena->node(matrix).value;
  const int rows = arena->node(matrix).count / std::max(columns, 1);
  std::vector<Id> cells;
  for (int c = 0; c < columns; ++c) {
    for (int r = 0; r < rows; ++r) {
      cells.push_back(arena->child(matrix, r * columns + c));
    }
  }
  return arena->Make(Op::kMatrix, cells, rows);
}

}  // namespace ponder::math
