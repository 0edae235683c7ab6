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
#include "google/protobuf/descriptor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "proto/text_config.h"
#include "proto/verifier_names.h"

namespace ponder {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;
using DataSets = google::protobuf::RepeatedPtrField<DataSet>;

bool IsPlainName(const std::string& name) {
  if (name.empty() || name == "." || name == "..") return false;
  for (const char c : name) {
    if (c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return false;
    }
  }
  return true;
}

std::string JoinPath(const std::string& path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

// Collects the first problem; each method checks one field of the message that
// stands at `path`.
class Checker {
 public:
  const std::optional<ConfigProblem>& problem() const { return problem_; }

  void Fail(const std::string& path, absl::string_view name,
            const std::string& value, const std::string& rule) {
    if (problem_.has_value()) return;
    problem_ = ConfigProblem{JoinPath(path, name), value, rule};
  }

  void Require(bool met, const std::string& path, absl::string_view name,
               const std::string& value, const std::string& rule) {
    if (!met) Fail(path, name, value, rule);
  }

  void AtLeast(const std::string& path, absl::string_view name, double value,
               double least, absl::string_view why = "") {
    // Not(value >= least) also catches NaN.
    Require(value >= least && std::isfinite(value), path, name,
            absl::StrCat(value), absl::StrCat("wanted at least ", least, why));
  }

  void Above(const std::string& path, absl::string_view name, double value,
             double bound) {
    Require(value > bound && std::isfinite(value), path, name,
            absl::StrCat(value), absl::StrCat("wanted more than ", bound));
  }

  void Within(const std::string& path, absl::string_view name, double value,
              double low, double high) {
    Require(value >= low && value <= high, path, name, absl::StrCat(value),
            absl::StrCat("wanted ", low, " to ", high));
  }

  void Plain(const std::string& path, absl::string_view name,
             const std::string& value) {
    Require(IsPlainName(value), path, name, absl::StrCat("\"", value, "\""),
            "wanted a plain name without \"/\"");
  }

  void Given(const std::string& path, absl::string_view name,
             const std::string& value, absl::string_view what) {
    Require(!value.empty(), path, name, "missing",
            absl::StrCat("wanted ", what));
  }

 private:
  std::optional<ConfigProblem> problem_;
};

std::string Element(absl::string_view name, int index) {
  return absl::StrCat(name, "[", index, "]");
}

void CheckArchitecture(const std::string& path, const Architecture& a,
                       int64_t sequence_tokens, Checker& check) {
  const std::vector<std::string> types = {"qwen2", "qwen3", "llama"};
  bool known = false;
  for (const std::string& type : types) known |= a.model_type() == type;
  check.Require(known, path, "model_type",
                absl::StrCat("\"", a.model_type(), "\""),
                absl::StrCat("wanted one of ", absl::StrJoin(types, ", "),
                             NameHint(a.model_type(), types)));
  check.AtLeast(path, "vocab_size", a.vocab_size(), 259,
                ", for 256 bytes and three special tokens");
  check.AtLeast(path, "hidden_size", a.hidden_size(), 1);
  check.AtLeast(path, "intermediate_size", a.intermediate_size(), 1);
  check.AtLeast(path, "num_hidden_layers", a.num_hidden_layers(), 1);
  check.AtLeast(path, "num_attention_heads", a.num_attention_heads(), 1);
  check.AtLeast(path, "num_key_value_heads", a.num_key_value_heads(), 1);
  check.Above(path, "rope_theta", a.rope_theta(), 0);
  check.Above(path, "rms_norm_eps", a.rms_norm_eps(), 0);
  check.Above(path, "initializer_range", a.initializer_range(), 0);
  if (a.has_matrix_gain()) {
    check.Above(path, "matrix_gain", a.matrix_gain(), 0);
  }
  check.AtLeast(path, "max_position_embeddings", a.max_position_embeddings(),
                static_cast<double>(sequence_tokens),
                ", the longest prompt and response together");
  if (check.problem().has_value()) return;  // The divisors below may be 0.

  check.Require(a.num_attention_heads() % a.num_key_value_heads() == 0, path,
                "num_key_value_heads", absl::StrCat(a.num_key_value_heads()),
                absl::StrCat("wanted a divisor of num_attention_heads, which "
                             "is ",
                             a.num_attention_heads()));
  if (a.has_head_dim()) {
    check.AtLeast(path, "head_dim", a.head_dim(), 2);
    check.Require(a.head_dim() % 2 == 0, path, "head_dim",
                  absl::StrCat(a.head_dim()),
                  "wanted an even number, for rotary positions");
    return;
  }
  check.Require(
      a.hidden_size() % (2 * a.num_attention_heads()) == 0, path, "hidden_size",
      absl::StrCat(a.hidden_size()),
      absl::StrCat("wanted a multiple of twice num_attention_heads, which is ",
                   a.num_attention_heads(), ", or else a head_dim"));
}

void CheckPolicy(const std::string& path, const PolicyConfig& policy,
                 const RunConfig& config, Checker& check) {
  if (policy.init() == PolicyConfig::PRETRAINED) {
    check.Given(path, "path", policy.path(),
                "a Hugging Face folder, or init: RANDOM");
    return;
  }
  CheckArchitecture(JoinPath(path, "architecture"), policy.architecture(),
                    int64_t{config.prompt().max_prompt_tokens()} +
                        config.prompt().max_response_tokens(),
                    check);
}

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
                       const std::vector<std::string>& known, Checker& check) {
  check.Require(
      known.empty() || std::count(known.begin(), known.end(), name), path,
      field, absl::StrCat("\"", name, "\""),
      absl::StrCat("wanted the name of a verifier", NameHint(name, known)));
}

void CheckDataSets(const std::string& field, const DataSets& sets,
                   const std::vector<std::string>& verifiers, Checker& check) {
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
void CheckPrompt(const PromptConfig& prompt, bool may_chat, Checker& check) {
  const std::string& text = prompt.template_();
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
                           const std::string& path, Checker& check) {
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
                 Checker& check) {
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

void CheckReward(const RewardConfig& reward, Checker& check) {
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

void CheckRollout(const RunConfig& config, Checker& check) {
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

void CheckRest(const RunConfig& config, Checker& check) {
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

void CheckOptimizer(const std::string& path, const OptimizerConfig& optimizer,
                    Checker& check) {
  // A learning rate of 0 is a test that nothing else changes the policy.
  check.AtLeast(path, "learning_rate", optimizer.learning_rate(), 0);
  check.AtLeast(path, "warmup_steps",
                static_cast<double>(optimizer.warmup_steps()), 0);
  check.Within(path, "min_learning_rate_ratio",
               optimizer.min_learning_rate_ratio(), 0, 1);
  for (const auto& [name, beta] :
       {std::pair<absl::string_view, double>{"beta1", optimizer.beta1()},
        {"beta2", optimizer.beta2()}}) {
    check.Require(beta >= 0 && beta < 1, path, name, absl::StrCat(beta),
                  "wanted at least 0 and less than 1");
  }
  check.Above(path, "epsilon", optimizer.epsilon(), 0);
  check.AtLeast(path, "weight_decay", optimizer.weight_decay(), 0);
  check.AtLeast(path, "max_grad_norm", optimizer.max_grad_norm(), 0);
}

void CheckDataStage(const std::string& path, const DataStage& stage,
                    Checker& check) {
  check.Require(stage.set_size() > 0, path, "set", "missing",
                "wanted at least one generated set");
  std::set<std::string> paths;
  for (int i = 0; i < stage.set_size(); ++i) {
    const GeneratedSet& set = stage.set(i);
    const std::string at = JoinPath(path, Element("set", i));
    check.Given(at, "task", set.task(), "the name of a task");
    check.Given(at, "path", set.path(), "the file to write");
    check.AtLeast(at, "count", static_cast<double>(set.count()), 1);
    check.AtLeast(at, "held_out_count",
                  static_cast<double>(set.held_out_count()), 0);
    check.Require(set.held_out_path().empty() || set.held_out_count() > 0, at,
                  "held_out_count", absl::StrCat(set.held_out_count()),
                  "wanted at least 1, since held_out_path is given");
    if (set.has_min_size()) check.AtLeast(at, "min_size", set.min_size(), 1);
    if (set.has_max_size()) check.AtLeast(at, "max_size", set.max_size(), 1);
    if (set.has_min_size() && set.has_max_size()) {
      check.AtLeast(at, "max_size", set.max_size(), set.min_size(),
                    ", which is min_size");
    }
    check.Within(at, "thinking_share", set.thinking_share(), 0, 1);
    for (const std::string& file : {set.path(), set.held_out_path()}) {
      if (file.empty()) continue;
      check.Require(paths.insert(file).second, at, "path",
                    absl::StrCat("\"", file, "\""),
                    "wanted a file that no other set writes");
    }
  }
}

// Names of training data sets that a stage asks for.
void CheckDataNames(const std::string& path, const Strings& names,
                    const RunConfig& config, Checker& check) {
  check.Require(config.data_size() > 0, "", "data", "missing",
                absl::StrCat("wanted at least one data set, for ", path));
  std::vector<std::string> known;
  for (const DataSet& set : config.data()) known.push_back(DataSetName(set));
  std::set<std::string> seen;
  for (int i = 0; i < names.size(); ++i) {
    bool found = false;
    for (const std::string& name : known) found |= name == names[i];
    check.Require(found, path, Element("data", i),
                  absl::StrCat("\"", names[i], "\""),
                  absl::StrCat("wanted the name of one of the data sets",
                               NameHint(names[i], known)));
    check.Require(seen.insert(names[i]).second, path, Element("data", i),
                  absl::StrCat("\"", names[i], "\""), "wanted each name once");
  }
}

// The stages before one.
struct EarlierStages {
  std::vector<std::string> all;
  std::vector<std::string> policies;  // Those that leave a new policy.
};

void CheckStageName(const std::string& path, absl::string_view field,
                    const std::string& name,
                    const std::vector<std::string>& known,
                    absl::string_view what, Checker& check) {
  check.Require(std::count(known.begin(), known.end(), name) > 0, path, field,
                absl::StrCat("\"", name, "\""),
                absl::StrCat("wanted the name of an earlier stage", what,
                             NameHint(name, known)));
}

// Whether an advantage is relative to the rest of its group.
bool IsGroupRelative(GrpoStage::Advantage advantage) {
  return advantage != GrpoStage::REINFORCE_PLUS_PLUS &&
         advantage != GrpoStage::GAE && advantage != GrpoStage::REVERSE_KL;
}

void CheckAdvantage(const std::string& path, const GrpoStage& grpo,
                    Checker& check) {
  check.AtLeast(path, "samples_per_prompt", grpo.samples_per_prompt(),
                IsGroupRelative(grpo.advantage()) ? 2 : 1,
                IsGroupRelative(grpo.advantage())
                    ? "; an advantage is relative to the rest of its group"
                    : "");
  check.Within(path, "gamma", grpo.gamma(), 0, 1);
  const std::string critic = JoinPath(path, "critic");
  CheckOptimizer(JoinPath(critic, "optimizer"), grpo.critic().optimizer(),
                 check);
  check.Above(critic, "value_clip", grpo.critic().value_clip(), 0);
  check.Within(critic, "lambda", grpo.critic().lambda(), 0, 1);
  check.AtLeast(critic, "warmup_steps",
                static_cast<double>(grpo.critic().warmup_steps()), 0);
}

void CheckObjective(const std::string& path, const GrpoStage& grpo,
                    Checker& check) {
  check.AtLeast(path, "clip_low", grpo.clip_low(), 0);
  check.AtLeast(path, "clip_high", grpo.clip_high(), 0);
  check.Require(grpo.dual_clip() == 0 ||
                    (grpo.dual_clip() > 1 && std::isfinite(grpo.dual_clip())),
                path, "dual_clip", absl::StrCat(grpo.dual_clip()),
                "wanted more than 1, or 0 for none");
  check.Require(grpo.objective() != GrpoStage::GSPO ||
                    grpo.aggregation() == GrpoStage::SEQ_MEAN_TOKEN_MEAN,
                path, "aggregation",
                GrpoStage::Aggregation_Name(grpo.aggregation()),
                "wanted SEQ_MEAN_TOKEN_MEAN, as objective GSPO is defined");
  if (grpo.has_aggregation_tokens()) {
    check.AtLeast(path, "aggregation_tokens",
                  static_cast<double>(grpo.aggregation_tokens()), 1);
    check.Require(grpo.aggregation() == GrpoStage::SEQ_MEAN_TOKEN_SUM_NORM,
                  path, "aggregation_tokens",
                  absl::StrCat(grpo.aggregation_tokens()),
                  "wanted it with aggregation: SEQ_MEAN_TOKEN_SUM_NORM only");
  }
  check.AtLeast(path, "kl_coef", grpo.kl_coef(), 0);
  check.Require(grpo.kl_coef() > 0 || !grpo.kl_in_reward(), path,
                "kl_in_reward", "true", "wanted it with a kl_coef above 0");
  check.AtLeast(path, "reference_every",
                static_cast<double>(grpo.reference_every()), 0);
  check.Require(grpo.kl_coef() > 0 || grpo.reference_every() == 0, path,
                "reference_every", absl::StrCat(grpo.reference_every()),
                "wanted it with a kl_coef above 0");
  check.AtLeast(path, "entropy_coef", grpo.entropy_coef(), 0);
}

void CheckImportance(const std::string& path, const GrpoStage& grpo,
                     Checker& check) {
  check.Within(path, "max_staleness", grpo.max_staleness(), 0, 8);
  const ImportanceConfig& importance = grpo.importance();
  const bool decoupled =
      grpo.has_decoupled() ? grpo.decoupled() : grpo.max_staleness() > 0;
  check.Require(decoupled || importance.mode() == ImportanceConfig::AUTO ||
                    importance.mode() == ImportanceConfig::NONE,
                path, "importance",
                ImportanceConfig::Mode_Name(importance.mode()),
                "wanted it with decoupled: true, since without it the ratio is "
                "against the sampler already");
  const std::string at = JoinPath(path, "importance");
  if (importance.has_low()) check.AtLeast(at, "low", importance.low(), 0);
  if (importance.has_high()) {
    check.Above(at, "high", importance.high(), importance.low());
  }
}

// Which prompts are given out.
void CheckSampling(const std::string& path, const GrpoStage& grpo,
                   Checker& check) {
  const DynamicSampling& dynamic = grpo.dynamic_sampling();
  const bool is_dynamic = dynamic.max_rounds() > 0;
  check.AtLeast(JoinPath(path, "dynamic_sampling"), "max_rounds",
                dynamic.max_rounds(), 0);
  check.Require(!is_dynamic || IsGroupRelative(grpo.advantage()),
                JoinPath(path, "dynamic_sampling"), "max_rounds",
                absl::StrCat(dynamic.max_rounds()),
                "wanted it with a group-relative advantage only");
  if (dynamic.has_round_prompts()) {
    check.AtLeast(JoinPath(path, "dynamic_sampling"), "round_prompts",
                  dynamic.round_prompts(), 1);
  }
  check.AtLeast(path, "extra_prompts", grpo.extra_prompts(), 0);
  check.Require(
      grpo.extra_prompts() == 0 || (grpo.max_staleness() == 0 && !is_dynamic),
      path, "extra_prompts", absl::StrCat(grpo.extra_prompts()),
      "wanted 0 with max_staleness or dynamic_sampling, which wait "
      "for no straggler either");
  const std::string curriculum = JoinPath(path, "curriculum");
  check.Within(curriculum, "floor", grpo.curriculum().floor(), 0.001, 1);
  check.Within(curriculum, "newest", grpo.curriculum().newest(), 0, 1);
}

void CheckTeacher(const std::string& path, const GrpoStage& grpo,
                  const EarlierStages& earlier, Checker& check) {
  const bool distils = grpo.advantage() == GrpoStage::REVERSE_KL;
  check.Require(!distils || grpo.has_teacher(), path, "teacher", "missing",
                "wanted the name of an earlier stage, for advantage: "
                "REVERSE_KL");
  if (!grpo.has_teacher()) return;
  CheckStageName(path, "teacher", grpo.teacher(), earlier.policies,
                 " that trains", check);
  check.Require(distils || grpo.kl_coef() > 0, path, "teacher",
                absl::StrCat("\"", grpo.teacher(), "\""),
                "wanted it with advantage: REVERSE_KL or a kl_coef above 0");
  check.Require(!distils || !grpo.kl_in_reward(), path, "kl_in_reward", "true",
                "wanted false with advantage: REVERSE_KL, which has no reward");
  check.Require(grpo.reference_every() == 0, path, "reference_every",
                absl::StrCat(grpo.reference_every()),
                "wanted 0, as a teacher stays the reference");
}

void CheckGrpo(const std::string& path, const GrpoStage& grpo,
               const RunConfig& config, const EarlierStages& earlier,
               Checker& check) {
  check.AtLeast(path, "steps", static_cast<double>(grpo.steps()), 1);
  check.AtLeast(path, "prompts_per_step", grpo.prompts_per_step(), 1);
  check.AtLeast(path, "updates_per_step", grpo.updates_per_step(), 1);
  check.Require(grpo.updates_per_step() <= grpo.prompts_per_step(), path,
                "updates_per_step", absl::StrCat(grpo.updates_per_step()),
                absl::StrCat("wanted at most prompts_per_step, which is ",
                             grpo.prompts_per_step()));
  CheckOptimizer(JoinPath(path, "optimizer"), grpo.optimizer(), check);
  CheckAdvantage(path, grpo, check);
  CheckObjective(path, grpo, check);
  CheckImportance(path, grpo, check);
  CheckSampling(path, grpo, check);
  CheckTeacher(path, grpo, earlier, check);
  for (const std::string& name : grpo.core_seconds_of_stages()) {
    CheckStageName(path, "core_seconds_of_stages", name, earlier.all, "",
                   check);
  }
  check.Above(path, "temperature", grpo.temperature(), 0);
  check.AtLeast(path, "eval_every", static_cast<double>(grpo.eval_every()), 0);
  CheckDataNames(path, grpo.data(), config, check);
}

void CheckKeep(const std::string& path, const KeepSamples& keep,
               const RunConfig& config, Checker& check) {
  check.Given(path, "path", keep.path(), "the file to write");
  std::vector<std::string> known;
  for (const RewardComponent& component : config.reward().component()) {
    known.push_back(component.name());
  }
  for (int i = 0; i < keep.rule_size(); ++i) {
    const std::string& name = keep.rule(i).component();
    check.Require(std::count(known.begin(), known.end(), name) > 0,
                  JoinPath(path, Element("rule", i)), "component",
                  absl::StrCat("\"", name, "\""),
                  absl::StrCat("wanted the name of a reward.component",
                               NameHint(name, known)));
  }
  if (keep.has_max_response_tokens()) {
    check.AtLeast(path, "max_response_tokens", keep.max_response_tokens(), 1);
  }
  check.AtLeast(path, "max_per_problem", keep.max_per_problem(), 0);
}

void CheckSample(const std::string& path, const SampleStage& sample,
                 const RunConfig& config, Checker& check) {
  check.AtLeast(path, "prompts", static_cast<double>(sample.prompts()), 1);
  check.AtLeast(path, "samples_per_prompt", sample.samples_per_prompt(), 1);
  check.Above(path, "temperature", sample.temperature(), 0);
  check.Given(path, "path", sample.path(), "the file to write");
  if (sample.has_keep()) {
    CheckKeep(JoinPath(path, "keep"), sample.keep(), config, check);
  }
  CheckDataNames(path, sample.data(), config, check);
}

void CheckKind(const std::string& path, const Stage& stage,
               const RunConfig& config, const EarlierStages& earlier,
               Checker& check) {
  switch (stage.kind_case()) {
    case Stage::KIND_NOT_SET:
      check.Fail(path, "kind", "missing",
                 "wanted one of data {}, sft {}, grpo {}, eval {}, sample {}");
      return;
    case Stage::kData:
      return CheckDataStage(JoinPath(path, "data"), stage.data(), check);
    case Stage::kGrpo:
      return CheckGrpo(JoinPath(path, "grpo"), stage.grpo(), config, earlier,
                       check);
    case Stage::kEval:
      check.Require(config.eval_data_size() > 0, "", "eval_data", "missing",
                    absl::StrCat("wanted at least one data set, for ", path));
      return;
    case Stage::kSample:
      return CheckSample(JoinPath(path, "sample"), stage.sample(), config,
                         check);
    case Stage::kSft: {
      const SftStage& sft = stage.sft();
      const std::string at = JoinPath(path, "sft");
      check.AtLeast(at, "steps", static_cast<double>(sft.steps()), 1);
      check.AtLeast(at, "batch_size", sft.batch_size(), 1);
      CheckOptimizer(JoinPath(at, "optimizer"), sft.optimizer(), check);
      if (sft.has_seconds_of_stage()) {
        CheckStageName(at, "seconds_of_stage", sft.seconds_of_stage(),
                       earlier.all, "", check);
      }
      return CheckDataNames(at, sft.data(), config, check);
    }
  }
}

// What a stage starts from.
void CheckStart(const std::string& path, const Stage& stage,
                const RunConfig& config, const EarlierStages& earlier,
                Checker& check) {
  if (stage.has_init_from()) {
    CheckStageName(path, "init_from", stage.init_from(), earlier.policies,
                   " that trains", check);
  }
  if (!stage.has_policy()) return;
  check.Require(!stage.has_data(), path, "policy", "given",
                "wanted none for a stage that makes data");
  const PolicyConfig::Dtype dtype = stage.policy().dtype();
  check.Require(
      dtype == PolicyConfig::FLOAT32 || dtype == config.policy().dtype(),
      JoinPath(path, "policy"), "dtype", PolicyConfig::Dtype_Name(dtype),
      "wanted none, as it is the run's");
  CheckPolicy(JoinPath(path, "policy"), stage.policy(), config, check);
}

void CheckStages(const RunConfig& config, Checker& check) {
  EarlierStages earlier;
  for (int i = 0; i < config.stage_size(); ++i) {
    const Stage& stage = config.stage(i);
    const std::string path = Element("stage", i);
    CheckKind(path, stage, config, earlier, check);
    if (check.problem().has_value()) return;

    const std::string name = StageName(stage);
    check.Plain(path, "name", name);
    check.Require(std::count(earlier.all.begin(), earlier.all.end(), name) == 0,
                  path, "name", absl::StrCat("\"", name, "\""),
                  "wanted a name that no earlier stage has");
    CheckStart(path, stage, config, earlier, check);
    earlier.all.push_back(name);
    if (stage.has_sft() || stage.has_grpo()) earlier.policies.push_back(name);
  }
}

}  // namespace

std::optional<ConfigProblem> FindConfigProblem(const RunConfig& config) {
  Checker check;
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
