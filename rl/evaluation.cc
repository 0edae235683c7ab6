#include "rl/evaluation.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/philox.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

// Sums over the samples of one set.
class Tally {
 public:
  void Add(const FinishedGroup& group) {
    ++problems_;
    int64_t correct = 0, scored = 0;
    for (size_t i = 0; i < group.samples.size(); ++i) {
      const Sample& sample = group.samples[i];
      const bool unscorable = sample.score().verdict() == UNSCORABLE;
      const bool right = sample.score().verdict() == CORRECT;
      const double length = sample.response_ids_size();
      const bool thinks =
          HasThought(sample.text(), group.lease.thought_opened());
      tokens_ += sample.response_ids_size();
      unscorable_ += unscorable;
      if (i == 0) {
        greedy_scored_ += !unscorable;
        greedy_correct_ += right;
        greedy_flexible_ += sample.score().flexible_correct() || right;
        greedy_length_ += length;
        greedy_thinking_ += thinks;
        continue;
      }
      length_ += length;
      truncated_ += sample.finish_reason() == "length";
      ++samples_;
      thinking_ += thinks;
      if (unscorable) continue;
      ++scored;
      correct += right;
      (thinks ? thinking_scored_ : direct_scored_) += 1;
      (thinks ? thinking_correct_ : direct_correct_) += right;
    }
    if (scored > 0) {
      ++sampled_problems_;
      average_ += static_cast<double>(correct) / static_cast<double>(scored);
      pass_ += PassAtK(scored, correct, scored);
    }
  }

  SetAccuracy Result(int k) const {
    const auto share = [](double part, double whole) {
      return whole > 0 ? part / whole : 0.0;
    };
    SetAccuracy a;
    a.problems = problems_;
    a.k = k;
    a.greedy = share(greedy_correct_, greedy_scored_);
    a.greedy_flexible = share(greedy_flexible_, greedy_scored_);
    a.avg_at_k = share(average_, sampled_problems_);
    a.pass_at_k = share(pass_, sampled_problems_);
    a.unscorable = unscorable_;
    a.response_length = share(length_, samples_);
    a.truncated = share(truncated_, samples_);
    a.thinking_share = share(thinking_, samples_);
    a.accuracy_thinking = share(thinking_correct_, thinking_scored_);
    a.accuracy_not_thinking = share(direct_correct_, direct_scored_);
    a.greedy_response_length = share(greedy_length_, problems_);
    a.greedy_thinking_share = share(greedy_thinking_, problems_);
    return a;
  }

  int64_t tokens() const { return tokens_; }

 private:
  int64_t problems_ = 0, unscorable_ = 0, tokens_ = 0;
  double greedy_scored_ = 0, greedy_correct_ = 0, greedy_flexible_ = 0;
  double greedy_length_ = 0, greedy_thinking_ = 0;
  double samples_ = 0, length_ = 0, truncated_ = 0, thinking_ = 0;
  double thinking_scored_ = 0, thinking_correct_ = 0;
  double direct_scored_ = 0, direct_correct_ = 0;
  double sampled_problems_ = 0, average_ = 0, pass_ = 0;
};

}  // namespace

nlohmann::ordered_json SetAccuracy::ToJson() const {
  nlohmann::ordered_json json;
  json["greedy"] = greedy;
  if (k > 0) {
    json[absl::StrCat("avg@", k)] = avg_at_k;
    json[absl::StrCat("pass@", k)] = pass_at_k;
  }
  json["greedy_flexible"] = greedy_flexible;
  json["problems"] = problems;
  json["unscorable"] = unscorable;
  json["response_length"] = response_length;
  json["truncated"] = truncated;
  json["thinking_share"] = thinking_share;
  json["accuracy_thinking"] = accuracy_thinking;
  json["accuracy_not_thinking"] = accuracy_not_thinking;
  json["greedy_response_length"] = greedy_response_length;
  json["greedy_thinking_share"] = greedy_thinking_share;
  return json;
}

bool HasThought(const std::string& response, bool thought_opened) {
  const size_t end = response.find("</think>");
  if (end == std::string::npos) return false;
  size_t begin = response.find("<think>");
  if (begin != std::string::npos && begin < end) {
    begin += 7;
  } else if (thought_opened) {
    begin = 0;
  } else {
    return false;
  }
  for (size_t i = begin; i < end; ++i) {
    if (!absl::ascii_isspace(static_cast<unsigned char>(response[i]))) {
      return true;
    }
  }
  return false;
}

double PassAtK(int64_t n, int64_t c, int64_t k) {
  if (n - c < k) return 1.0;
  double miss = 1.0;
  for (int64_t i = n - c + 1; i <= n; ++i) {
    miss *= 1.0 - static_cast<double>(k) / static_cast<double>(i);
  }
  return 1.0 - miss;
}

absl::StatusOr<Evaluation> Evaluate(Run& run, const std::string& stage,
                                    const std::string& label) {
  const absl::Time start = absl::Now();
  const EvalConfig& config = run.config.eval();
  std::vector<Lease> leases;
  std::vector<std::string> set_of_lease;
  for (const DataSet& set : run.config.eval_data()) {
    PONDER_ASSIGN_OR_RETURN(const DataRows rows,
                            LoadDataRows(set, run.folder.path()));
    PONDER_RETURN_IF_ERROR(CheckPromptLengths(run, rows));
    int64_t count = static_cast<int64_t>(rows.rows.size());
    if (config.problems() > 0) count = std::min(count, config.problems());
    for (int64_t i = 0; i < count; ++i) {
      const DataRow& row = rows.rows[i];
      PONDER_ASSIGN_OR_RETURN(
          Lease lease, MakeLease(run, row, "eval", stage, run.state.step));
      lease.set_group_id(
          absl::StrCat("eval/", label, "/", rows.name, "/", row.id));
      for (int s = 0; s <= config.samples(); ++s) {
        SampleSpec* spec = lease.add_samples();
        spec->set_index(s);
        spec->set_temperature(s == 0 ? 0 : 1);
        spec->set_top_p(1);
        // The same draws for every policy that is evaluated: paired.
        spec->set_key(StreamKey()
                          .Add(run.config.seed())
                          .Add("eval")
                          .Add(rows.name)
                          .Add(row.id)
                          .Add(static_cast<uint64_t>(s))
                          .key());
      }
      leases.push_back(std::move(lease));
      set_of_lease.push_back(rows.name);
    }
  }
  Evaluation evaluation;
  if (leases.empty()) return evaluation;
  const int64_t total = static_cast<int64_t>(leases.size());
  run.progress->Start(absl::StrCat("evaluate ", label), total);
  PONDER_ASSIGN_OR_RETURN(
      const std::vector<FinishedGroup> groups,
      run.fleet->Sample(std::move(leases),
                        [&](int64_t done) { run.progress->Update(done, ""); }));
  run.progress->Finish();
  std::map<std::string, Tally> tallies;
  for (size_t i = 0; i < groups.size(); ++i) {
    tallies[set_of_lease[i]].Add(groups[i]);
  }
  for (const auto& [name, tally] : tallies) {
    evaluation.sets[name] = tally.Result(config.samples());
    evaluation.sampled_tokens += tally.tokens();
  }
  evaluation.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return evaluation;
}

Metrics EvaluationMetrics(const Evaluation& evaluation) {
  Metrics metrics;
  for (const auto& [name, a] : evaluation.sets) {
    const std::string prefix = absl::StrCat("val-core/", name, "/");
    metrics.push_back({prefix + "acc_strict", a.greedy});
    metrics.push_back({prefix + "acc_flexible", a.greedy_flexible});
    if (a.k > 0) {
      metrics.push_back({absl::StrCat(prefix, "avg@", a.k), a.avg_at_k});
      metrics.push_back({absl::StrCat(prefix, "pass@", a.k), a.pass_at_k});
      const std::string aux = absl::StrCat("val-aux/", name, "/");
      metrics.push_back({aux + "response_length", a.response_length});
      metrics.push_back({aux + "thinking_share", a.thinking_share});
      metrics.push_back({aux + "clip_ratio", a.truncated});
    }
  }
  return metrics;
}

}  // namespace ponder
