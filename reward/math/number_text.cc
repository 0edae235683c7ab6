#include "reward/math/number_text.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "reward/math/limits.h"

namespace ponder::math {
namespace {

bool IsBracket(const Token& token, Token::Type type, int bracket) {
  return token.type == type && token.value == bracket;
}

// Three digits that may follow a thousands separator, and what comes behind
// the last ones.
bool IsGroup(const Token& token) {
  return token.type == Token::kNumber && token.text.size() >= 3 &&
         IsDigits(token.text.substr(0, 3)) &&
         (token.text.size() == 3 || !IsDigits(token.text.substr(3, 1)));
}

}  // namespace

bool IsDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
}

std::optional<WrittenNumber> ParseNumber(absl::string_view text) {
  std::string digits;
  int64_t scale = 0;
  int64_t exponent = 0;
  bool point = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      point = true;
    } else if (c == 'e' || c == 'E') {
      absl::string_view rest = text.substr(i + 1);
      if (absl::StartsWith(rest, "+")) rest.remove_prefix(1);
      if (!absl::SimpleAtoi(rest, &exponent) || exponent > 1'000'000'000 ||
          exponent < -1'000'000'000) {
        return std::nullopt;
      }
      break;
    } else {
      digits += c;
      if (point) --scale;
    }
  }
  if (digits.size() > kMaxDigits) return std::nullopt;
  if (digits.empty()) digits += '0';
  WrittenNumber number;
  if (fmpz_set_str(number.value.num(), digits.c_str(), 10) != 0) {
    return std::nullopt;
  }
  scale += exponent;
  // A large power of ten stays a power.
  if (scale > 400 || scale < -static_cast<int64_t>(kMaxDigits)) {
    number.exponent = scale;
    return number;
  }
  Rational power;
  TenToThe(&power, static_cast<unsigned>(std::abs(scale)));
  if (scale >= 0) {
    fmpq_mul(number.value.get(), number.value.get(), power.get());
  } else {
    fmpq_div(number.value.get(), number.value.get(), power.get());
  }
  return number;
}

// 0.1\overline{6} = (16 - 1) / 90
std::optional<Rational> RepeatingDecimal(absl::string_view digits,
                                         absl::string_view repeating) {
  if (digits.size() + repeating.size() > 400) return std::nullopt;
  const size_t point = digits.find('.');
  const size_t decimals = digits.size() - point - 1;
  std::string all =
      absl::StrCat(digits.substr(0, point), digits.substr(point + 1));
  if (all.empty()) all += '0';
  Rational head;
  Rational whole;
  fmpz_set_str(head.num(), all.c_str(), 10);
  fmpz_set_str(whole.num(), absl::StrCat(all, repeating).c_str(), 10);
  fmpq_sub(whole.get(), whole.get(), head.get());
  Rational nines;
  TenToThe(&nines, static_cast<unsigned>(repeating.size()));
  fmpz_sub_ui(nines.num(), nines.num(), 1);
  Rational shift;
  TenToThe(&shift, static_cast<unsigned>(decimals));
  fmpq_div(whole.get(), whole.get(), nines.get());
  fmpq_div(whole.get(), whole.get(), shift.get());
  return whole;
}

size_t PeriodOf(absl::string_view digits) {
  const size_t point = digits.find('.');
  if (point == absl::string_view::npos) return 0;
  const absl::string_view decimals = digits.substr(point + 1);
  for (size_t period = 1; period <= 6; ++period) {
    const size_t repeats = period == 1 ? 3 : 2;
    if (decimals.size() < repeats * period) break;
    const absl::string_view last = decimals.substr(decimals.size() - period);
    bool same = true;
    for (size_t k = 2; k <= repeats; ++k) {
      same &= decimals.substr(decimals.size() - k * period, period) == last;
    }
    if (same) return period;
  }
  return 0;
}

int RadixOfWord(absl::string_view word) {
  static constexpr std::pair<absl::string_view, int> kWords[] = {
      {"two", 2},  {"three", 3},   {"four", 4},    {"five", 5},
      {"six", 6},  {"seven", 7},   {"eight", 8},   {"nine", 9},
      {"ten", 10}, {"twelve", 12}, {"sixteen", 16}};
  for (const auto& [name, radix] : kWords) {
    if (word == name) return radix;
  }
  return 0;
}

bool IsOrdinalEnding(absl::string_view word) {
  return word == "th" || word == "st" || word == "nd" || word == "rd";
}

TakenDigits DigitsAt(absl::Span<const Token> tokens, CommaMeaning comma) {
  const auto at = [&](size_t k) -> const Token& { return TokenAt(tokens, k); };
  const std::string digits(tokens[0].text);
  const TakenDigits alone{digits, 1};
  if (!IsDigits(digits)) return alone;
  const auto is_tight_comma = [&](size_t k) {
    return at(k).type == Token::kComma && !at(k).space_before &&
           !at(k + 1).space_before;
  };
  const bool decimal_comma =
      comma.decimal && is_tight_comma(1) && at(3).type != Token::kComma;
  // 3{,}21
  const bool decimal_braces = at(1).type == Token::kThousands &&
                              at(2).text.size() != 3 &&
                              at(3).type != Token::kThousands;
  if ((decimal_comma || decimal_braces) && at(2).type == Token::kNumber &&
      IsDigits(at(2).text)) {
    return {absl::StrCat(digits, ".", at(2).text), 3};
  }
  if (digits.size() > 3 || digits[0] == '0') return alone;
  TakenDigits merged = alone;
  Token::Type separator = Token::kEnd;  // kNumber stands for a space.
  while (true) {
    const size_t here = merged.num_tokens;
    const Token::Type next =
        at(here).type == Token::kThousands ? Token::kThousands
        : is_tight_comma(here)             ? Token::kComma
        : at(here).type == Token::kNumber && at(here).space_before
            ? Token::kNumber
            : Token::kEnd;
    if (next == Token::kEnd ||
        (separator != Token::kEnd && next != separator)) {
      break;
    }
    if (next == Token::kComma && !comma.thousands) break;
    const size_t group = next == Token::kNumber ? here : here + 1;
    if (!IsGroup(at(group))) {
      // 1,234,5 is a list.
      if (next == Token::kComma && at(group).type == Token::kNumber) {
        return alone;
      }
      break;
    }
    separator = next;
    absl::StrAppend(&merged.digits, at(group).text);
    merged.num_tokens = group + 1;
    if (at(group).text.size() > 3) break;
  }
  // 1 234/5 is a mixed number.
  if (separator == Token::kNumber &&
      at(merged.num_tokens).type == Token::kSlash) {
    return alone;
  }
  return merged;
}

TakenDigits RepeatingDigitsAt(absl::Span<const Token> tokens,
                              absl::string_view digits) {
  const auto at = [&](size_t k) -> const Token& { return TokenAt(tokens, k); };
  if (!absl::StrContains(digits, ".")) return {};
  size_t first = 0;
  if (at(0).type == Token::kAccent &&
      (at(0).text == "bar" || at(0).text == "dot") &&
      IsBracket(at(1), Token::kOpen, '{')) {
    first = 2;
  } else if (IsBracket(at(0), Token::kOpen, '(') && !at(0).space_before) {
    first = 1;
  } else {
    return {};
  }
  if (at(first).type != Token::kNumber || !IsDigits(at(first).text) ||
      !IsBracket(at(first + 1), Token::kClose, first == 2 ? '{' : '(')) {
    return {};
  }
  return {std::string(at(first).text), first + 2};
}

bool IsMixedNumberAt(absl::Span<const Token> tokens) {
  if (tokens[0].type != Token::kNumber || !IsDigits(tokens[0].text)) {
    return false;
  }
  return TokenAt(tokens, 1).type == Token::kFraction ||
         (TokenAt(tokens, 1).type == Token::kNumber &&
          TokenAt(tokens, 2).type == Token::kSlash);
}

}  // namespace ponder::math
