#include "cli/text_stream.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

constexpr absl::string_view kOpen = "<think>";
constexpr absl::string_view kClose = "</think>";
constexpr char kDim[] = "\033[2m";
constexpr char kPlain[] = "\033[0m";

// Bytes at the end of `text` that may be the beginning of a longer character.
size_t OpenCharacterBytes(absl::string_view text) {
  for (size_t n = 1; n <= std::min<size_t>(3, text.size()); ++n) {
    const unsigned char byte =
        static_cast<unsigned char>(text[text.size() - n]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t wanted = byte >= 0xF0   ? 4
                          : byte >= 0xE0 ? 3
                          : byte >= 0xC0 ? 2
                                         : 1;
    return wanted > n ? n : 0;
  }
  return 0;
}

// Bytes at the end of `text` that may be the beginning of `tag`.
size_t OpenTagBytes(absl::string_view text, absl::string_view tag) {
  for (size_t n = std::min(tag.size() - 1, text.size()); n > 0; --n) {
    if (absl::EndsWith(text, tag.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

TextStream::TextStream(const Tokenizer* tokenizer, bool thought_opened,
                       bool dim, std::FILE* out)
    : tokenizer_(tokenizer),
      may_dim_(dim),
      out_(out),
      in_thought_(thought_opened) {
  if (in_thought_) SetDim(true);
}

void TextStream::SetDim(bool dim) {
  if (may_dim_) std::fputs(dim ? kDim : kPlain, out_);
}

void TextStream::Write(absl::string_view text, bool finished) {
  if (text.size() <= written_) return;
  absl::string_view rest = text.substr(written_);
  const auto put = [&](size_t bytes) {
    const std::string shown = ReplaceInvalidUtf8(rest.substr(0, bytes));
    std::fwrite(shown.data(), 1, shown.size(), out_);
    written_ += bytes;
    rest.remove_prefix(bytes);
  };
  while (true) {
    const absl::string_view tag = in_thought_ ? kClose : kOpen;
    const size_t found = rest.find(tag);
    if (found == absl::string_view::npos) {
      const size_t held = finished ? 0
                                   : std::max(OpenTagBytes(rest, tag),
                                              OpenCharacterBytes(rest));
      put(rest.size() - held);
      return;
    }
    if (in_thought_) {
      put(found + tag.size());
      SetDim(false);
    } else {
      put(found);
      SetDim(true);
      put(tag.size());
    }
    in_thought_ = !in_thought_;
  }
}

void TextStream::Add(int32_t id) {
  ids_.push_back(id);
  Write(tokenizer_->Decode(ids_, /*skip_special_tokens=*/true),
        /*finished=*/false);
  std::fflush(out_);
}

std::string TextStream::Finish() {
  const std::string text =
      tokenizer_->Decode(ids_, /*skip_special_tokens=*/true);
  Write(text, /*finished=*/true);
  if (in_thought_) SetDim(false);
  std::fflush(out_);
  return ReplaceInvalidUtf8(text);
}

}  // namespace ponder
