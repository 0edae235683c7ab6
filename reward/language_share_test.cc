#include "reward/language_share.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "proto/text_config.h"

namespace ponder {
namespace {

double Share(absl::string_view text, absl::string_view target) {
  return MeasureLanguage(text, target, "").value();
}

constexpr absl::string_view kEnglish =
    "She sells 9 eggs a day, so we multiply by the price.";
constexpr absl::string_view kGerman =
    "Sie verkauft jeden Tag 9 Eier, also rechnen wir mit dem Preis.";
constexpr absl::string_view kFrench =
    "Elle vend 9 oeufs par jour, donc nous multiplions avec le prix.";
constexpr absl::string_view kSpanish =
    "Ella vende 9 huevos al dia, entonces se multiplica por el precio.";
// "We compute the total first" in Chinese (13 characters), Japanese and
// Russian.
constexpr absl::string_view kChinese =
    "\xe6\x88\x91\xe4\xbb\xac\xe5\x85\x88\xe8\xae\xa1\xe7\xae\x97\xe6\x80\xbb"
    "\xe6\x95\xb0\xef\xbc\x8c\xe7\x84\xb6\xe5\x90\x8e\xe9\x99\xa4\xe4\xbb\xa5"
    "\xe4\xba\xba\xe6\x95\xb0\xe3\x80\x82";
constexpr absl::string_view kJapanese =
    "\xe3\x81\xbe\xe3\x81\x9a\xe5\x90\x88\xe8\xa8\x88\xe3\x82\x92\xe8\xa8\x88"
    "\xe7\xae\x97\xe3\x81\x97\xe3\x81\xbe\xe3\x81\x99\xe3\x80\x82";
constexpr absl::string_view kRussian =
    "\xd0\xa1\xd0\xbd\xd0\xb0\xd1\x87\xd0\xb0\xd0\xbb\xd0\xb0 "
    "\xd0\xb2\xd1\x8b\xd1\x87\xd0\xb8\xd1\x81\xd0\xbb\xd0\xb8\xd0\xbc "
    "\xd1\x81\xd1\x83\xd0\xbc\xd0\xbc\xd1\x83.";

TEST(LanguageShareTest, OneLanguageIsAllOrNothing) {
  const std::pair<absl::string_view, absl::string_view> texts[] = {
      {"en", kEnglish}, {"de", kGerman},   {"fr", kFrench}, {"es", kSpanish},
      {"zh", kChinese}, {"ja", kJapanese}, {"ru", kRussian}};
  for (const auto& [language, text] : texts) {
    for (const auto& [target, unused] : texts) {
      EXPECT_EQ(Share(text, target), language == target ? 1 : 0)
          << text << " as " << target;
    }
    // The prompt says what is wanted where no option does.
    EXPECT_EQ(MeasureLanguage(text, "", text).language, language);
    EXPECT_EQ(MeasureLanguage(text, "", "7 * 6 =").language, language);
  }
}

TEST(LanguageShareTest, ShareIsOfWords) {
  // Thirteen Han characters among ten English words of two letters or more.
  const LanguageShare share = MeasureLanguage(
      absl::StrCat("<think>", kEnglish, kChinese, "</think>"), "en", "");
  EXPECT_EQ(share.words, 10 + 13);
  EXPECT_EQ(share.target_words, 10);
  EXPECT_EQ(share.value(), 10.0 / 23);
}

TEST(LanguageShareTest, SentencesAreJudgedAlone) {
  const std::string mixed = absl::StrCat(kEnglish, " ", kGerman);
  const LanguageShare share =
      MeasureLanguage(mixed, "", "How many eggs is it?");
  EXPECT_EQ(share.language, "en");
  EXPECT_EQ(share.words, 10 + 11);
  EXPECT_EQ(share.target_words, 10);
}

TEST(LanguageShareTest, OneForeignWordIsALoan) {
  EXPECT_EQ(Share("Roll the die twice. A die roll, et cetera.", "en"), 1);
  EXPECT_EQ(Share("Das ist der Code of Conduct.", "de"), 1);
}

TEST(LanguageShareTest, FormulasCodeTagsAndNumbersAreNoWords) {
  for (const absl::string_view text :
       {"$x = \\text{le prix de la}$", "$$\nder die das\n$$", "\\(de la\\)",
        "\\[les des\\]", "\\boxed{42}", "```python\nfor der in die:\n```",
        "`le la les`", "x + y = 7", "<|im_end|>", "sum_of_les x1 n2", "",
        "\n"}) {
    const LanguageShare share = MeasureLanguage(text, "en", "");
    EXPECT_EQ(share.words, 0) << text;
    EXPECT_EQ(share.value(), 1) << text;
  }
  // What is not closed hides nothing behind it.
  EXPECT_EQ(Share(absl::StrCat("It costs $5.\n", kGerman), "en"),
            MeasureLanguage(absl::StrCat("It costs 5.\n", kGerman), "en", "")
                .value());
  EXPECT_GT(MeasureLanguage("a < b and then \\( more", "en", "").words, 0);
}

TEST(LanguageShareTest, UnknownLanguageComparesWithNothing) {
  const LanguageShare share = MeasureLanguage("foo bar baz", "", "1+1");
  EXPECT_EQ(share.language, "");
  EXPECT_EQ(share.value(), 1);
}

TEST(LanguageShareTest, AnyBytes) {
  EXPECT_EQ(Share("\xff\xfe the \xc3", "en"), 1);
}

// Time is linear in the text, whatever is opened and not closed: a quadratic
// reader would take minutes here.
TEST(LanguageShareTest, LongestTexts) {
  for (const absl::string_view part :
       {"$", "$a", "\\(", "\\[", "`", "<", "$$a", "\\", "a.\n"}) {
    std::string text;
    while (text.size() < size_t{1} << 20) absl::StrAppend(&text, part);
    EXPECT_EQ(MeasureLanguage(text, "", text).words, 0) << part;
  }
}

TEST(LanguageShareTest, ConfigurationKnowsTheSameLanguages) {
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) {
      const std::string language = {a, b};
      RunConfig config;
      config.mutable_policy()->set_path("p");
      RewardComponent* component = config.mutable_reward()->add_component();
      component->set_name("language");
      component->mutable_language()->set_target(language);
      EXPECT_EQ(ValidateRunConfig(config).ok(), IsKnownLanguage(language))
          << ValidateRunConfig(config);
    }
  }
}

}  // namespace
}  // namespace ponder
