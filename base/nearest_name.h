// "Did you mean ...?" for names that people typed.

#ifndef PONDER_BASE_NEAREST_NAME_H_
#define PONDER_BASE_NEAREST_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder {

// Least number of inserted, deleted, replaced or swapped neighbouring
// characters that turns `a` into `b`, upper and lower case being the same.
int EditDistance(absl::string_view a, absl::string_view b);

// `; did you mean "x"?` with the name nearest to `word`, or `; known: x, y, z`
// where none is near. Empty if there are no names.
std::string NameHint(absl::string_view word,
                     const std::vector<std::string>& names);

}  // namespace ponder

#endif  // PONDER_BASE_NEAREST_NAME_H_
