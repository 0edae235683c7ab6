#include "policy/text/regex_splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

bool IsGeneralCategory(absl::string_view name) {
  static constexpr absl::string_view kNames =
      "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc "
      "Sk So Z Zs Zl Zp C Cc Cf Cn Co Cs";
  for (const absl::string_view known : absl::StrSplit(kNames, ' ')) {
    if (known == name) return true;
  }
  return false;
}

// Oniguruma's pattern as PCRE2 has to read it to mean the same, for the part of
// the language that tokenizers use. Known differences:
//   \s        PCRE2's holds U+180E, which is no white space any more
//   \w \v \h  mean other sets
//   {n,m}+    possessive here, repeated there
//   [a[b]&&c] sets within sets there
//   \p{Han}   extended by script extensions here
class Translator {
 public:
  explicit Translator(absl::string_view pattern) : rest_(pattern) {}

  absl::StatusOr<std::string> Run() {
    while (!rest_.empty()) {
      if (rest_[0] == '\\') {
        PONDER_RETURN_IF_ERROR(Escape());
      } else if (rest_[0] == '[') {
        PONDER_RETURN_IF_ERROR(Class());
      } else if (absl::StartsWith(rest_, "(?")) {
        PONDER_RETURN_IF_ERROR(Group());
      } else if (absl::StartsWith(rest_, "}+") ||
                 absl::StartsWith(rest_, "}?")) {
        return Unsupported(rest_.substr(0, 2));
      } else {
        Copy(1);
      }
    }
    return out_;
  }

 private:
  void Copy(size_t count) {
    const absl::string_view part = rest_.substr(0, count);
    out_.append(part.data(), part.size());
    rest_.remove_prefix(part.size());
  }

  static absl::Status Unsupported(absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", what, "\" in a regular expression is not supported"));
  }

  absl::Status Escape() {
    const char kind = rest_.size() > 1 ? rest_[1] : '\0';
    if (kind == 's' || kind == 'S') {
      absl::StrAppend(&out_, kind == 's' ? "\\p" : "\\P", "{White_Space}");
      rest_.remove_prefix(2);
    } else if (kind == 'p' || kind == 'P') {
      const size_t end = rest_.find('}');
      if (end == absl::string_view::npos || rest_[2] != '{' ||
          !IsGeneralCategory(rest_.substr(3, end - 3))) {
        return Unsupported(rest_.substr(0, end == rest_.npos ? 2 : end + 1));
      }
      Copy(end + 1);
    } else if (absl::ascii_ispunct(static_cast<unsigned char>(kind)) ||
               (kind != '\0' && absl::StrContains("rntfdD", kind))) {
      Copy(2);
    } else {
      return Unsupported(rest_.substr(0, 2));
    }
    return absl::OkStatus();
  }

  // From "[" to "]".
  absl::Status Class() {
    Copy(absl::StartsWith(rest_, "[^") ? 2 : 1);
    if (absl::StartsWith(rest_, "]")) return Unsupported("[]");
    while (!rest_.empty() && rest_[0] != ']') {
      if (rest_[0] == '\\') {
        PONDER_RETURN_IF_ERROR(Escape());
      } else if (rest_[0] == '[' || absl::StartsWith(rest_, "&&")) {
        return Unsupported(absl::StrCat(rest_.substr(0, 2), " within []"));
      } else {
        Copy(1);
      }
    }
    Copy(1);
    return absl::OkStatus();
  }

  absl::Status Group() {
    for (const absl::string_view known :
         {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (absl::StartsWith(rest_, known)) {
        Copy(known.size());
        return absl::OkStatus();
      }
    }
    return Unsupported(rest_.substr(0, 3));
  }

  absl::string_view rest_;
  std::string out_;
};

struct CompileContextDeleter {
  void operator()(pcre2_compile_context* context) const {
    pcre2_compile_context_free(context);
  }
};
struct MatchContextDeleter {
  void operator()(pcre2_match_context* context) const {
    pcre2_match_context_free(context);
  }
};
struct MatchDataDeleter {
  void operator()(pcre2_match_data* match) const {
    pcre2_match_data_free(match);
  }
};

// True if there is a match at or after `from`.
bool Match(const pcre2_code* code, absl::string_view text, size_t from,
           pcre2_match_data* match) {
  const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int result = pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                           match, nullptr);
  if (result < 0 && result != PCRE2_ERROR_NOMATCH) {
    // The compiled code ran out of its small stack, or counted too many steps;
    // the interpreter has neither limit.
    const std::unique_ptr<pcre2_match_context, MatchContextDeleter> unlimited(
        pcre2_match_context_create(nullptr));
    PONDER_CHECK(unlimited != nullptr);
    pcre2_set_match_limit(unlimited.get(), UINT32_MAX);
    pcre2_set_depth_limit(unlimited.get(), UINT32_MAX);
    pcre2_set_heap_limit(unlimited.get(), UINT32_MAX);
    result =
        pcre2_match(code, subject, text.size(), from,
                    PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, unlimited.get());
  }
  PONDER_CHECK(result >= 0 || result == PCRE2_ERROR_NOMATCH);
  return result >= 0;
}

}  // namespace

void RegexSplitter::CodeDeleter::operator()(pcre2_real_code_8* code) const {
  pcre2_code_free(code);
}

absl::StatusOr<std::unique_ptr<RegexSplitter>> RegexSplitter::Create(
    absl::string_view pattern) {
  PONDER_ASSIGN_OR_RETURN(const std::string translated,
                          Translator(pattern).Run());
  const std::unique_ptr<pcre2_compile_context, CompileContextDeleter> context(
      pcre2_compile_context_create(nullptr));
  PONDER_CHECK(context != nullptr);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error;
  PCRE2_SIZE error_offset;
  // In Oniguruma ^ and $ always mean lines.
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                          translated.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error,
                          &error_offset, context.get()));
  if (code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return absl::InvalidArgumentError(
        absl::StrCat("the regular expression \"", pattern,
                     "\" is wrong: ", reinterpret_cast<const char*>(message)));
  }
  // Without a compiler for this processor, PCRE2 interprets.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return std::unique_ptr<RegexSplitter>(new RegexSplitter(std::move(code)));
}

void RegexSplitter::Split(
    absl::string_view text,
    absl::FunctionRef<void(absl::string_view)> emit) const {
  const std::unique_ptr<pcre2_match_data, MatchDataDeleter> match(
      pcre2_match_data_create(/*ovecsize=*/1, nullptr));
  PONDER_CHECK(match != nullptr);
  const PCRE2_SIZE* const bounds = pcre2_get_ovector_pointer(match.get());
  size_t emitted = 0;
  size_t from = 0;
  while (from < text.size() && Match(code_.get(), text, from, match.get())) {
    const size_t begin = bounds[0];
    const size_t end = bounds[1];
    if (emitted < begin) emit(text.substr(emitted, begin - emitted));
    if (begin < end) emit(text.substr(begin, end - begin));
    emitted = end;
    from = end;
    if (begin == end) from += FirstCodePoint(text.substr(end)).num_bytes;
  }
  if (emitted < text.size()) emit(text.substr(emitted));
}

std::string EscapeRegex(absl::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (absl::ascii_ispunct(static_cast<unsigned char>(c))) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace ponder
