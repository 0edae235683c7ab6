#include "rl/accuracy.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/philox.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kResamples = 1000;
constexpr int kFlips = 10000;

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::optional<double> GreedyOf(const ProblemResult& problem) {
  if (!problem.greedy) return std::nullopt;
  return problem.greedy->correct ? 1 : 0;
}

std::optional<double> ShareOf(int64_t part, const ProblemResult& problem) {
  if (problem.scored == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(problem.scored);
}

std::optional<double> AverageOf(const ProblemResult& problem) {
  return ShareOf(problem.correct, problem);
}

// The problems' values of one figure.
template <typename ValueOfProblem>
std::vector<double> Collect(const std::vector<ProblemResult>& problems,
                            ValueOfProblem value) {
  std::vector<double> values;
  for (const ProblemResult& problem : problems) {
    if (const std::optional<double> v = value(problem)) values.push_back(*v);
  }
  return values;
}

// Share of random assignments of A and B whose mean difference is at least as
// large.
double SignFlipPValue(const std::vector<double>& differences) {
  const double observed = std::abs(Mean(differences));
  RandomStream random(StreamKey().Add("sign flips").key());
  int at_least = 1;  // What was observed is one of them.
  for (int i = 0; i < kFlips; ++i) {
    double sum = 0;
    for (const double d : differences) sum += random.Double() < 0.5 ? d : -d;
    const double mean = std::abs(sum) / static_cast<double>(differences.size());
    at_least += mean >= observed - 1e-12;
  }
  return static_cast<double>(at_least) / (kFlips + 1);
}

template <typename ValueOfProblem>
void AddDifference(
    const std::string& set, const std::string& figure,
    const std::vector<std::pair<const ProblemResult*, const ProblemResult*>>&
        pairs,
    ValueOfProblem value, std::vector<PairedDifference>* differences) {
  std::vector<double> a, b, difference;
  for (const auto& [first, second] : pairs) {
    const std::optional<double> of_a = value(*first), of_b = value(*second);
    if (!of_a || !of_b) continue;
    a.push_back(*of_a);
    b.push_back(*of_b);
    difference.push_back(*of_b - *of_a);
  }
  if (a.empty()) return;
  PairedDifference result;
  result.set = set;
  result.figure = figure;
  result.a = BootstrapMean(a);
  result.b = BootstrapMean(b);
  result.difference = BootstrapMean(difference);
  result.p_value = SignFlipPValue(difference);
  differences->push_back(std::move(result));
}

}  // namespace

double PassAtK(int64_t n, int64_t c, int64_t k) {
  if (n - c < k) return 1.0;
  double miss = 1.0;
  for (int64_t i = n - c + 1; i <= n; ++i) {
    miss *= 1.0 - static_cast<double>(k) / static_cast<double>(i);
  }
  return 1.0 - miss;
}

std::optional<double> MajorityCorrect(
    const std::vector<SampleVerdict>& samples) {
  int64_t right = 0, scored = 0;
  std::map<std::string, int64_t> wrong;
  for (const SampleVerdict& sample : samples) {
    if (!sample.scored) continue;
    ++scored;
    if (sample.correct) {
      ++right;
    } else if (!sample.answer.empty()) {
      ++wrong[sample.answer];
    }
  }
  if (scored == 0) return std::nullopt;
  int64_t most = right;
  for (const auto& [answer, votes] : wrong) most = std::max(most, votes);
  if (right < most || right == 0) return 0;
  const auto tied =
      std::count_if(wrong.begin(), wrong.end(),
                    [&](const auto& entry) { return entry.second == most; });
  return 1.0 / static_cast<double>(1 + tied);
}

ProblemResult ProblemResult::Of(const SampleVerdict& greedy,
                                const std::vector<SampleVerdict>& samples) {
  ProblemResult result;
  if (greedy.scored) result.greedy = greedy;
  for (const SampleVerdict& sample : samples) {
    if (!sample.scored) continue;
    ++result.scored;
    result.correct += sample.correct;
    result.flexible += sample.flexible;
  }
  result.majority = MajorityCorrect(samples);
  return result;
}

Json ProblemResult::ToJson() const {
  Json json;
  json["set"] = set;
  json["id"] = id;
  if (!difficulty.empty()) json["difficulty"] = difficulty;
  if (greedy) {
    json["greedy"] = greedy->correct;
    json["greedy_flexible"] = greedy->flexible;
  }
  json["scored"] = scored;
  json["correct"] = correct;
  json["flexible"] = flexible;
  if (majority) json["majority"] = *majority;
  return json;
}

Figure BootstrapMean(const std::vector<double>& values) {
  Figure figure;
  figure.problems = static_cast<int64_t>(values.size());
  if (values.empty()) return figure;
  figure.value = Mean(values);
  RandomStream random(StreamKey().Add("bootstrap").key());
  const int64_t last = figure.problems - 1;
  std::vector<double> means(kResamples);
  for (double& mean : means) {
    double sum = 0;
    for (int64_t i = 0; i <= last; ++i) sum += values[random.Int(0, last)];
    mean = sum / static_cast<double>(figure.problems);
  }
  std::sort(means.begin(), means.end());
  figure.low = means[kResamples * 25 / 1000];
  figure.high = means[kResamples * 975 / 1000 - 1];
  return figure;
}

Figures FiguresOf(const std::vector<ProblemResult>& problems, int samples) {
  Figures figures;
  const auto add = [&](const std::string& name, auto value) {
    figures.emplace_back(name, BootstrapMean(Collect(problems, value)));
  };
  add("greedy", GreedyOf);
  add("greedy_flexible",
      [](const ProblemResult& problem) -> std::optional<double> {
        if (!problem.greedy) return std::nullopt;
        return problem.greedy->flexible || problem.greedy->correct ? 1 : 0;
      });
  if (samples == 0) return figures;
  add(absl::StrCat("avg@", samples), AverageOf);
  add(absl::StrCat("avg@", samples, "_flexible"),
      [](const ProblemResult& problem) {
        return ShareOf(std::max(problem.flexible, problem.correct), problem);
      });
  add(absl::StrCat("maj@", samples),
      [](const ProblemResult& problem) { return problem.majority; });
  std::set<int> ks = {samples};
  for (int k = 2; k < samples; k *= 2) ks.insert(k);
  for (const int k : ks) {
    add(absl::StrCat("pass@", k),
        [k](const ProblemResult& problem) -> std::optional<double> {
          if (problem.scored == 0) return std::nullopt;
          return PassAtK(problem.scored, problem.correct,
                         std::min<int64_t>(k, problem.scored));
        });
  }
  return figures;
}

double ValueOf(const Figures& figures, const std::string& name) {
  for (const auto& [known, figure] : figures) {
    if (known == name) return figure.value;
  }
  return 0;
}

std::vector<PairedDifference> Compare(const std::vector<ProblemResult>& a,
                                      const std::vector<ProblemResult>& b) {
  std::map<std::pair<std::string, std::string>, const ProblemResult*> first;
  for (const ProblemResult& problem : a) {
    first[{problem.set, problem.id}] = &problem;
  }
  std::map<std::string,
           std::vector<std::pair<const ProblemResult*, const ProblemResult*>>>
      pairs;
  for (const ProblemResult& problem : b) {
    const auto it = first.find({problem.set, problem.id});
    if (it != first.end()) {
      pairs[problem.set].emplace_back(it->second, &problem);
    }
  }
  if (pairs.size() > 1) {
    auto& all = pairs[kAllSets];
    for (const auto& [set, of_set] : pairs) {
      if (set != kAllSets) all.insert(all.end(), of_set.begin(), of_set.end());
    }
  }
  std::vector<PairedDifference> differences;
  for (const auto& [set, of_set] : pairs) {
    AddDifference(set, "greedy", of_set, GreedyOf, &differences);
    AddDifference(set, "avg", of_set, AverageOf, &differences);
  }
  return differences;
}

absl::Status WriteResults(const std::string& path,
                          const std::vector<ProblemResult>& results) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(),
                                      error);
  std::string text;
  for (const ProblemResult& result : results) {
    text +=
        result.ToJson().dump(-1, ' ', false, Json::error_handler_t::replace) +
        "\n";
  }
  return WriteFileAtomically(path, text);
}

namespace {

// Whether this is what ProblemResult::ToJson() writes.
bool IsResult(const Json& json) {
  const auto is = [&](const char* name, bool (Json::*type)() const noexcept,
                      bool may_miss = true) {
    return json.contains(name) ? (json[name].*type)() : may_miss;
  };
  return json.is_object() && is("set", &Json::is_string, false) &&
         is("id", &Json::is_string, false) &&
         is("scored", &Json::is_number_integer, false) &&
         is("correct", &Json::is_number_integer, false) &&
         is("flexible", &Json::is_number_integer) &&
         is("difficulty", &Json::is_string) &&
         is("greedy", &Json::is_boolean) &&
         is("greedy_flexible", &Json::is_boolean) &&
         is("majority", &Json::is_number);
}

}  // namespace

absl::StatusOr<std::vector<ProblemResult>> ReadResults(
    const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::vector<ProblemResult> results;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const Json json = Json::parse(line.begin(), line.end(), nullptr,
                                  /*allow_exceptions=*/false);
    if (!IsResult(json)) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": line ", results.size() + 1,
          " is no result of an evaluation; wanted RUN/eval/NAME.jsonl"));
    }
    ProblemResult& result = results.emplace_back();
    result.set = json.value("set", "");
    result.id = json.value("id", "");
    result.difficulty = json.value("difficulty", "");
    if (json.contains("greedy")) {
      result.greedy =
          SampleVerdict{.scored = true,
                        .correct = json.value("greedy", false),
                        .flexible = json.value("greedy_flexible", false),
                        .answer = ""};
    }
    result.scored = json.value("scored", int64_t{0});
    result.correct = json.value("correct", int64_t{0});
    result.flexible = json.value("flexible", int64_t{0});
    if (json.contains("majority")) {
      result.majority = json.value("majority", 0.0);
    }
  }
  return results;
}

}  // namespace ponder
