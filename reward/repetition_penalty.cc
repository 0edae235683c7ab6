#include "reward/repetition_penalty.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "reward/text_words.h"

namespace ponder {
namespace {

constexpr uint64_t kOffset = 0xcbf29ce484222325;  // FNV-1a, 64 bits.
constexpr uint64_t kPrime = 0x100000001b3;

// Ends a hash so that sums of several keep it apart (MurmurHash3's fmix64).
uint64_t Finish(uint64_t h) {
  h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
  h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
  return h ^ h >> 33;
}

std::vector<uint64_t> WordHashes(absl::string_view text) {
  std::vector<uint64_t> words;
  uint64_t hash = kOffset;
  bool inside = false;
  const auto end_word = [&] {
    if (inside) words.push_back(Finish(hash));
    hash = kOffset;
    inside = false;
  };
  while (!text.empty()) {
    const absl::string_view rest = text;
    const char32_t c = TakeCharacter(&text);
    if (c < 0x80 ? absl::ascii_isspace(static_cast<unsigned char>(c))
                 : c == 0xa0 || c == 0x3000) {
      end_word();
      continue;
    }
    const bool stands_alone = HasNoSpaces(ScriptOf(c));
    if (stands_alone) end_word();
    for (const char byte : rest.substr(0, rest.size() - text.size())) {
      const char lower = absl::ascii_tolower(static_cast<unsigned char>(byte));
      hash = (hash ^ static_cast<unsigned char>(lower)) * kPrime;
    }
    inside = true;
    if (stands_alone) end_word();
  }
  end_word();
  return words;
}

}  // namespace

double RepetitionPenalty(absl::string_view text, int ngram_words) {
  std::vector<uint64_t> hashes = WordHashes(text);
  const size_t n = static_cast<size_t>(std::max(ngram_words, 1));
  if (hashes.size() < n) return 0;
  const size_t total = hashes.size() - n + 1;
  // sum of w[i+k] * kPrime^(n-1-k), rolled along, in place: the word that goes
  // out is read before its place is written.
  uint64_t power = 1;
  uint64_t ngram = 0;
  for (size_t k = 0; k < n; ++k) {
    ngram = ngram * kPrime + hashes[k];
    if (k > 0) power *= kPrime;
  }
  for (size_t i = 0; i < total; ++i) {
    const uint64_t out = hashes[i];
    hashes[i] = ngram;
    if (i + 1 < total) {
      ngram = (ngram - out * power) * kPrime + hashes[i + n];
    }
  }
  hashes.resize(total);
  std::sort(hashes.begin(), hashes.end());
  const size_t distinct =
      std::unique(hashes.begin(), hashes.end()) - hashes.begin();
  return static_cast<double>(distinct) / static_cast<double>(total) - 1;
}

}  // namespace ponder
