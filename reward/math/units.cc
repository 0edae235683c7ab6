#include "reward/math/units.h"

#include <cstdint>
#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "reward/math/plain_text.h"

namespace ponder::math {
namespace {

struct KnownUnit {
  const char* dimension;
  int power;  // Of the dimension.
  int64_t numerator;
  int64_t denominator;
};

using Table = absl::flat_hash_map<absl::string_view, KnownUnit>;

// Exact factors: SI, and the international yard and pound of 1959.
const Table& Units() {
  static const Table* const kUnits = new Table{
      {"nm", {"length", 1, 1, 1000000000}},
      {"mm", {"length", 1, 1, 1000}},
      {"millimeter", {"length", 1, 1, 1000}},
      {"millimetre", {"length", 1, 1, 1000}},
      {"cm", {"length", 1, 1, 100}},
      {"centimeter", {"length", 1, 1, 100}},
      {"centimetre", {"length", 1, 1, 100}},
      {"dm", {"length", 1, 1, 10}},
      {"decimeter", {"length", 1, 1, 10}},
      {"m", {"length", 1, 1, 1}},
      {"meter", {"length", 1, 1, 1}},
      {"metre", {"length", 1, 1, 1}},
      {"km", {"length", 1, 1000, 1}},
      {"kilometer", {"length", 1, 1000, 1}},
      {"kilometre", {"length", 1, 1000, 1}},
      {"in", {"length", 1, 254, 10000}},
      {"inch", {"length", 1, 254, 10000}},
      {"inches", {"length", 1, 254, 10000}},
      {"ft", {"length", 1, 3048, 10000}},
      {"foot", {"length", 1, 3048, 10000}},
      {"feet", {"length", 1, 3048, 10000}},
      {"yd", {"length", 1, 9144, 10000}},
      {"yard", {"length", 1, 9144, 10000}},
      {"mi", {"length", 1, 1609344, 1000}},
      {"mile", {"length", 1, 1609344, 1000}},
      {"mg", {"mass", 1, 1, 1000000}},
      {"milligram", {"mass", 1, 1, 1000000}},
      {"g", {"mass", 1, 1, 1000}},
      {"gram", {"mass", 1, 1, 1000}},
      {"kg", {"mass", 1, 1, 1}},
      {"kilogram", {"mass", 1, 1, 1}},
      {"ton", {"ton", 1, 1, 1}},
      {"tonne", {"mass", 1, 1000, 1}},
      {"lb", {"mass", 1, 45359237, 100000000}},
      {"lbs", {"mass", 1, 45359237, 100000000}},
      {"pound", {"mass", 1, 45359237, 100000000}},
      {"oz", {"mass", 1, 45359237, 1600000000}},
      {"ounce", {"mass", 1, 45359237, 1600000000}},
      {"ms", {"time", 1, 1, 1000}},
      {"millisecond", {"time", 1, 1, 1000}},
      {"s", {"time", 1, 1, 1}},
      {"sec", {"time", 1, 1, 1}},
      {"second", {"time", 1, 1, 1}},
      {"min", {"time", 1, 60, 1}},
      {"minute", {"time", 1, 60, 1}},
      {"h", {"time", 1, 3600, 1}},
      {"hr", {"time", 1, 3600, 1}},
      {"hrs", {"time", 1, 3600, 1}},
      {"hour", {"time", 1, 3600, 1}},
      {"day", {"time", 1, 86400, 1}},
      {"week", {"time", 1, 604800, 1}},
      {"month", {"month", 1, 1, 1}},
      {"year", {"month", 1, 12, 1}},
      {"yr", {"month", 1, 12, 1}},
      {"ml", {"length", 3, 1, 1000000}},
      {"mL", {"length", 3, 1, 1000000}},
      {"milliliter", {"length", 3, 1, 1000000}},
      {"millilitre", {"length", 3, 1, 1000000}},
      {"l", {"length", 3, 1, 1000}},
      {"L", {"length", 3, 1, 1000}},
      {"liter", {"length", 3, 1, 1000}},
      {"litre", {"length", 3, 1, 1000}},
      {"gallon", {"gallon", 1, 4, 1}},
      {"gal", {"gallon", 1, 4, 1}},
      {"quart", {"gallon", 1, 1, 1}},
      {"hectare", {"length", 2, 10000, 1}},
      {"ha", {"length", 2, 10000, 1}},
      {"acre", {"acre", 1, 1, 1}},
      {"N", {"force", 1, 1, 1}},
      {"newton", {"force", 1, 1, 1}},
      {"J", {"energy", 1, 1, 1}},
      {"joule", {"energy", 1, 1, 1}},
      {"kJ", {"energy", 1, 1000, 1}},
      {"W", {"power", 1, 1, 1}},
      {"watt", {"power", 1, 1, 1}},
      {"kW", {"power", 1, 1000, 1}},
      {"V", {"voltage", 1, 1, 1}},
      {"volt", {"voltage", 1, 1, 1}},
      {"Hz", {"frequency", 1, 1, 1}},
      {"hertz", {"frequency", 1, 1, 1}},
      {"mol", {"amount", 1, 1, 1}},
      {"rad", {"radian", 1, 1, 1}},
      {"radian", {"radian", 1, 1, 1}},
      {"unit", {"unit", 1, 1, 1}},
      {"cent", {"usd", 1, 1, 100}},
      {"dollar", {"usd", 1, 1, 1}},
      {"usd", {"usd", 1, 1, 1}},
      {"USD", {"usd", 1, 1, 1}},
      {"buck", {"usd", 1, 1, 1}},
      {"euro", {"eur", 1, 1, 1}},
      {"EUR", {"eur", 1, 1, 1}},
      {"pound sterling", {"gbp", 1, 1, 1}},
      {"yuan", {"cny", 1, 1, 1}},
      {"rupee", {"inr", 1, 1, 1}},
      {"yen", {"jpy", 1, 1, 1}},
      {"ruble", {"rub", 1, 1, 1}},
  };
  return *kUnits;
}

const KnownUnit* Find(absl::string_view word) {
  const Table& units = Units();
  auto it = units.find(word);
  if (it != units.end()) return &it->second;
  const std::string lower = absl::AsciiStrToLower(word);
  absl::string_view singular = lower;
  if (lower.size() > 3) {
    it = units.find(lower);
    if (it != units.end()) return &it->second;
    if (absl::ConsumeSuffix(&singular, "s")) {
      it = units.find(singular);
      if (it != units.end()) return &it->second;
    }
  }
  return nullptr;
}

bool IsLetter(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) ||
         static_cast<unsigned char>(c) >= 0x80;
}

void Raise(Rational* value, const KnownUnit& unit, int64_t power) {
  Rational factor(unit.numerator);
  fmpq_div_fmpz(factor.get(), factor.get(), Rational(unit.denominator).num());
  fmpq_pow_si(factor.get(), factor.get(), power);
  fmpq_mul(value->get(), value->get(), factor.get());
}

std::string Singular(absl::string_view words) {
  std::string out;
  for (absl::string_view word :
       absl::StrSplit(words, absl::ByAnyChar(" -"), absl::SkipEmpty())) {
    if (word == "of" || word == "the" || word == "a") continue;
    if (word.size() > 3 && !absl::EndsWith(word, "ss")) {
      absl::ConsumeSuffix(&word, "s");
    }
    absl::StrAppend(&out, out.empty() ? "" : " ", word);
  }
  return out;
}

}  // namespace

bool IsUnitWord(absl::string_view word) {
  return Find(word) != nullptr || word == "mph" || word == "kph" ||
         word == "kmh";
}

bool MayBeUnit(absl::string_view words) {
  if (ParseUnit(words).known) return true;
  // Units of other languages.
  static constexpr absl::string_view kForeign[] = {
      "\xe5\x85\x83",
      "\xe4\xb8\xaa",
      "\xe4\xba\xba",
      "\xe7\xb1\xb3",
      "\xe5\x8e\x98\xe7\xb1\xb3",
      "\xe5\x8d\x83\xe7\xb1\xb3",
      "\xe5\xba\xa6",
      "\xe5\xb2\x81",
      "\xe5\xa4\xa9",
      "\xe5\xb0\x8f\xe6\x97\xb6",
      "\xe5\x88\x86\xe9\x92\x9f",
      "\xe7\xa7\x8d",
      "\xe6\xac\xa1",
      "\xe5\x8f\xaa",
      "\xe6\x9c\xac",
      "\xe5\xbc\xa0",
      "\xd1\x81\xd0\xbc",
      "\xd0\xba\xd0\xbc",
      "\xd0\xbc",
      "\xd1\x80\xd1\x83\xd0\xb1\xd0\xbb\xd0\xb5\xd0\xb9"};
  for (const absl::string_view unit : kForeign) {
    if (words == unit) return true;
  }
  int count = 1;
  for (const char c : words) {
    if (c == ' ') ++count;
    const bool letter = absl::ascii_isalpha(static_cast<unsigned char>(c));
    if (!letter && c != ' ' && c != '-') return false;
  }
  const bool vowel = words.find_first_of("aeiouAEIOU") != words.npos;
  return count <= 4 && vowel && !DeniesOrHedges(words);
}

Unit ParseUnit(absl::string_view text) {
  if (text == "mph") return ParseUnit("mi/h");
  if (text == "kph" || text == "kmh") return ParseUnit("km/h");
  Unit unit;
  unit.factor = Rational(1);
  std::map<std::string, int64_t> dimensions;
  int64_t sign = 1;
  int64_t next_power = 1;  // From "square" and "cubic".
  bool known = true;
  bool any = false;
  size_t i = 0;
  while (i < text.size() && known) {
    const char c = text[i];
    // "sq. in."
    if (c == '.') {
      ++i;
      continue;
    }
    if (c == '/') {
      sign = -1;
      ++i;
      continue;
    }
    if (!IsLetter(c)) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && IsLetter(text[end])) ++end;
    const absl::string_view word = text.substr(i, end - i);
    i = end;
    const std::string lower = absl::AsciiStrToLower(word);
    if (lower == "square" || lower == "sq") {
      next_power = 2;
      continue;
    }
    if (lower == "cubic" || lower == "cu") {
      next_power = 3;
      continue;
    }
    if (lower == "per") {
      sign = -1;
      continue;
    }
    if (lower == "squared" || lower == "cubed" || lower == "of") continue;
    const KnownUnit* const found = Find(word);
    if (found == nullptr) {
      known = false;
      break;
    }
    int64_t power = next_power;
    next_power = 1;
    // cm^2, cm2, cm^{2}, meters squared
    size_t k = i;
    while (k < text.size() && (text[k] == '^' || text[k] == '{')) ++k;
    if (k < text.size() && (text[k] == '2' || text[k] == '3')) {
      power = text[k] - '0';
      i = k + 1;
    } else if (absl::StartsWith(text.substr(i), " squared")) {
      power = 2;
    } else if (absl::StartsWith(text.substr(i), " cubed")) {
      power = 3;
    }
    dimensions[found->dimension] += sign * power * found->power;
    Raise(&unit.factor, *found, sign * power);
    any = true;
  }
  if (!known || !any) {
    unit.dimension = Singular(absl::AsciiStrToLower(text));
    unit.factor = Rational(1);
    return unit;
  }
  unit.known = true;
  for (const auto& [name, power] : dimensions) {
    if (power == 0) continue;
    absl::StrAppend(&unit.dimension, unit.dimension.empty() ? "" : "*", name,
                    power == 1 ? "" : absl::StrCat(power));
  }
  return unit;
}

}  // namespace ponder::math
