// Tokens that are found in the text before anything else looks at it.

#ifndef PONDER_POLICY_TEXT_ADDED_TOKENS_H_
#define PONDER_POLICY_TEXT_ADDED_TOKENS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace ponder {

// One entry of "added_tokens" of a tokenizer.json.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // Not within a longer word.
  bool lstrip = false;       // Swallows white space on its left ...
  bool rstrip = false;       // ... and on its right.
  bool normalized = false;   // Looked for in the normalized text.
  bool special = false;      // Left out by Decode() if asked.
};

// Finds the leftmost token, the longest of those that begin there. Thread-safe
// once filled.
class AddedTokenMatcher {
 public:
  // Looks for `pattern`, which is not empty. Tokens that were added before
  // `token` yield to it if they have the same pattern.
  void Add(absl::string_view pattern, const AddedToken& token);

  // Hands on the text between tokens (never empty) and the ids of tokens, in
  // order. REQUIRES: `text` is well-formed UTF-8.
  void Split(absl::string_view text,
             absl::FunctionRef<void(absl::string_view)> on_text,
             absl::FunctionRef<void(int32_t id)> on_token) const;

 private:
  struct Match {
    size_t num_bytes = 0;
    int token = -1;  // Index; -1 if none.
  };

  Match LongestAt(absl::string_view text) const;

  std::vector<AddedToken> tokens_;
  // A trie: children by 256 * node + byte; node 0 is the root.
  absl::flat_hash_map<uint64_t, int> children_;
  std::vector<int> token_at_node_ = {-1};  // Index; -1 if none ends here.
  std::array<bool, 256> is_first_byte_ = {};
};

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_ADDED_TOKENS_H_
