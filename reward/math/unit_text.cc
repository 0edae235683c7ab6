#include "reward/math/unit_text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

bool IsBrace(const Token& token, Token::Type type) {
  return token.type == type && token.value == '{';
}

// "kg m s" with s^{-1}: kg m/s
std::string WithLastInverted(const std::string& name) {
  const size_t space = name.rfind(' ');
  return space == std::string::npos
             ? absl::StrCat("/", name)
             : absl::StrCat(name.substr(0, space), "/", name.substr(space + 1));
}

// Reads the exponent behind the ^ at `tokens[0]`: 2, 3 or -1. No tokens if it
// is no number; nothing if it is another one.
std::optional<TakenUnit> WithExponent(absl::Span<const Token> tokens,
                                      std::string name) {
  size_t k = 1;
  const bool braces = IsBrace(TokenAt(tokens, k), Token::kOpen);
  if (braces) ++k;
  const bool minus = TokenAt(tokens, k).type == Token::kMinus;
  if (minus) ++k;
  const Token& exponent = TokenAt(tokens, k);
  if (exponent.type != Token::kNumber) return TakenUnit{std::move(name), 0};
  ++k;
  if (minus) {
    if (exponent.text != "1") return std::nullopt;
    name = WithLastInverted(name);
  } else {
    if (exponent.text != "2" && exponent.text != "3") return std::nullopt;
    if (name.size() == 1 && name != "m") return std::nullopt;  // s^2
    absl::StrAppend(&name, "^", exponent.text);
  }
  // The closing brace may be missing at the end of the text.
  if (braces && IsBrace(TokenAt(tokens, k), Token::kClose)) {
    ++k;
  } else if (braces && TokenAt(tokens, k).type != Token::kEnd) {
    return std::nullopt;
  }
  return TakenUnit{std::move(name), k};
}

}  // namespace

int64_t TakeScale(std::string* words) {
  static constexpr std::pair<absl::string_view, int64_t> kScales[] = {
      {"dozen", 12},
      {"hundred", 100},
      {"thousand", 1000},
      {"million", 1'000'000},
      {"billion", 1'000'000'000},
      {"trillion", 1'000'000'000'000},
      {"\xe7\x99\xbe", 100},
      {"\xe5\x8d\x83", 1000},
      {"\xe4\xb8\x87", 10000},
      {"\xe4\xba\xbf", 100'000'000}};
  int64_t product = 1;
  for (bool found = true; found && product < 1'000'000'000'000;) {
    found = false;
    for (const auto& [name, scale] : kScales) {
      if (!absl::StartsWith(*words, name)) continue;
      const bool ascii = name[0] >= 'a';
      if (ascii && words->size() > name.size() &&
          (*words)[name.size()] != ' ') {
        continue;
      }
      *words =
          words->substr(std::min(name.size() + (ascii ? 1 : 0), words->size()));
      product *= scale;
      found = true;
    }
  }
  return product;
}

std::optional<TakenUnit> UnitAt(absl::Span<const Token> tokens,
                                std::string name) {
  TakenUnit unit{std::move(name), 0};
  while (true) {
    const absl::Span<const Token> rest = tokens.subspan(unit.num_tokens);
    const Token& next = TokenAt(rest, 1);
    switch (rest[0].type) {
      case Token::kCaret: {
        std::optional<TakenUnit> power = WithExponent(rest, unit.name);
        if (!power.has_value()) return std::nullopt;
        if (power->num_tokens == 0) return unit;
        unit.name = std::move(power->name);
        unit.num_tokens += power->num_tokens;
        break;
      }
      case Token::kSlash:
        if (next.type != Token::kWord &&
            !(next.type == Token::kLetter && IsUnitWord(next.text))) {
          return unit;
        }
        absl::StrAppend(&unit.name, "/", next.text);
        unit.num_tokens += 2;
        break;
      case Token::kWord:
        absl::StrAppend(&unit.name, " ", rest[0].text);
        ++unit.num_tokens;
        break;
      default:
        return unit;
    }
  }
}

}  // namespace ponder::math
