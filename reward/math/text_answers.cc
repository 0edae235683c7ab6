#include "reward/math/text_answers.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "reward/characters.h"
#include "reward/math/plain_text.h"

namespace ponder::math {
namespace {

// "(B)5", "B.5": a choice with what it says.
struct Choice {
  absl::string_view letter;  // Empty: it is none.
  absl::string_view text;
};

// No second choice and no doubt: what stands behind a choice's letter is what
// the choice says.
bool SaysOneThing(absl::string_view text) {
  const auto is_letter = [&](size_t i) {
    return i < text.size() && absl::ascii_isalpha(text[i]);
  };
  for (size_t k = 0; k < text.size(); ++k) {
    // A letter by itself, or no plain text.
    const bool another = text[k] >= 'A' && text[k] <= 'F' &&
                         !is_letter(k + 1) &&
                         (k == 0 || !is_letter(k - 1) || text[k - 1] == 'o');
    if (another || !absl::ascii_isascii(text[k]) || text[k] == '\'') {
      return false;
    }
  }
  const std::string lower = absl::AsciiStrToLower(text);
  for (const absl::string_view sign :
       {"(", ",", ";", "or", "and", "not", "wrong", "vs", "maybe"}) {
    if (absl::StrContains(lower, sign)) return false;
  }
  return !DeniesOrHedges(text);
}

Choice ChoiceOf(absl::string_view normal_text) {
  Choice choice;
  absl::string_view text = normal_text;
  for (const absl::string_view word :
       {"option", "choice", "Option", "Choice"}) {
    if (!absl::ConsumePrefix(&text, word)) continue;
    // "Option C" is a choice without more.
    if (text.size() == 1 && absl::ascii_isalpha(text[0])) choice.letter = text;
    return choice;
  }
  const bool bracket = absl::ConsumePrefix(&text, "(");
  if (text.size() < 3 || text[0] < 'A' || text[0] > 'F') return choice;
  const bool ended =
      text[1] == ')' || (!bracket && (text[1] == '.' || text[1] == ':'));
  if (!ended) return choice;
  const absl::string_view rest = text.substr(2);
  if (!SaysOneThing(rest)) return choice;
  choice.letter = text.substr(0, 1);
  choice.text = rest;
  return choice;
}

// Different words for the same.
absl::string_view CommonName(absl::string_view normal_text) {
  static constexpr std::pair<absl::string_view, absl::string_view> kNames[] = {
      {"nosolution", "\\emptyset"},     {"nosolutions", "\\emptyset"},
      {"norealsolution", "\\emptyset"}, {"norealsolutions", "\\emptyset"},
      {"emptyset", "\\emptyset"},       {"\\varnothing", "\\emptyset"},
      {"\\{\\}", "\\emptyset"},         {"DNE", "doesnotexist"},
      {"dne", "doesnotexist"}};
  for (const auto& [name, common] : kNames) {
    if (normal_text == name) return common;
  }
  return normal_text;
}

// yes, Yes, YES; not abc and ABC, which are products or points.
bool IsSameWord(absl::string_view a, absl::string_view b) {
  if (!absl::EqualsIgnoreCase(a, b) || !IsWordAnswer(a)) return false;
  const auto is_word = [](absl::string_view text) {
    const bool lower =
        std::all_of(text.begin() + 1, text.end(), absl::ascii_islower);
    const bool upper =
        std::all_of(text.begin(), text.end(), absl::ascii_isupper);
    return lower || (upper && (text.size() > 3 || text == "YES" ||
                               text == "ODD" || text == "ALL"));
  };
  return is_word(a) && is_word(b);
}

}  // namespace

bool IsWordAnswer(absl::string_view normal_text) {
  const auto is_letter = [](char c) {
    return absl::ascii_isalpha(static_cast<unsigned char>(c)) ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  return normal_text.size() >= 3 &&
         std::all_of(normal_text.begin(), normal_text.end(), is_letter);
}

bool IsDateOrTime(absl::string_view normal_text) {
  // 2024-05-06, 12/25/2024, 10:30, 10:30pm
  std::vector<absl::string_view> parts =
      absl::StrSplit(normal_text, absl::ByAnyChar("-/"));
  const auto digits = [](absl::string_view part, size_t most) {
    return !part.empty() && part.size() <= most &&
           std::all_of(part.begin(), part.end(), IsDigit);
  };
  if (parts.size() == 3 && digits(parts[0], 4) && digits(parts[1], 2) &&
      digits(parts[2], 4) && (parts[0].size() == 4 || parts[2].size() == 4)) {
    return true;
  }
  const auto is_half_of_day = [](absl::string_view rest) {
    return rest == "am" || rest == "pm" || rest == "a.m" || rest == "p.m" ||
           rest == "a.m." || rest == "p.m." || rest == "AM" || rest == "PM";
  };
  size_t hours = 0;
  while (hours < normal_text.size() && IsDigit(normal_text[hours])) ++hours;
  if (hours > 0 && hours <= 2 && is_half_of_day(normal_text.substr(hours))) {
    return true;
  }
  parts = absl::StrSplit(normal_text, ':');
  if (parts.size() != 2 || !digits(parts[0], 2) || parts[1].size() < 2) {
    return false;
  }
  if (!digits(parts[1].substr(0, 2), 2)) return false;
  return is_half_of_day(parts[1].substr(2));
}

bool IsClock(absl::string_view text) {
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos || colon == 0 || colon > 2 ||
      text.size() != colon + 3) {
    return false;
  }
  for (size_t k = 0; k < text.size(); ++k) {
    if (k != colon && !absl::ascii_isdigit(text[k])) return false;
  }
  return true;
}

bool IsSameText(absl::string_view a, absl::string_view b) {
  if (a == b || CommonName(a) == CommonName(b)) return true;
  for (const auto& [said, other] : {std::pair(a, b), std::pair(b, a)}) {
    const Choice choice = ChoiceOf(said);
    if (choice.letter.empty()) continue;
    const bool named = choice.text.empty();  // "Option C"
    if (choice.letter == other ||
        (named && absl::EqualsIgnoreCase(choice.letter, other))) {
      return true;
    }
    if (!named && absl::EqualsIgnoreCase(choice.text, other) &&
        IsWordAnswer(other)) {
      return true;
    }
  }
  if (IsDateOrTime(a) && IsDateOrTime(b)) {
    const auto bare = [](absl::string_view text) {
      return absl::StrReplaceAll(absl::AsciiStrToLower(text), {{".", ""}});
    };
    return bare(a) == bare(b);
  }
  return IsSameWord(a, b);
}

}  // namespace ponder::math
