#include "rl/rejection.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ponder {
namespace {

// Why samples are not kept, in the order of their tests.
struct Reason {
  int64_t RejectionCounts::*count;
  const char* name;
  const char* words;
};
constexpr Reason kReasons[] = {
    {&RejectionCounts::wrong, "wrong", "wrong"},
    {&RejectionCounts::truncated, "truncated", "truncated"},
    {&RejectionCounts::too_long, "too_long", "too long"},
    {&RejectionCounts::against_rule, "against_rule", "against a rule"},
    {&RejectionCounts::repeated, "repeated", "repeated"},
    {&RejectionCounts::beyond_most, "beyond_most", "more than max_per_problem"},
};

bool MeetsRules(const KeepSamples& keep, const Sample& sample) {
  for (const KeepRule& rule : keep.rule()) {
    bool met = false;
    for (const ComponentScore& part : sample.score().components()) {
      met |= part.name() == rule.component() && part.has_value() &&
             part.value() >= rule.min();
    }
    if (!met) return false;
  }
  return true;
}

// Responses that differ in white space alone are the same.
std::string WithoutSpaces(const std::string& text) {
  std::string result;
  for (const absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty())) {
    absl::StrAppend(&result, word, " ");
  }
  return result;
}

}  // namespace

std::string RejectionCounts::Text() const {
  std::string text = absl::StrCat("kept ", kept, " of ", samples,
                                  " samples, of ", problems, " problems");
  std::string dropped;
  for (const Reason& reason : kReasons) {
    const int64_t count = this->*reason.count;
    if (count == 0) continue;
    absl::StrAppend(&dropped, dropped.empty() ? "" : ", ", count, " ",
                    reason.words);
  }
  if (!dropped.empty()) absl::StrAppend(&text, "; dropped ", dropped);
  return text;
}

nlohmann::ordered_json RejectionCounts::ToJson() const {
  nlohmann::ordered_json json = {{"samples", samples}};
  for (const Reason& reason : kReasons) json[reason.name] = this->*reason.count;
  json["kept"] = kept;
  json["problems"] = problems;
  return json;
}

std::vector<std::vector<int>> KeptSamples(
    const KeepSamples& keep, const std::vector<FinishedGroup>& groups,
    RejectionCounts* counts) {
  // A sample, by its group and its place in it.
  using Place = std::pair<size_t, int>;
  std::map<std::pair<std::string, std::string>, std::vector<Place>> problems;
  for (size_t g = 0; g < groups.size(); ++g) {
    const Lease& lease = groups[g].lease;
    std::vector<Place>& places =
        problems[{lease.data_set(), lease.problem().id()}];
    for (size_t i = 0; i < groups[g].samples.size(); ++i) {
      places.push_back({g, static_cast<int>(i)});
    }
  }
  std::vector<std::vector<int>> kept(groups.size());
  const auto sample_at = [&](const Place& place) -> const Sample& {
    return groups[place.first].samples[static_cast<size_t>(place.second)];
  };
  for (auto& [problem, places] : problems) {
    std::stable_sort(places.begin(), places.end(),
                     [&](const Place& a, const Place& b) {
                       return sample_at(a).response_ids_size() <
                              sample_at(b).response_ids_size();
                     });
    std::set<std::string> seen;
    int num_kept = 0;
    for (const Place& place : places) {
      const Sample& sample = sample_at(place);
      ++counts->samples;
      if (sample.score().verdict() != CORRECT) {
        ++counts->wrong;
      } else if (sample.finish_reason() != "stop") {
        ++counts->truncated;
      } else if (keep.has_max_response_tokens() &&
                 sample.response_ids_size() > keep.max_response_tokens()) {
        ++counts->too_long;
      } else if (!MeetsRules(keep, sample)) {
        ++counts->against_rule;
      } else if (!seen.insert(WithoutSpaces(sample.text())).second) {
        ++counts->repeated;
      } else if (keep.max_per_problem() > 0 &&
                 num_kept >= keep.max_per_problem()) {
        ++counts->beyond_most;
      } else {
        kept[place.first].push_back(place.second);
        ++num_kept;
      }
    }
    counts->kept += num_kept;
    counts->problems += num_kept > 0 ? 1 : 0;
  }
  for (std::vector<int>& indices : kept) {
    std::sort(indices.begin(), indices.end());
  }
  return kept;
}

}  // namespace ponder
