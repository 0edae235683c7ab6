#include "base/nearest_name.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ponder {

int EditDistance(absl::string_view a, absl::string_view b) {
  // rows[i][j]: distance of the first i characters of a and j of b.
  std::vector<std::vector<int>> rows(a.size() + 1,
                                     std::vector<int>(b.size() + 1));
  const auto same = [](char x, char y) {
    return absl::ascii_tolower(static_cast<unsigned char>(x)) ==
           absl::ascii_tolower(static_cast<unsigned char>(y));
  };
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = static_cast<int>(i + j);
        continue;
      }
      const int replaced =
          rows[i - 1][j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      int best = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
          same(a[i - 2], b[j - 1])) {
        best = std::min(best, rows[i - 2][j - 2] + 1);
      }
      rows[i][j] = best;
    }
  }
  return rows[a.size()][b.size()];
}

std::string NameHint(absl::string_view word,
                     const std::vector<std::string>& names) {
  if (names.empty()) return "";
  const auto nearest =
      std::min_element(names.begin(), names.end(),
                       [word](const std::string& a, const std::string& b) {
                         return EditDistance(word, a) < EditDistance(word, b);
                       });
  // A third of the characters wrong is still a slip of the hand or of memory.
  const int limit = std::max<int>(2, (static_cast<int>(word.size()) + 2) / 3);
  if (EditDistance(word, *nearest) <= limit) {
    return absl::StrCat("; did you mean \"", *nearest, "\"?");
  }
  return absl::StrCat("; known: ", absl::StrJoin(names, ", "));
}

}  // namespace ponder
