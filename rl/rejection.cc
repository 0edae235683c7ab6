#include "rl/rejection.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ponder {
namespace {

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
  for (const auto& [count, reason] :
       {std::pair<int64_t, const char*>{wrong, "wrong"},
        {truncated, "truncated"},
        {too_long, "too long"},
        {against_rule, "against a rule"},
        {repeated, "repeated"},
        {beyond_most, "more than max_per_problem"}}) {
    if (count == 0) continue;
    absl::StrAppend(&dropped, dropped.empty() ? "" : ", ", count, " ", reason);
  }
  if (!dropped.empty()) absl::StrAppend(&text, "; dropped ", dropped);
  return text;
}

std::vector<int> KeptSamples(const KeepSamples& keep,
                             const FinishedGroup& group,
                             RejectionCounts* counts) {
  std::vector<int> order(group.samples.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return group.samples[a].response_ids_size() <
           group.samples[b].response_ids_size();
  });
  std::vector<int> kept;
  std::set<std::string> seen;
  for (const int i : order) {
    const Sample& sample = group.samples[i];
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
               static_cast<int>(kept.size()) >= keep.max_per_problem()) {
      ++counts->beyond_most;
    } else {
      kept.push_back(i);
    }
  }
  counts->kept += static_cast<int64_t>(kept.size());
  counts->problems += kept.empty() ? 0 : 1;
  return kept;
}

}  // namespace ponder
