#include "proto/config_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/nearest_name.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "proto/config_checker.h"
#include "proto/text_config.h"
#include "proto/verifier_names.h"

namespace ponder {
namespace {

using DataSets = google::protobuf::RepeatedPtrField<DataSet>;

// Names that rows and components may use; empty where only the server at
// reward.address knows them.
std::vector<std::string> KnownVerifiers(const RewardConfig& reward) {
  std::vector<std::string> names;
  if (reward.has_address()) return names;
  for (const absl::string_view name : kBuiltInVerifiers) {
    names.emplace_back(name);
  }
  for (const PluginVerifier& plugin : reward.verifier()) {
    names.push_back(plugin.name());
  }
  return names;
}

void CheckVerifierName(const std::string& path, absl::string_view field,
                       const std::string& name,
                       const std::vector<std::string>& known,
                       ConfigChecker& check) {
  check.Require(
      known.empty() || std::count(known.begin(), known.end(), name), path,
      field, absl::StrCat("\"", name, "\""),
      absl::StrCat("wanted the name of a verifier", NameHint(name, known)));
}

void CheckDataSets(const std::string& field, const DataSets& sets,
                   const std::vector<std::string>& verifiers,
                   ConfigChecker& check) {
  std::set<std::string> names;
  for (int i = 0; i < sets.size(); ++i) {
    const std::string path = Element(field, i);
    const DataSet& set = sets[i];
    check.Given(path, "path", set.path(), "a JSONL file");
    check.Above(path, "weight", set.weight(), 0);
    check.AtLeast(path, "limit", static_cast<double>(set.limit()), 0);
    check.Within(path, "min_pass_rate", set.min_pass_rate(), 0, 1);
    if (set.has_max_pass_rate()) {
      check.Within(path, "max_pass_rate", set.max_pass_rate(),
                   set.min_pass_rate(), 1);
    }
    const std::string name = DataSetName(set);
    check.Plain(path, "name", name);
    check.Require(names.insert(name).second, path, "name",
                  absl::StrCat("\"", name, "\""),
                  "wanted a name that no other set has");
    if (set.has_verifier()) {
      CheckVerifierName(path, "verifier", set.verifier(), verifiers, check);
    }
  }
}

// `may_chat`: the policy may have a chat template, which is used where
// prompt.template is not given.
void CheckPrompt(const PromptConfig& prompt, bool may_chat,
                 ConfigChecker& check) {
  const std::string text = PromptTemplate(prompt);
  check.Require(absl::StrContains(text, "{prompt}"), "prompt", "template",
                absl::StrCat("\"", text, "\""), "wanted a \"{prompt}\" in it");
  check.Require(prompt.system().empty() ||
                    (may_chat && !prompt.has_template_()) ||
                    absl::StrContains(text, "{system}"),
                "prompt", "system", absl::StrCat("\"", prompt.system(), "\""),
                "wanted a \"{system}\" in prompt.template, else it is lost");
  for (int i = 0; i < prompt.stop_size(); ++i) {
    check.Require(!prompt.stop(i).empty(), "prompt", Element("stop", i), "\"\"",
                  "wanted a text");
  }
  check.AtLeast("prompt", "max_prompt_tokens", prompt.max_prompt_tokens(), 1);
  check.AtLeast("prompt", "max_response_tokens", prompt.max_response_tokens(),
                1);
}

// The languages that reward/language_share.cc can tell; a test there compares.
constexpr absl::string_view kLanguages[] = {
    "ar", "de", "el", "en", "es", "fr", "he", "hi", "it", "ja",
    "ko", "nl", "pl", "pt", "ru", "sv", "th", "tr", "zh"};

void CheckComponentOptions(const RewardComponent& component,
                           const std::string& path, ConfigChecker& check) {
  const auto belongs = [&](bool is_set, const std::string& name) {
    check.Require(!is_set || component.name() == name, path, name, "given",
                  absl::StrCat("wanted it in the component of that name only, "
                               "this one is \"",
                               component.name(), "\""));
  };
  belongs(component.has_language(), "language");
  belongs(component.has_length(), "length");
  belongs(component.has_repetition(), "repetition");
  belongs(component.has_format(), "format");
  const LanguageOptions& language = component.language();
  check.Require(
      !language.has_target() ||
          std::find(std::begin(kLanguages), std::end(kLanguages),
                    language.target()) != std::end(kLanguages),
      JoinPath(path, "language"), "target",
      absl::StrCat("\"", language.target(), "\""),
      absl::StrCat("wanted one of ", absl::StrJoin(kLanguages, ", ")));
  const LengthOptions& length = component.length();
  if (length.has_max_tokens()) {
    check.AtLeast(JoinPath(path, "length"), "max_tokens",
                  static_cast<double>(length.max_tokens()), 1);
  }
  if (length.has_cache_tokens()) {
    check.AtLeast(JoinPath(path, "length"), "cache_tokens",
                  static_cast<double>(length.cache_tokens()), 1);
  }
  check.Require(!length.has_max_tokens() || !length.has_cache_tokens() ||
                    length.cache_tokens() <= length.max_tokens(),
                JoinPath(path, "length"), "cache_tokens",
                absl::StrCat(length.cache_tokens()), "wanted 1 to max_tokens");
  check.AtLeast(JoinPath(path, "repetition"), "ngram_words",
                component.repetition().ngram_words(), 1);
}

void CheckPlugin(const PluginVerifier& plugin, const std::string& path,
                 ConfigChecker& check) {
  check.Given(path, "name", plugin.name(), "what rows and components call it");
  check.Plain(path, "name", plugin.name());
  check.Require(
      !IsBuiltInVerifier(plugin.name()) && plugin.name() != kAccuracyComponent,
      path, "name", absl::StrCat("\"", plugin.name(), "\""),
      "wanted a name that no built-in verifier or component has");
  check.Require(plugin.kind_case() != PluginVerifier::KIND_NOT_SET, path,
                "kind", "missing",
                "wanted one of python, command, library, address");
  const std::string& python = plugin.python();
  const size_t colon = python.rfind(':');
  check.Require(
      !plugin.has_python() || (colon != std::string::npos && colon > 0 &&
                               colon + 1 < python.size()),
      path, "python", absl::StrCat("\"", python, "\""),
      "wanted FILE.py:FUNCTION");
  check.Require(!plugin.has_command() || !plugin.command().empty(), path,
                "command", "\"\"", "wanted a command line");
  check.Require(!plugin.has_library() || !plugin.library().empty(), path,
                "library", "\"\"", "wanted a path");
  check.Require(!plugin.has_address() || !plugin.address().empty(), path,
                "address", "\"\"", "wanted HOST:PORT");
  check.Given(path, "interpreter", plugin.interpreter(), "a path");
  check.Require(plugin.has_python() ||
                    plugin.interpreter() ==
                        PluginVerifier::default_instance().interpreter(),
                path, "interpreter",
                absl::StrCat("\"", plugin.interpreter(), "\""),
                "wanted it together with python only");
  check.Above(path, "timeout_seconds", plugin.timeout_seconds(), 0);
  check.AtLeast(path, "workers", plugin.workers(), 0);
  check.Require(std::isfinite(plugin.correct_from()), path, "correct_from",
                absl::StrCat(plugin.correct_from()), "wanted a finite number");
}

void CheckReward(const RewardConfig& reward, ConfigChecker& check) {
  std::vector<std::string> known = KnownVerifiers(reward);
  if (!known.empty()) known.emplace_back(kAccuracyComponent);
  std::set<std::string> names;
  for (int i = 0; i < reward.component_size(); ++i) {
    const RewardComponent& component = reward.component(i);
    const std::string path = JoinPath("reward", Element("component", i));
    check.Given(path, "name", component.name(),
                "accuracy, another verifier, format, language, length, "
                "repetition or a plug-in");
    check.Require(std::isfinite(component.weight()), path, "weight",
                  absl::StrCat(component.weight()), "wanted a finite number");
    check.Require(names.insert(component.name()).second, path, "name",
                  absl::StrCat("\"", component.name(), "\""),
                  "wanted each component once");
    CheckVerifierName(path, "name", component.name(), known, check);
    CheckComponentOptions(component, path, check);
  }
  const SandboxLimits& limits = reward.sandbox();
  const std::string path = "reward.sandbox";
  check.Above(path, "cpu_seconds", limits.cpu_seconds(), 0);
  check.Above(path, "wall_seconds", limits.wall_seconds(), 0);
  check.AtLeast(path, "memory_bytes",
                static_cast<double>(limits.memory_bytes()), 1);
  check.AtLeast(path, "processes", limits.processes(), 1);
  check.AtLeast(path, "output_bytes",
                static_cast<double>(limits.output_bytes()), 1);
  check.AtLeast(path, "file_bytes", static_cast<double>(limits.file_bytes()),
                0);
  check.AtLeast(path, "disk_bytes", static_cast<double>(limits.disk_bytes()),
                0);
  check.AtLeast(path, "inodes", static_cast<double>(limits.inodes()), 16);
  check.AtLeast(path, "open_files", limits.open_files(), 16);
  check.AtLeast(path, "stack_bytes", static_cast<double>(limits.stack_bytes()),
                65536);
  check.Above(path, "suite_wall_seconds", limits.suite_wall_seconds(), 0);
  check.AtLeast("reward", "sandbox_slots", reward.sandbox_slots(), 0);
  check.Above("reward", "timeout_seconds", reward.timeout_seconds(), 0);
  names.clear();
  for (int i = 0; i < reward.verifier_size(); ++i) {
    const PluginVerifier& plugin = reward.verifier(i);
    const std::string path = JoinPath("reward", Element("verifier", i));
    CheckPlugin(plugin, path, check);
    check.Require(names.insert(plugin.name()).second, path, "name",
                  absl::StrCat("\"", plugin.name(), "\""),
                  "wanted a name that no other verifier has");
    check.Require(!reward.has_address(), path, "name",
                  absl::StrCat("\"", plugin.name(), "\""),
                  "wanted it in the configuration of the server at "
                  "reward.address, which this run uses");
  }
}

// The largest group of samples of one prompt that a stage or an evaluation asks
// for.
int64_t LargestGroup(const RunConfig& config) {
  int64_t largest = 1;
  if (!config.eval_data().empty()) largest += config.eval().samples();
  for (const Stage& stage : config.stage()) {
    largest = std::max<int64_t>(
        {largest, stage.has_grpo() ? stage.grpo().samples_per_prompt() : 1,
         stage.has_sample() ? stage.sample().samples_per_prompt() : 1});
  }
  return largest;
}

// Tokens of cache that a group may take: one prompt, a response for each
// sample, in blocks of which each sample has its own last ones.
int64_t CacheTokensOfGroup(const RunConfig& config) {
  constexpr int64_t kBlock = 16;
  const auto blocks = [](int64_t tokens) {
    return (tokens + kBlock - 1) / kBlock;
  };
  return kBlock * (blocks(config.prompt().max_prompt_tokens()) +
                   LargestGroup(config) *
                       (blocks(config.prompt().max_response_tokens()) + 1));
}

void CheckRollout(const RunConfig& config, ConfigChecker& check) {
  const RolloutConfig& rollout = config.rollout();
  check.AtLeast("rollout", "workers", rollout.workers(), 0);
  check.Require(rollout.workers() > 0 || !rollout.listen().empty(), "rollout",
                "workers", "0",
                "wanted at least 1, or a rollout.listen that workers on other "
                "machines can dial");
  check.AtLeast("rollout", "threads_per_worker", rollout.threads_per_worker(),
                0);
  check.AtLeast("rollout", "slots", rollout.slots(), 1);
  const int64_t group = CacheTokensOfGroup(config);
  check.Require(
      rollout.kv_cache_tokens() == 0 || rollout.kv_cache_tokens() >= group,
      "rollout", "kv_cache_tokens", absl::StrCat(rollout.kv_cache_tokens()),
      absl::StrCat("wanted 0 or at least ", group, ", the longest prompt and ",
                   LargestGroup(config), " of the longest responses to it"));
  check.Above("rollout", "lease_seconds", rollout.lease_seconds(), 0);
  check.Above("rollout", "worker_timeout_seconds",
              rollout.worker_timeout_seconds(), 0);
}

void CheckRest(const RunConfig& config, ConfigChecker& check) {
  const LearnerConfig& learner = config.learner();
  check.AtLeast("learner", "threads", learner.threads(), 0);
  check.AtLeast("learner", "micro_batch_tokens",
                static_cast<double>(learner.micro_batch_tokens()), 1);
  check.AtLeast("learner", "logits_chunk_tokens",
                static_cast<double>(learner.logits_chunk_tokens()), 1);
  check.AtLeast("learner", "expert_bias_update_rate",
                learner.expert_bias_update_rate(), 0);
  check.AtLeast("learner", "expert_balance_loss_coef",
                learner.expert_balance_loss_coef(), 0);
  check.AtLeast("learner", "processes", learner.processes(), 1);
  check.Require(config.device() == Device::cpu || learner.processes() == 1,
                "learner", "processes", absl::StrCat(learner.processes()),
                "wanted 1 with device: cuda, whose one GPU a process has");
  check.AtLeast("eval", "samples", config.eval().samples(), 0);
  check.Above("eval", "temperature", config.eval().temperature(), 0);
  check.Require(config.eval().top_p() > 0 && config.eval().top_p() <= 1, "eval",
                "top_p", absl::StrCat(config.eval().top_p()),
                "wanted more than 0 and at most 1");
  check.AtLeast("eval", "problems",
                static_cast<double>(config.eval().problems()), 0);
  check.AtLeast("checkpoint", "every_steps",
                static_cast<double>(config.checkpoint().every_steps()), 0);
  check.AtLeast("checkpoint", "keep_last", config.checkpoint().keep_last(), 1);
  check.AtLeast("cost", "core_hour", config.cost().core_hour(), 0);
  check.AtLeast("cost", "gpu_hour", config.cost().gpu_hour(), 0);
  const HealthConfig& health = config.health();
  check.Within("health", "max_unscorable_fraction",
               health.max_unscorable_fraction(), 0, 1);
  check.Within("health", "max_clip_ratio", health.max_clip_ratio(), 0, 1);
  check.AtLeast("health", "min_entropy", health.min_entropy(), 0);
  check.AtLeast("health", "max_logprob_diff", health.max_logprob_diff(), 0);
  check.Within("health", "warn_clip_ratio", health.warn_clip_ratio(), 0, 1);
  check.AtLeast("health", "warn_logprob_diff", health.warn_logprob_diff(), 0);
  check.Within("health", "max_zero_signal_fraction",
               health.max_zero_signal_fraction(), 0, 1);
  check.Within("health", "min_length_ratio", health.min_length_ratio(), 0, 1);
  check.Within("health", "max_accuracy_drop", health.max_accuracy_drop(), 0, 1);
}

}  // namespace

std::optional<ConfigProblem> FindConfigProblem(const RunConfig& config) {
  ConfigChecker check;
  check.Plain("", "name", config.name());
  check.Given("", "runs_dir", config.runs_dir(), "a folder");
  const std::vector<std::string> verifiers = KnownVerifiers(config.reward());
  CheckDataSets("data", config.data(), verifiers, check);
  CheckDataSets("eval_data", config.eval_data(), verifiers, check);
  CheckPrompt(config.prompt(), config.policy().init() != PolicyConfig::RANDOM,
              check);
  CheckPolicy("policy", config.policy(), config, check);
  CheckReward(config.reward(), check);
  CheckRollout(config, check);
  CheckRest(config, check);
  CheckStages(config, check);
  return check.problem();
}

}  // namespace ponder
