#include "policy/text/added_tokens.h"

#include <algorithm>

#include "base/check.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

uint64_t EdgeKey(int node, char byte) {
  return 256 * static_cast<uint64_t>(node) + static_cast<uint8_t>(byte);
}

bool IsWithinWord(absl::string_view before, absl::string_view after) {
  return (!before.empty() && IsWordCharacter(LastCodePoint(before).value)) ||
         (!after.empty() && IsWordCharacter(FirstCodePoint(after).value));
}

absl::string_view StripRight(absl::string_view text) {
  while (!text.empty()) {
    const CodePoint last = LastCodePoint(text);
    if (!IsWhiteSpace(last.value)) break;
    text.remove_suffix(last.num_bytes);
  }
  return text;
}

absl::string_view StripLeft(absl::string_view text) {
  while (!text.empty()) {
    const CodePoint first = FirstCodePoint(text);
    if (!IsWhiteSpace(first.value)) break;
    text.remove_prefix(first.num_bytes);
  }
  return text;
}

}  // namespace

void AddedTokenMatcher::Add(absl::string_view pattern,
                            const AddedToken& token) {
  PONDER_CHECK(!pattern.empty());
  int node = 0;
  for (const char byte : pattern) {
    const int next = static_cast<int>(token_at_node_.size());
    const auto [child, is_new] =
        children_.try_emplace(EdgeKey(node, byte), next);
    if (is_new) token_at_node_.push_back(-1);
    node = child->second;
  }
  token_at_node_[node] = static_cast<int>(tokens_.size());
  tokens_.push_back(token);
  is_first_byte_[static_cast<uint8_t>(pattern[0])] = true;
}

AddedTokenMatcher::Match AddedTokenMatcher::LongestAt(
    absl::string_view text) const {
  Match longest;
  int node = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto child = children_.find(EdgeKey(node, text[i]));
    if (child == children_.end()) break;
    node = child->second;
    if (token_at_node_[node] >= 0) longest = {i + 1, token_at_node_[node]};
  }
  return longest;
}

void AddedTokenMatcher::Split(
    absl::string_view text, absl::FunctionRef<void(absl::string_view)> on_text,
    absl::FunctionRef<void(int32_t id)> on_token) const {
  size_t done = 0;  // What has been handed on.
  size_t at = 0;    // Where to look next.
  while (at < text.size()) {
    if (!is_first_byte_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    const Match match = LongestAt(text.substr(at));
    if (match.token < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[match.token];
    size_t begin = at;
    size_t end = at + match.num_bytes;
    at = end;
    if (token.single_word &&
        IsWithinWord(text.substr(0, begin), text.substr(end))) {
      continue;
    }
    if (token.lstrip) {
      begin = std::max(StripRight(text.substr(0, begin)).size(), done);
    }
    if (token.rstrip) end = text.size() - StripLeft(text.substr(end)).size();
    if (done < begin) on_text(text.substr(done, begin - done));
    on_token(token.id);
    done = end;
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace ponder
