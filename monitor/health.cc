#include "monitor/health.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kStepsBeforeRules = 5;
constexpr int kStepsInARow = 3;
constexpr size_t kWindow = 5;  // Steps that rewards and lengths are means of.

std::string Percent(double fraction) {
  return absl::StrFormat("%.0f %%", 100 * fraction);
}

double Mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

std::string ZeroSignalAdvice(const StepHealth& health) {
  if (health.correct_fraction > 0.5) {
    return "most samples are right: take harder problems, or end the stage";
  }
  return "most samples are wrong: take easier problems, a longer cold start, "
         "or "
         "more samples_per_prompt; see with `ponder view` whether the answers "
         "have the wanted form";
}

}  // namespace

struct HealthRules::Rule {
  HealthConfig::Rule rule;
  bool broken;
  bool beyond;         // Broken, and beyond the harder limit if it has one.
  std::string found;   // What is wrong, if it is broken.
  std::string advice;  // What to do about it.
};

HealthRules::HealthRules(const HealthConfig& config) : config_(config) {}

bool HealthRules::MayStop(HealthConfig::Rule rule) const {
  if (!config_.stop()) return false;
  if (!config_.stop_on().empty()) {
    return std::count(config_.stop_on().begin(), config_.stop_on().end(),
                      rule) > 0;
  }
  return rule == HealthConfig::truncation || rule == HealthConfig::mismatch ||
         rule == HealthConfig::unscorable || rule == HealthConfig::grad_norm;
}

std::vector<HealthRules::Rule> HealthRules::Judge(
    const StepHealth& health) const {
  // `!(a <= b)` rather than `a > b`: NaN breaks a rule.
  const auto above = [](double a, double limit) { return !(a <= limit); };
  std::vector<Rule> rules;
  const auto add = [&](HealthConfig::Rule rule, bool broken, bool beyond,
                       std::string found, std::string advice) {
    rules.push_back(
        {rule, broken, beyond, std::move(found), std::move(advice)});
  };
  const auto add_one_limit = [&](HealthConfig::Rule rule, bool broken,
                                 std::string found, std::string advice) {
    add(rule, broken, broken, std::move(found), std::move(advice));
  };

  add_one_limit(
      HealthConfig::unscorable,
      above(health.unscorable_fraction, config_.max_unscorable_fraction()),
      absl::StrCat(Percent(health.unscorable_fraction),
                   " of the samples are unscorable, at most ",
                   Percent(config_.max_unscorable_fraction()), " may be"),
      "look at the reasons with `ponder view` and check the gold answers with "
      "`ponder verify data`");
  const double clip_limit =
      std::min(config_.warn_clip_ratio(), config_.max_clip_ratio());
  const bool too_many_cut = above(health.clip_ratio, config_.max_clip_ratio());
  add(HealthConfig::truncation, above(health.clip_ratio, clip_limit),
      too_many_cut,
      absl::StrCat(
          Percent(health.clip_ratio),
          " of the responses hit the token limit, at most ",
          Percent(too_many_cut ? config_.max_clip_ratio() : clip_limit),
          " may"),
      "raise prompt.max_response_tokens");
  add_one_limit(
      HealthConfig::entropy_floor,
      health.entropy && !(*health.entropy >= config_.min_entropy()),
      absl::StrFormat("entropy is %.2g nats, below %.2g",
                      health.entropy.value_or(0), config_.min_entropy()),
      "the policy hardly explores any more; lower the learning rate, "
      "raise clip_high or set entropy_coef");
  const double diff_limit =
      std::min(config_.warn_logprob_diff(), config_.max_logprob_diff());
  const double diff = health.logprob_diff_mean.value_or(0);
  const bool too_far = above(diff, config_.max_logprob_diff());
  add(HealthConfig::mismatch, above(diff, diff_limit), too_far,
      absl::StrFormat("log-probabilities of sampler and learner differ by "
                      "%.2g, at most %.2g may be",
                      diff, too_far ? config_.max_logprob_diff() : diff_limit),
      "the workers do not sample from the policy that is trained; this is a "
      "fault of the program or of a worker's build");
  add_one_limit(
      HealthConfig::zero_signal,
      !(health.zero_signal_fraction < config_.max_zero_signal_fraction()),
      absl::StrFormat("%s of the groups have no two different rewards, with %s "
                      "of the samples right, so that hardly anything is "
                      "learned",
                      Percent(health.zero_signal_fraction),
                      Percent(health.correct_fraction)),
      ZeroSignalAdvice(health));
  const double length = Mean(first_lengths_);
  add_one_limit(
      HealthConfig::length_collapse,
      first_lengths_.size() == kWindow &&
          !(health.response_length >= config_.min_length_ratio() * length),
      absl::StrFormat("responses have %.1f tokens, less than %s of the %.1f "
                      "that they had in the stage's first steps",
                      health.response_length,
                      Percent(config_.min_length_ratio()), length),
      "a length or repetition component weighs too much, or thinking does not "
      "pay; look at samples with `ponder view`");
  const Fall fall = fall_.value_or(Fall());
  add_one_limit(
      HealthConfig::reward_hacking, fall_.has_value(),
      absl::StrFormat(
          "held-out accuracy fell from %.1f %% to %.1f %% while the "
          "training reward rose from %.3f to %.3f",
          100 * fall.from, 100 * fall.to, fall.reward_from, fall.reward_to),
      "the reward is being gamed or the training set learned by heart; look at "
      "samples with high reward with `ponder view`, and go back to the best "
      "checkpoint");
  add_one_limit(HealthConfig::grad_norm, !std::isfinite(health.grad_norm),
                "the gradient is not finite",
                "lower the learning rate and resume from the last checkpoint");
  return rules;
}

HealthReport HealthRules::Check(int64_t step, const StepHealth& health) {
  HealthReport report;
  std::vector<std::string> broken;
  std::vector<std::string> began;
  for (const Rule& rule : Judge(health)) {
    const std::string name =
        absl::StrCat("health/", HealthConfig::Rule_Name(rule.rule));
    report.metrics.emplace_back(name, rule.broken ? 1 : 0);
    Row& row = rows_[rule.rule];
    const bool counts = step > kStepsBeforeRules;
    row.broken = rule.broken && counts ? row.broken + 1 : 0;
    row.beyond = rule.beyond && counts ? row.beyond + 1 : 0;
    if (!rule.broken) continue;
    broken.push_back(rule.found);
    if (row.broken < kStepsInARow) continue;
    report.warnings.push_back(absl::StrCat(
        name, ": ", rule.found, ", for ", row.broken, " steps; ", rule.advice));
    const bool stop = row.beyond >= kStepsInARow && MayStop(rule.rule);
    if (!stop && row.broken > kStepsInARow) continue;
    began.push_back(report.warnings.back());
    if (stop || report.verdict == HealthReport::kOk) {
      report.verdict = stop ? HealthReport::kStop : HealthReport::kWarn;
    }
  }
  report.advice = absl::StrJoin(began, "; ");
  report.line = absl::StrFormat(
      "%s; %s of groups have signal, %s truncated, %s unscorable, %s, %s, "
      "gradient norm %.3g",
      broken.empty() ? "healthy" : absl::StrJoin(broken, ", "),
      Percent(1 - health.zero_signal_fraction), Percent(health.clip_ratio),
      Percent(health.unscorable_fraction),
      health.entropy ? absl::StrFormat("entropy %.3g", *health.entropy)
                     : "entropy not measured",
      health.logprob_diff_mean
          ? absl::StrFormat("sampler and learner differ by %.1e",
                            *health.logprob_diff_mean)
          : "sampler and learner not compared",
      health.grad_norm);

  if (first_rewards_.size() < kWindow) {
    first_rewards_.push_back(health.reward);
    first_lengths_.push_back(health.response_length);
  }
  last_rewards_.push_back(health.reward);
  if (last_rewards_.size() > kWindow)
    last_rewards_.erase(last_rewards_.begin());
  return report;
}

void HealthRules::Evaluated(double accuracy) {
  fall_.reset();
  std::optional<double> reward;
  if (!last_rewards_.empty()) reward = Mean(last_rewards_);
  if (!best_ || accuracy >= best_->accuracy) {
    best_ = Best{accuracy, reward};
    return;
  }
  const double before = best_->reward.value_or(Mean(first_rewards_));
  if (best_->accuracy - accuracy > config_.max_accuracy_drop() && reward &&
      *reward > before) {
    fall_ = Fall{best_->accuracy, accuracy, before, *reward};
  }
}

Json HealthRules::ToJson() const {
  Json json;
  for (const auto& [rule, row] : rows_) {
    json["rows"][HealthConfig::Rule_Name(rule)] = {row.broken, row.beyond};
  }
  json["first_rewards"] = first_rewards_;
  json["first_lengths"] = first_lengths_;
  json["last_rewards"] = last_rewards_;
  if (best_) {
    json["best"]["accuracy"] = best_->accuracy;
    if (best_->reward) json["best"]["reward"] = *best_->reward;
  }
  if (fall_) {
    json["fall"] = {fall_->from, fall_->to, fall_->reward_from,
                    fall_->reward_to};
  }
  return json;
}

void HealthRules::FromJson(const Json& json) {
  if (!json.is_object()) return;
  // JSON has no NaN: a reward that was none is null.
  const auto numbers = [](const Json& object, const char* name) {
    std::vector<double> values;
    if (!object.contains(name)) return values;
    for (const Json& value : object[name]) {
      values.push_back(value.is_number() ? value.get<double>() : NAN);
    }
    return values;
  };
  if (json.contains("rows")) {
    for (const auto& [name, row] : json["rows"].items()) {
      HealthConfig::Rule rule;
      if (HealthConfig::Rule_Parse(name, &rule) && row.size() == 2 &&
          row[0].is_number() && row[1].is_number()) {
        rows_[rule] = {row[0].get<int>(), row[1].get<int>()};
      }
    }
  }
  first_rewards_ = numbers(json, "first_rewards");
  first_lengths_ = numbers(json, "first_lengths");
  last_rewards_ = numbers(json, "last_rewards");
  if (json.contains("best")) {
    const Json& best = json["best"];
    best_ = Best{best.value("accuracy", 0.0), std::nullopt};
    if (best.contains("reward")) best_->reward = best.value("reward", 0.0);
  }
  const std::vector<double> fall = numbers(json, "fall");
  if (fall.size() == 4) fall_ = Fall{fall[0], fall[1], fall[2], fall[3]};
}

}  // namespace ponder
