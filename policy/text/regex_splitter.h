// Splits text by a regular expression of a tokenizer.json.

#ifndef PONDER_POLICY_TEXT_REGEX_SPLITTER_H_
#define PONDER_POLICY_TEXT_REGEX_SPLITTER_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// As pcre2.h declares them for 8-bit code units.
struct pcre2_real_code_8;

namespace ponder {

// The expressions are written for Oniguruma, which Hugging Face's tokenizers
// uses. They are run by PCRE2, which has look-ahead too; what the two read
// differently is translated (white space) or refused. PCRE2 10.42 knows the
// letters and digits of Unicode 14. Thread-safe.
class RegexSplitter {
 public:
  // INVALID_ARGUMENT with the reason if `pattern` is wrong or not supported.
  static absl::StatusOr<std::unique_ptr<RegexSplitter>> Create(
      absl::string_view pattern);

  // Hands on the matches and what lies between them, in order, none empty;
  // together they are `text`. REQUIRES: `text` is well-formed UTF-8.
  void Split(absl::string_view text,
             absl::FunctionRef<void(absl::string_view)> emit) const;

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  using Code = std::unique_ptr<pcre2_real_code_8, CodeDeleter>;

  explicit RegexSplitter(Code code) : code_(std::move(code)) {}

  const Code code_;
};

// A pattern that matches just `text`.
std::string EscapeRegex(absl::string_view text);

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_REGEX_SPLITTER_H_
