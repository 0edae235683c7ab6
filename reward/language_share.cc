#include "reward/language_share.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "reward/text_words.h"

namespace ponder {
namespace {

struct LatinLanguage {
  absl::string_view name;
  // The most common words of function, those without accents and of at least
  // two letters. A word may be in several languages.
  absl::string_view words;
};

constexpr LatinLanguage kLatinLanguages[] = {
    {"de",
     "der die das und ist zu den von mit ein eine einen es auf dem im sich "
     "nicht auch als sie wir ich dass wenn aus wird bei oder also sind man hat "
     "nach jede jeder dann durch noch werden einem einer des wie kann"},
    {"en",
     "the of and to in is that it for was on are as with be this by have or we "
     "so which from then but if there each can what all let how her she he "
     "they has an not at will more than"},
    {"es",
     "el la los las de del que en un una es por con para se no lo su al como "
     "pero sus entonces cada hay son este esta si cuando tiene donde entre "
     "porque muy ya sobre todo ser"},
    {"fr",
     "le la les de des du et un une est dans que qui pour pas sur au avec ce "
     "il elle sont ou par plus nous on se cette donc mais comme si aux leur "
     "ont alors chaque peut"},
    {"it",
     "il lo la gli di che un una per con non si del della sono come da al dei "
     "delle nel nella ma anche questo questa quindi ha se le allora ogni alla "
     "ed abbiamo poi dal cui"},
    {"nl",
     "de het een van en in is dat op te zijn met voor niet aan er om ook als "
     "dan maar we dit wordt bij uit naar hebben heeft wat worden kan elke dus "
     "deze nog door over of"},
    {"pl",
     "nie jest na to ze do jak ale czy dla przez oraz tego jako ich jej tym "
     "jego po od tak tylko wtedy wynosi mamy liczba gdy ma co jeden jedna za "
     "przy tej sobie czyli razem kiedy"},
    {"pt",
     "os as de do da dos das que em um uma para com por se ao mais como mas "
     "foi ele isso ou quando muito nos tem cada na no entre pelo pela temos "
     "ser sua seu assim"},
    {"sv",
     "och att det som en den av med inte till vi om ett har kan men var detta "
     "eller sig ska dessa varje alla de han hon blir efter finns vid mellan "
     "bara nu sedan"},
    {"tr",
     "bir ve bu da de ile ama gibi daha olarak kadar sonra olan ne var yok her "
     "ise biz ben sen onun bunu onu olur ya ki mi en bunun eder toplam"},
};
constexpr size_t kNumLatin = std::size(kLatinLanguages);

// A script that stands for one language; kana and Han see below.
struct ScriptLanguage {
  absl::string_view name;
  Script script;
};
constexpr ScriptLanguage kScriptLanguages[] = {
    {"ar", Script::kArabic},   {"el", Script::kGreek},
    {"he", Script::kHebrew},   {"hi", Script::kDevanagari},
    {"ja", Script::kKana},     {"ko", Script::kHangul},
    {"ru", Script::kCyrillic}, {"th", Script::kThai},
    {"zh", Script::kHan},
};
constexpr size_t kNumScripts = static_cast<size_t>(Script::kHan) + 1;

constexpr size_t kMinForeignHits = 2;  // One may be a name or a loan word.
// More Han characters in a sentence without kana than Japanese ever has.
constexpr int64_t kMaxHanOfJapanese = 10;
constexpr size_t kMaxFormulaBytes = 4096;
constexpr size_t kMaxTagBytes = 48;

// Bit i: the word is in kLatinLanguages[i].
using FunctionWords = absl::flat_hash_map<absl::string_view, uint16_t>;

const FunctionWords& Words() {
  static const FunctionWords* const words = [] {
    auto* map = new FunctionWords;
    for (size_t i = 0; i < kNumLatin; ++i) {
      for (const absl::string_view word :
           absl::StrSplit(kLatinLanguages[i].words, ' ')) {
        (*map)[word] |= static_cast<uint16_t>(1 << i);
      }
    }
    return map;
  }();
  return *words;
}

size_t LatinIndex(absl::string_view language) {
  size_t i = 0;
  while (i < kNumLatin && kLatinLanguages[i].name != language) ++i;
  return i;
}

// A sentence or a line.
struct Sentence {
  std::array<int64_t, kNumScripts> words = {};  // By script.
  std::array<size_t, kNumLatin> hits = {};      // Function words by language.

  int64_t of(Script script) const { return words[static_cast<size_t>(script)]; }
};

// Where a pattern stands next in a text that is gone through from its start to
// its end, in time linear in the text over all calls.
class NextPlace {
 public:
  NextPlace(absl::string_view text, absl::string_view pattern)
      : text_(text), pattern_(pattern), place_(text.find(pattern)) {}

  // The first place at `from` or behind it, or npos. `from` never falls.
  size_t From(size_t from) {
    if (place_ < from) place_ = text_.find(pattern_, from);
    return place_;
  }
  // The end of that pattern, if it stands before `limit`, or else `otherwise`.
  size_t EndFrom(size_t from, size_t limit, size_t otherwise) {
    return From(from) < limit ? place_ + pattern_.size() : otherwise;
  }

 private:
  const absl::string_view text_;
  const absl::string_view pattern_;
  size_t place_;
};

// Cuts a text into sentences and hands each to `use`.
template <typename Use>
class SentenceReader {
 public:
  SentenceReader(absl::string_view text, Use use) : text_(text), use_(use) {}

  void Read() {
    size_t at = 0;
    while (at < text_.size()) {
      const size_t end = NoWords(at);
      if (end > at) {
        EndWord();
        at = end;
        continue;
      }
      absl::string_view rest = text_.substr(at);
      const char32_t c = TakeCharacter(&rest);
      Add(c, rest);
      at = text_.size() - rest.size();
    }
    EndSentence();
  }

 private:
  bool StartsAt(size_t at, absl::string_view what) const {
    return absl::StartsWith(text_.substr(at), what);
  }

  // The end of what stands at `at` and is not made of words; `at` if it is.
  size_t NoWords(size_t at) {
    switch (text_[at]) {
      case '`':
        if (StartsAt(at, "```")) {
          return fence_.EndFrom(at + 3, text_.size(), text_.size());
        }
        return tick_.EndFrom(at + 1, newline_.From(at), at + 1);
      case '$':
        if (StartsAt(at, "$$")) {
          return dollars_.EndFrom(at + 2, at + kMaxFormulaBytes, at + 2);
        }
        return dollar_.EndFrom(at + 1, newline_.From(at), at + 1);
      case '\\':
        if (StartsAt(at, "\\(")) {
          return round_.EndFrom(at + 2, at + kMaxFormulaBytes, at + 2);
        }
        if (StartsAt(at, "\\[")) {
          return square_.EndFrom(at + 2, at + kMaxFormulaBytes, at + 2);
        }
        do {
          ++at;
        } while (at < text_.size() &&
                 absl::ascii_isalpha(static_cast<unsigned char>(text_[at])));
        return at;
      case '<':
        return angle_.EndFrom(at + 1, at + kMaxTagBytes, at + 1);
      default:
        return at;
    }
  }

  void Add(char32_t c, absl::string_view rest) {
    const Script script = ScriptOf(c);
    if (script != Script::kNone) {
      if (script != script_ || HasNoSpaces(script)) EndWord();
      script_ = script;
      ++letters_;
      if (c < 0x80 && size_ < buffer_.size()) {
        buffer_[size_++] = absl::ascii_tolower(static_cast<unsigned char>(c));
      } else {
        size_ = buffer_.size();  // None of the table's words.
      }
      return;
    }
    if (c >= 0x300 && c <= 0x36f) return;  // An accent on its own.
    if (c == '_' || (c >= '0' && c <= '9')) {
      is_name_ = true;
      return;
    }
    EndWord();
    switch (c) {
      case '.':
        if (!rest.empty() &&
            !absl::ascii_isspace(static_cast<unsigned char>(rest[0]))) {
          return;
        }
        [[fallthrough]];
      case '\n':
      case '!':
      case '?':
      case ':':
      case ';':
      case 0x61f:   // Arabic question mark.
      case 0x964:   // Danda.
      case 0x3002:  // Ideographic full stop.
      case 0xff01:
      case 0xff1f:
        EndSentence();
        return;
      default:
        return;
    }
  }

  void EndWord() {
    if (!is_name_ &&
        (letters_ > 1 || (letters_ == 1 && HasNoSpaces(script_)))) {
      ++sentence_.words[static_cast<size_t>(script_)];
      if (script_ == Script::kLatin && size_ < buffer_.size()) {
        const auto it = Words().find(absl::string_view(buffer_.data(), size_));
        for (size_t i = 0; it != Words().end() && i < kNumLatin; ++i) {
          sentence_.hits[i] += it->second >> i & 1;
        }
      }
    }
    script_ = Script::kNone;
    letters_ = 0;
    size_ = 0;
    is_name_ = false;
  }

  void EndSentence() {
    EndWord();
    use_(sentence_);
    sentence_ = Sentence();
  }

  const absl::string_view text_;
  Use use_;
  NextPlace newline_{text_, "\n"};
  NextPlace fence_{text_, "```"};
  NextPlace tick_{text_, "`"};
  NextPlace dollars_{text_, "$$"};
  NextPlace dollar_{text_, "$"};
  NextPlace round_{text_, "\\)"};
  NextPlace square_{text_, "\\]"};
  NextPlace angle_{text_, ">"};
  Sentence sentence_;
  // The word under way.
  Script script_ = Script::kNone;
  int64_t letters_ = 0;
  std::array<char, 16> buffer_;  // ASCII, lower case.
  size_t size_ = 0;              // Of the buffer; full: not in the table.
  bool is_name_ = false;         // Holds a digit or an underscore.
};

template <typename Use>
void ForEachSentence(absl::string_view text, Use use) {
  SentenceReader<Use>(text, use).Read();
}

// The language that most of the words are in; empty if there is none.
std::string MainLanguage(absl::string_view text) {
  Sentence all;
  int64_t japanese = 0;
  ForEachSentence(text, [&](const Sentence& sentence) {
    for (size_t i = 0; i < kNumScripts; ++i) all.words[i] += sentence.words[i];
    for (size_t i = 0; i < kNumLatin; ++i) all.hits[i] += sentence.hits[i];
    const int64_t kana = sentence.of(Script::kKana);
    if (kana > 0) japanese += kana + sentence.of(Script::kHan);
  });
  std::string main;
  int64_t most = 0;
  const auto take = [&](absl::string_view language, int64_t words) {
    if (words <= most) return;
    most = words;
    main = std::string(language);
  };
  const auto best = std::max_element(all.hits.begin(), all.hits.end());
  if (*best >= kMinForeignHits) {
    take(kLatinLanguages[best - all.hits.begin()].name, all.of(Script::kLatin));
  }
  for (const ScriptLanguage& language : kScriptLanguages) {
    take(language.name,
         language.script == Script::kKana ? japanese : all.of(language.script));
  }
  return main;
}

// Words of the sentence that count as `language`.
int64_t WordsIn(const Sentence& sentence, absl::string_view language) {
  const size_t latin = LatinIndex(language);
  if (latin < kNumLatin) {
    const size_t most =
        *std::max_element(sentence.hits.begin(), sentence.hits.end());
    const bool is_foreign =
        most >= kMinForeignHits && most > sentence.hits[latin];
    return is_foreign ? 0 : sentence.of(Script::kLatin);
  }
  const int64_t kana = sentence.of(Script::kKana);
  const int64_t han = sentence.of(Script::kHan);
  if (language == "ja") {
    return kana + (kana > 0 || han <= kMaxHanOfJapanese ? han : 0);
  }
  if (language == "zh") return kana > 0 ? 0 : han;
  for (const ScriptLanguage& known : kScriptLanguages) {
    if (known.name == language) return sentence.of(known.script);
  }
  return 0;
}

}  // namespace

bool IsKnownLanguage(absl::string_view language) {
  return LatinIndex(language) < kNumLatin ||
         std::any_of(
             std::begin(kScriptLanguages), std::end(kScriptLanguages),
             [&](const ScriptLanguage& l) { return l.name == language; });
}

LanguageShare MeasureLanguage(absl::string_view text, absl::string_view target,
                              absl::string_view prompt) {
  LanguageShare share;
  share.language = std::string(target);
  if (share.language.empty()) share.language = MainLanguage(prompt);
  if (share.language.empty()) share.language = MainLanguage(text);
  ForEachSentence(text, [&](const Sentence& sentence) {
    for (const int64_t words : sentence.words) share.words += words;
    share.target_words += WordsIn(sentence, share.language);
  });
  // Words of no language that is known: there is nothing to compare with.
  if (share.language.empty()) share.target_words = share.words;
  return share;
}

}  // namespace ponder
