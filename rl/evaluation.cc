#include "rl/evaluation.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/philox.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

SampleVerdict VerdictOf(const Sample& sample) {
  SampleVerdict verdict;
  verdict.scored = sample.score().verdict() != UNSCORABLE;
  verdict.correct = sample.score().verdict() == CORRECT;
  verdict.flexible = verdict.correct || sample.score().flexible_correct();
  verdict.answer = sample.score().extracted();
  return verdict;
}

// The row's column as text; empty if it has none.
std::string DifficultyOf(const Problem& problem, const std::string& column) {
  for (const Field& field : problem.row().fields()) {
    if (field.name() != column) continue;
    const Value& value = field.value();
    if (value.has_string_value()) return value.string_value();
    if (value.has_int_value()) return absl::StrCat(value.int_value());
    if (value.has_double_value()) return absl::StrCat(value.double_value());
  }
  return "";
}

// Sample 0 is the greedy one.
ProblemResult ResultOf(const FinishedGroup& group, const std::string& column) {
  std::vector<SampleVerdict> samples;
  for (const Sample& sample : group.samples) {
    samples.push_back(VerdictOf(sample));
  }
  const SampleVerdict greedy = samples.front();
  samples.erase(samples.begin());
  ProblemResult result = ProblemResult::Of(greedy, samples);
  result.set = group.lease.data_set();
  result.id = group.lease.problem().id();
  result.difficulty = DifficultyOf(group.lease.problem(), column);
  return result;
}

// Sums over the samples of one set, and its problems.
class Tally {
 public:
  void Add(const FinishedGroup& group, ProblemResult result) {
    problems_.push_back(std::move(result));
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
        greedy_length_ += length;
        greedy_thinking_ += thinks;
        continue;
      }
      length_ += length;
      truncated_ += sample.finish_reason() == "length";
      ++samples_;
      thinking_ += thinks;
      if (unscorable) continue;
      (thinks ? thinking_scored_ : direct_scored_) += 1;
      (thinks ? thinking_correct_ : direct_correct_) += right;
    }
  }

  SetAccuracy Result(int k) const {
    const auto share = [](double part, double whole) {
      return whole > 0 ? part / whole : 0.0;
    };
    const double problems = static_cast<double>(problems_.size());
    SetAccuracy a;
    a.problems = static_cast<int64_t>(problems_.size());
    a.k = k;
    a.figures = FiguresOf(problems_, k);
    std::map<std::string, std::vector<ProblemResult>> by_difficulty;
    for (const ProblemResult& problem : problems_) {
      if (problem.difficulty.empty()) continue;
      by_difficulty[problem.difficulty].push_back(problem);
    }
    for (const auto& [difficulty, some] : by_difficulty) {
      a.by_difficulty[difficulty] = FiguresOf(some, k);
    }
    a.unscorable = unscorable_;
    a.response_length = share(length_, samples_);
    a.truncated = share(truncated_, samples_);
    a.thinking_share = share(thinking_, samples_);
    a.accuracy_thinking = share(thinking_correct_, thinking_scored_);
    a.accuracy_not_thinking = share(direct_correct_, direct_scored_);
    a.greedy_response_length = share(greedy_length_, problems);
    a.greedy_thinking_share = share(greedy_thinking_, problems);
    return a;
  }

  int64_t tokens() const { return tokens_; }

 private:
  std::vector<ProblemResult> problems_;
  int64_t unscorable_ = 0, tokens_ = 0;
  double greedy_length_ = 0, greedy_thinking_ = 0;
  double samples_ = 0, length_ = 0, truncated_ = 0, thinking_ = 0;
  double thinking_scored_ = 0, thinking_correct_ = 0;
  double direct_scored_ = 0, direct_correct_ = 0;
};

// Value by name, and "interval": [low, high] by name.
void AddFigures(const Figures& figures, nlohmann::ordered_json* json) {
  nlohmann::ordered_json intervals = nlohmann::ordered_json::object();
  for (const auto& [name, figure] : figures) {
    (*json)[name] = figure.value;
    intervals[name] = {figure.low, figure.high};
  }
  (*json)["interval"] = intervals;
}

}  // namespace

nlohmann::ordered_json SetAccuracy::ToJson() const {
  nlohmann::ordered_json json;
  AddFigures(figures, &json);
  for (const auto& [difficulty, some] : by_difficulty) {
    nlohmann::ordered_json& of = json["by_difficulty"][difficulty];
    of["problems"] = some.front().second.problems;
    AddFigures(some, &of);
  }
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

std::string ResultsPath(const Run& run, const std::string& label) {
  return run.folder.File(absl::StrCat(
      "eval/", absl::StrReplaceAll(label, {{"/", "_"}}), ".jsonl"));
}

absl::StatusOr<Evaluation> Evaluate(Run& run, const std::string& stage,
                                    const std::string& label) {
  const absl::Time start = absl::Now();
  const EvalConfig& config = run.config.eval();
  std::vector<Lease> leases;
  for (const DataSet& set : run.config.eval_data()) {
    PONDER_ASSIGN_OR_RETURN(DataRows rows,
                            LoadDataRows(set, run.folder.path()));
    PONDER_RETURN_IF_ERROR(ApplyPromptLimit(run, &rows));
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
        spec->set_temperature(s == 0 ? 0 : config.temperature());
        spec->set_top_p(s == 0 ? 1 : config.top_p());
        // The same draws for every policy that is evaluated: paired.
        spec->set_key(StreamKey()
                          .Add(run.config.seed())
                          .Add("eval")
                          .Add(rows.name)
                          .Add(row.id)
                          .Add(static_cast<uint64_t>(s))
                          .key());
      }
      lease.set_data_set(rows.name);
      leases.push_back(std::move(lease));
    }
  }
  Evaluation evaluation;
  if (leases.empty()) return evaluation;
  const int64_t total = static_cast<int64_t>(leases.size());
  run.ChargeTime(/*evaluating=*/false);
  run.progress->Start(absl::StrCat("evaluate ", label), total,
                      Progress::Unit::kItem);
  int64_t done = 0;
  PONDER_ASSIGN_OR_RETURN(
      const std::vector<FinishedGroup> groups,
      run.fleet->Sample(std::move(leases), [&](const FinishedGroup&) {
        run.progress->Update(++done, "");
        return absl::OkStatus();
      }));
  run.progress->Finish();
  std::map<std::string, Tally> tallies;
  for (const FinishedGroup& group : groups) {
    ProblemResult result = ResultOf(group, config.difficulty_field());
    evaluation.problems.push_back(result);
    tallies[group.lease.data_set()].Add(group, std::move(result));
  }
  for (const auto& [name, tally] : tallies) {
    evaluation.sets[name] = tally.Result(config.samples());
    evaluation.sampled_tokens += tally.tokens();
  }
  PONDER_RETURN_IF_ERROR(
      WriteResults(ResultsPath(run, label), evaluation.problems));
  evaluation.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  run.ChargeTime(/*evaluating=*/true);
  return evaluation;
}

Metrics EvaluationMetrics(const Evaluation& evaluation) {
  Metrics metrics;
  const auto add = [&](const std::string& prefix, const Figures& figures) {
    for (const auto& [name, figure] : figures) {
      // The names that others have.
      const std::string known = name == "greedy"            ? "acc_strict"
                                : name == "greedy_flexible" ? "acc_flexible"
                                                            : name;
      metrics.emplace_back(absl::StrCat("val-core/", prefix, "/", known),
                           figure.value);
      for (const auto& [end, bound] :
           {std::pair<const char*, double>{"/ci_low", figure.low},
            {"/ci_high", figure.high}}) {
        metrics.emplace_back(absl::StrCat("val-aux/", prefix, "/", known, end),
                             bound);
      }
    }
  };
  for (const auto& [name, a] : evaluation.sets) {
    add(name, a.figures);
    for (const auto& [difficulty, figures] : a.by_difficulty) {
      add(absl::StrCat(name, "/", difficulty), figures);
    }
    if (a.k == 0) continue;
    const std::string aux = absl::StrCat("val-aux/", name, "/");
    metrics.emplace_back(absl::StrCat(aux, "response_length"),
                         a.response_length);
    metrics.emplace_back(absl::StrCat(aux, "thinking_share"), a.thinking_share);
    metrics.emplace_back(absl::StrCat(aux, "clip_ratio"), a.truncated);
  }
  return metrics;
}

std::optional<double> MeanAccuracy(const Metrics& metrics) {
  double sum = 0, count = 0;
  for (const auto& [name, value] : metrics) {
    // Not those of a difficulty: val-core/SET/DIFFICULTY/acc_strict.
    if (!absl::StartsWith(name, "val-core/") ||
        !absl::EndsWith(name, "/acc_strict") ||
        std::count(name.begin(), name.end(), '/') != 2) {
      continue;
    }
    sum += value;
    count += 1;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

std::string EvaluationText(const Evaluation& evaluation) {
  std::string text;
  const auto add = [&](const std::string& title, const Figures& figures) {
    absl::StrAppendFormat(&text, "  %s, %d problems\n", title,
                          figures.front().second.problems);
    for (const auto& [name, figure] : figures) {
      absl::StrAppendFormat(&text, "    %-18s %5.1f %%   (%.1f to %.1f)\n",
                            name, 100 * figure.value, 100 * figure.low,
                            100 * figure.high);
    }
  };
  for (const auto& [name, a] : evaluation.sets) {
    add(name, a.figures);
    for (const auto& [difficulty, figures] : a.by_difficulty) {
      add(absl::StrCat(name, ", difficulty ", difficulty), figures);
    }
    absl::StrAppendFormat(
        &text, "    length %.1f tokens, %.0f %% think, %d unscorable\n",
        a.k > 0 ? a.response_length : a.greedy_response_length,
        100 * (a.k > 0 ? a.thinking_share : a.greedy_thinking_share),
        a.unscorable);
  }
  return text;
}

}  // namespace ponder
