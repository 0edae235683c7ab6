#include "monitor/metric_table.h"

#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace ponder {
namespace {

std::vector<MetricSection> MakeTable() {
  return {
      {"Reward",
       "Of the samples of a step. `critic/` is verl's prefix, kept where there "
       "is no critic.",
       {
           {"critic/{score,rewards}/{mean,max,min}", "reward",
            "Reward of the samples: the weighted sum of the components. Both "
            "names hold the same number.",
            "the mean rises over tens of steps",
            "flat at the bottom: look at samples with `ponder view`, at "
            "frac_reward_zero_std and at reward/unscorable_frac"},
           {"reward/correct_frac", "share of samples",
            "Verdict right of the row's verifier.", "rises",
            "0 for many steps: the problems are too hard, the answers do not "
            "have the wanted form, or responses are cut (clip_ratio)"},
           {"reward/wrong_frac", "share of samples", "Verdict wrong.", "", ""},
           {"reward/unscorable_frac", "share of samples",
            "Without a reward: the gold answer cannot be read, the comparison "
            "cannot be decided, or a plug-in did not answer. Such samples "
            "teach "
            "nothing and leave the baseline.",
            "0; below health.max_unscorable_fraction",
            "read the reasons in `ponder view` (filter unscorable), check the "
            "gold answers with `ponder verify data`"},
           {"reward/beyond_limits_frac", "share of samples",
            "Answers too long, deep or large to be compared: wrong.", "0",
            "a policy that learns to write such answers games nothing, but "
            "wastes tokens; look at samples"},
           {"reward/{all_correct,all_wrong}_frac", "share of groups",
            "Every sample of the group was right, or wrong: with verdicts "
            "alone such groups teach nothing.",
            "both below 0.5",
            "all right: harder problems; all wrong: easier ones, or more "
            "samples_per_prompt"},
           {"reward/timeout_frac", "share of samples",
            "Programs that ran into their time limit: wrong.", "near 0",
            "raise reward.sandbox.wall_seconds or suite_wall_seconds if right "
            "programs are among them"},
           {"reward/latency_s/{p50,p99}", "seconds",
            "From when the reward server read a response to its score.",
            "below timing_s/gen",
            "more reward.sandbox_slots, or workers of the plug-in"},
           {"reward/<set>/mean", "reward",
            "Mean reward of the samples of one data set.", "rises", ""},
           {"rewards/<component>/{mean,std}", "reward",
            "Value of one component, before its weight, over the samples that "
            "it could score.",
            "no component rises at the cost of accuracy",
            "lower the weight of the one that does"},
           {"rewards/<component>/"
            "{correct,wrong,unscorable,beyond_limits,timeout}_frac",
            "share of samples", "Verdicts of the component.", "", ""},
           {"rewards/<component>/latency_s/{p50,p99}", "seconds",
            "Time in the component's verifier.", "", ""},
       }},
      {"Signal",
       "What the learner makes of the rewards.",
       {
           {"frac_reward_zero_std", "share of groups",
            "Groups of at least two samples whose rewards are all equal, what "
            "dynamic sampling drops included: no group-relative gradient comes "
            "from them.",
            "0.1 to 0.7; near 1 nothing is learned",
            "all right: harder problems; all wrong: easier ones, a longer cold "
            "start or more samples_per_prompt; or dynamic_sampling and "
            "curriculum, which look for groups with signal"},
           {"critic/advantages/{mean,max,min}", "advantage",
            "Advantages of tokens.", "mean near 0", ""},
           {"critic/returns/{mean,max,min}", "reward",
            "Returns of tokens; GAE only.", "", ""},
           {"critic/values/{mean,max,min}", "reward",
            "The critic's values of tokens; GAE only.", "follow the returns",
            ""},
           {"critic/vf_loss", "squared reward", "Loss of the critic.", "falls",
            "raise critic.warmup_steps or its learning rate"},
           {"critic/vf_clipfrac", "share of tokens",
            "Values that the clipped loss counts for.", "below 0.2", ""},
           {"critic/vf_explained_var", "share",
            "Variance of the returns that the values explain.",
            "above 0, rises",
            "below 0 the critic is worse than none: more critic.warmup_steps"},
           {"critic/grad_norm", "norm", "Of the critic, before clipping.",
            "finite, without jumps", "lower critic.optimizer.learning_rate"},
           {"sampling/groups", "groups", "Groups that the step learned from.",
            "prompts_per_step", ""},
           {"sampling/dropped_zero_std", "groups",
            "Replaced by others, since their rewards were all equal "
            "(dynamic_sampling).",
            "", "many: other problems would waste less sampling"},
           {"sampling/carried_over", "groups",
            "Sampled in this step and kept for the next one.", "", ""},
           {"sampling/cancelled", "groups",
            "Given up because others came back sooner (extra_prompts).",
            "about extra_prompts", ""},
       }},
      {"Policy",
       "Of the updates of a step. Where a batch is learned from once, before "
       "the policy has moved, `actor/pg_loss` is near 0 although the gradient "
       "is not, and `actor/ppo_kl` and `actor/pg_clipfrac` are exactly 0: that "
       "is expected.",
       {
           {"train/loss", "nats a token",
            "Cross-entropy of supervised fine-tuning.", "falls",
            "jumps: lower optimizer.learning_rate"},
           {"actor/pg_loss", "loss",
            "Policy loss. Not a measure of progress: look at rewards.",
            "any finite number", ""},
           {"actor/pg_clipfrac", "share of tokens",
            "Tokens whose ratio was clipped.", "0 to 0.2",
            "lower the learning rate or updates_per_step"},
           {"actor/pg_clipfrac_lower", "share of tokens",
            "Tokens that the dual clip counts for.", "near 0", ""},
           {"actor/off_policy_masked_frac", "share of tokens",
            "Of sequences that off_policy_mask leaves out.", "below 0.2",
            "lower max_staleness or updates_per_step, or raise "
            "off_policy_mask"},
           {"actor/ppo_kl", "nats a token",
            "How far an update's policy is from the one that it started from.",
            "below 0.05", "lower the learning rate or updates_per_step"},
           {"actor/entropy", "nats a token",
            "Of the policy over its next token. Left out where a step had no "
            "gradient.",
            "falls slowly; above health.min_entropy",
            "falls fast: raise clip_high, lower the learning rate, or set "
            "entropy_coef"},
           {"actor/kl_loss", "nats a token",
            "Estimate of KL to the reference, in the loss.", "below 1",
            "raise kl_coef, or reference_every"},
           {"actor/reward_kl_penalty", "nats a token",
            "The same where it is taken from the reward.", "below 1",
            "raise kl_coef, or reference_every"},
           {"actor/kl_coef", "weight", "Of that KL.", "", ""},
           {"actor/reverse_kl", "nats a token",
            "KL(policy || teacher) as sampled, with advantage REVERSE_KL.",
            "falls towards 0",
            "raise the learning rate, or see whether the student is too small"},
           {"actor/grad_norm", "norm", "Before clipping.",
            "finite, without jumps",
            "lower the learning rate; an update that is not finite is left "
            "out"},
           {"actor/lr", "learning rate", "Of the step's last update.", "", ""},
           {"experts/balance_loss", "loss",
            "Auxiliary loss that evens the use of experts.", "near 1", ""},
           {"experts/load/layer_<layer>/expert_<expert>", "times the mean",
            "Tokens of an expert against the layer's mean.", "0.5 to 2", ""},
           {"experts/max_violation/layer_<layer>", "times the mean",
            "The fullest expert's excess over the mean (DeepSeek-V3's "
            "MaxVio).",
            "below 1", "learner.expert_bias_update_rate: 0.001"},
           {"experts/idle/layer_<layer>", "experts",
            "Experts without a single token.", "0",
            "learner.expert_bias_update_rate: 0.001"},
       }},
      {"Responses",
       "Lengths in tokens.",
       {
           {"response_length/{mean,max,min}", "tokens", "Of all responses.",
            "a policy that learns to think writes more",
            "collapses while reward stays flat: a length or repetition "
            "component weighs too much, or thinking does not pay"},
           {"response_length/clip_ratio", "share of samples",
            "Cut at prompt.max_response_tokens: they count as wrong.",
            "below 0.1", "raise prompt.max_response_tokens"},
           {"response_length", "tokens", "Histogram, in TensorBoard only.", "",
            ""},
           {"completions/{mean,max,min}_terminated_length", "tokens",
            "Of responses that ended by themselves.", "", ""},
           {"prompt_length/{mean,max,min}", "tokens", "Of the prompts.",
            "below prompt.max_prompt_tokens", ""},
           {"response/thinking_frac", "share of samples",
            "With a thought that is not empty.", "", ""},
           {"samples", "text", "A sample of the step, in TensorBoard only.", "",
            ""},
       }},
      {"Sampler against learner",
       "The same tokens, scored by both. Log-probabilities b of the sampler, p "
       "of the learner; names are verl's. On one machine's CPU all differences "
       "are exactly 0 while the sampling policy is the learner's.",
       {
           {"rollout_corr/{max,mean}_abs_diff", "nats", "Of b - p.",
            "mean below 0.005; 0 on the CPU without staleness",
            "above health.max_logprob_diff the run stops: workers sample from "
            "something else than what is trained"},
           {"rollout_corr/{kl,k3_kl}", "nats a token",
            "Estimates of KL(sampler || learner).", "below 0.005", ""},
           {"rollout_corr/{training,rollout}_{ppl,log_ppl}", "perplexity",
            "Of the samples under learner and sampler, and its logarithm.", "",
            ""},
           {"rollout_corr/{log_ppl_diff,log_ppl_abs_diff,ppl_ratio}", "nats",
            "Mean over sequences of the mean b - p, of its size, and of its "
            "exponential.",
            "0, 0 and 1", ""},
           {"rollout_corr/chi2_{token,seq}", "",
            "Chi-square divergence of tokens and of whole sequences.", "near 0",
            ""},
           {"rollout_corr/rollout_is_{mean,max,min,std}", "weight",
            "Importance weights of tokens; only with importance weights.",
            "mean near 1", "lower max_staleness"},
           {"rollout_corr/rollout_is_eff_sample_size", "share",
            "Effective sample size of the weights, of all tokens.", "above 0.5",
            "lower max_staleness"},
           {"rollout_corr/rollout_rs_masked_fraction", "share of tokens",
            "With weight 0.", "below 0.1",
            "widen importance.low and high, or lower max_staleness"},
           {"training/rollout_probs_diff_{mean,max,std}", "probability",
            "Of |exp b - exp p|.", "0 on the CPU without staleness", ""},
           {"training/rollout_actor_probs_pearson_corr", "correlation",
            "Of exp b and exp p.", "above 0.99", ""},
           {"staleness/{mean,max}", "policy versions",
            "How much older the sampling policy was than the newest one.",
            "at most max_staleness", ""},
           {"off_policy/dropped", "groups",
            "Left out because they were older than max_staleness.", "0",
            "more workers, or a larger max_staleness"},
       }},
      {"Held-out problems",
       "Of each evaluation. `<set>` may be followed by a difficulty. The "
       "figures are acc_strict and acc_flexible (greedy; flexible ignores the "
       "form of the answer, which is maths' alone: elsewhere it is strict), "
       "avg@k, avg@k_flexible, maj@k and the unbiased pass@k = 1 - "
       "C(n-c,k)/C(n,k). Of a problem of which fewer than k samples could be "
       "scored, n is these and so is k; in maj@k wrong answers vote together "
       "where their texts are equal.",
       {
           {"val-core/<set>/<figure>", "share of problems", "The figure.",
            "rises with the reward",
            "falls while the reward rises: the policy games the verifier, see "
            "health/reward_hacking"},
           {"val-aux/<set>/<figure>/{ci_low,ci_high}", "share of problems",
            "Its 95 % interval, bootstrap over problems.", "", ""},
           {"val-aux/<set>/response_length", "tokens",
            "Mean length of the sampled responses.", "", ""},
           {"val-aux/<set>/thinking_share", "share of samples",
            "With a thought that is not empty.", "", ""},
           {"val-aux/<set>/clip_ratio", "share of samples",
            "Cut at the token limit.", "below 0.1",
            "raise prompt.max_response_tokens"},
       }},
      {"Health",
       "1 where the step broke the rule, else 0. A rule that is broken three "
       "steps in a row after the fifth step of a stage is a warning, and those "
       "of `health.stop_on` beyond their harder limit end the run with a "
       "checkpoint.",
       {
           {"health/zero_signal", "0 or 1",
            "At least health.max_zero_signal_fraction of the groups have equal "
            "rewards.",
            "0", "see frac_reward_zero_std"},
           {"health/truncation", "0 or 1",
            "More than health.warn_clip_ratio of the responses hit the token "
            "limit; beyond health.max_clip_ratio it may stop the run.",
            "0", "raise prompt.max_response_tokens"},
           {"health/entropy_floor", "0 or 1",
            "Entropy is below health.min_entropy.", "0", "see actor/entropy"},
           {"health/mismatch", "0 or 1",
            "rollout_corr/mean_abs_diff is above health.warn_logprob_diff; "
            "beyond health.max_logprob_diff it may stop the run. Not judged "
            "where samples are stale.",
            "0", "a fault of the program or of a worker's build: report it"},
           {"health/unscorable", "0 or 1",
            "More than health.max_unscorable_fraction of the samples have no "
            "reward.",
            "0", "see reward/unscorable_frac"},
           {"health/length_collapse", "0 or 1",
            "Responses are shorter than health.min_length_ratio of what they "
            "were in the stage's first five steps.",
            "0",
            "a length or repetition component weighs too much, or a thought "
            "does not pay; look at samples"},
           {"health/reward_hacking", "0 or 1",
            "Since the best evaluation, held-out accuracy fell by more than "
            "health.max_accuracy_drop while the training reward rose.",
            "0",
            "look at samples with high reward: the verifier or a component is "
            "being gamed, or the training set is learned by heart"},
           {"health/grad_norm", "0 or 1", "The gradient is not finite.", "0",
            "lower the learning rate and resume"},
       }},
      {"Time and throughput",
       "Sampling and learning overlap where max_staleness is above 0.",
       {
           {"training/global_step", "steps", "Updates of the whole run.", "",
            ""},
           {"training/epoch", "passes",
            "Rows drawn in the stage, as a share of all rows that it draws "
            "from.",
            "",
            "beyond a few passes, compare with the held-out accuracy: the "
            "training set may be learned by heart"},
           {"timing_s/step", "seconds", "The whole step.", "", ""},
           {"timing_s/sample", "seconds",
            "What the learner waited for samples.", "", ""},
           {"timing_s/gen", "seconds",
            "Mean over groups: from lease to last token.", "", ""},
           {"timing_s/reward", "seconds",
            "Mean over groups: from last token to last score.",
            "far below timing_s/gen",
            "more reward.sandbox_slots, or workers of the plug-in"},
           {"timing_s/update_actor", "seconds", "Updates of the policy.", "",
            ""},
           {"timing_s/{update_critic,values}", "seconds",
            "Updates of the critic, and its pass before them; GAE only.", "",
            ""},
           {"timing_s/{old_log_prob,ref}", "seconds",
            "Passes before the updates: of the policy where training is "
            "decoupled, of the reference where there is one.",
            "below timing_s/update_actor", ""},
           {"timing_s/adv", "seconds", "Advantages.", "far below the others",
            ""},
           {"timing_per_token_ms/{gen,update_actor}", "milliseconds a token",
            "timing_s/sample over the tokens that were sampled, and "
            "timing_s/update_actor over those that were learned from, prompts "
            "included.",
            "", ""},
           {"timing_s/testing", "seconds", "An evaluation.",
            "a small share of the steps since the last one",
            "raise grpo.eval_every, or lower eval.problems or eval.samples"},
           {"timing_s/save_checkpoint", "seconds",
            "Writing checkpoints since the step before.",
            "a small share of the steps since the last one",
            "raise checkpoint.every_steps"},
           {"timing_s/update_weights", "seconds", "Publishing the new policy.",
            "", ""},
           {"perf/time_per_step", "seconds", "timing_s/step by verl's name.",
            "", ""},
           {"perf/total_num_tokens", "tokens",
            "Sampled and learned from in the step, prompts included in "
            "learning.",
            "", ""},
           {"perf/throughput", "tokens a second", "Of these.", "", ""},
           {"perf/mfu/actor", "share",
            "Model FLOPs utilisation of timing_s/update_actor, or of a step of "
            "supervised training: operations of forward and backward passes "
            "(PaLM's count, with causal attention) against those of a large "
            "product, timed at the start of the run with the same threads and "
            "type.",
            "0.3 to 0.6 for a large policy; a small one has small products",
            "raise learner.micro_batch_tokens; other work on the machine "
            "lowers it, as does activation_checkpointing"},
           {"perf/mfu/actor_infer", "share",
            "The same of timing_s/old_log_prob, a forward pass.", "", ""},
           {"perf/cpu_memory_used_gb", "GB",
            "Peak resident memory of the trainer.",
            "below what --dry-run planned", ""},
           {"perf/rollout_idle_frac", "share of time", "Engines without work.",
            "low", "with max_staleness 1 they sample while the learner learns"},
           {"perf/learner_idle_frac", "share of time",
            "Learner without samples.", "low",
            "more workers, or max_staleness 1"},
           {"sync/version", "version", "Of the published policy.", "", ""},
           {"sync/seconds", "seconds", "timing_s/update_weights.", "", ""},
           {"sync/bytes", "bytes", "Of the published policy.", "", ""},
       }},
      {"Cost",
       "Of the whole run, its earlier parts included, unless it says of the "
       "step. Core-seconds are processor time of all processes of the run, "
       "those on other machines too. By phase: generation is the workers', "
       "reward the reward server's and its programs', learning the trainer's "
       "and its learner processes', evaluation all of them while the policy "
       "is evaluated.",
       {
           {"cost/core_seconds", "core-seconds", "Of the step.", "", ""},
           {"cost/core_hours", "core-hours", "Of the run.", "", ""},
           {"cost/core_hours/{generation,reward,learning,evaluation}",
            "core-hours", "Of one phase of the stage.", "", ""},
           {"cost/gpu_hours", "GPU-hours",
            "Time for which the run held a GPU; device cuda only.", "", ""},
           {"cost/tokens", "tokens",
            "Sampled and learned from since the stage began.", "", ""},
           {"cost/money", "cost.currency",
            "Of the run, at cost.core_hour and cost.gpu_hour.", "", ""},
           {"cost/money_per_accuracy_point", "cost.currency",
            "Of the stage so far, for each point (of 100) of held-out greedy "
            "accuracy that it gained; left out where it gained nothing.",
            "", ""},
       }},
  };
}

std::string Cell(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"|", "\\|"}, {"<", "&lt;"}, {">", "&gt;"}});
}

}  // namespace

const std::vector<MetricSection>& MetricTable() {
  static const auto* const kTable = new std::vector<MetricSection>(MakeTable());
  return *kTable;
}

bool MatchesMetricPattern(absl::string_view name, absl::string_view pattern) {
  while (!pattern.empty()) {
    if (pattern.front() == '{') {
      const size_t end = pattern.find('}');
      const absl::string_view rest = pattern.substr(end + 1);
      for (const absl::string_view choice :
           absl::StrSplit(pattern.substr(1, end - 1), ',')) {
        if (absl::StartsWith(name, choice) &&
            MatchesMetricPattern(name.substr(choice.size()), rest)) {
          return true;
        }
      }
      return false;
    }
    if (pattern.front() == '<') {
      const absl::string_view rest = pattern.substr(pattern.find('>') + 1);
      for (size_t taken = 1; taken <= name.size(); ++taken) {
        if (MatchesMetricPattern(name.substr(taken), rest)) return true;
      }
      return false;
    }
    if (name.empty() || name.front() != pattern.front()) return false;
    name.remove_prefix(1);
    pattern.remove_prefix(1);
  }
  return name.empty();
}

const MetricInfo* FindMetric(absl::string_view name) {
  for (const MetricSection& section : MetricTable()) {
    for (const MetricInfo& metric : section.metrics) {
      if (MatchesMetricPattern(name, metric.name)) return &metric;
    }
  }
  return nullptr;
}

std::string MetricTableMarkdown() {
  std::string text =
      "# Metrics\n\n"
      "What a run writes to `metrics.jsonl` and to TensorBoard's event file. "
      "Names are verl's where verl has\none, TRL's where verl has none, and "
      "Ponder's own for the rest. Made by `ponder metrics-doc` from the\n"
      "table that the program checks its names against "
      "(`monitor/metric_table.cc`); do not edit.\n\n"
      "`{a,b}` stands for one of these, `<what>` for any text.\n";
  for (const MetricSection& section : MetricTable()) {
    absl::StrAppend(&text, "\n## ", section.title, "\n", section.about,
                    "\n\n| name | unit | meaning | healthy | otherwise |\n"
                    "| --- | --- | --- | --- | --- |\n");
    for (const MetricInfo& metric : section.metrics) {
      // In code a "<" is itself.
      absl::StrAppend(&text, "| `", metric.name, "` | ", Cell(metric.unit),
                      " | ", Cell(metric.meaning), " | ", Cell(metric.healthy),
                      " | ", Cell(metric.advice), " |\n");
    }
  }
  return text;
}

}  // namespace ponder
