// Checks of the stages of a configuration.

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/nearest_name.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "proto/config_checker.h"
#include "proto/text_config.h"

namespace ponder {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

void CheckOptimizer(const std::string& path, const OptimizerConfig& optimizer,
                    ConfigChecker& check) {
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
                    ConfigChecker& check) {
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
                    const RunConfig& config, ConfigChecker& check) {
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
  std::set<std::string> files;        // That sample stages write.
};

// A file that no earlier stage writes.
void CheckNewFile(const std::string& path, absl::string_view field,
                  const std::string& file, EarlierStages* earlier,
                  ConfigChecker& check) {
  check.Given(path, field, file, "the file to write");
  check.Require(earlier->files.insert(file).second, path, field,
                absl::StrCat("\"", file, "\""),
                "wanted a file that no other stage writes");
}

void CheckStageName(const std::string& path, absl::string_view field,
                    const std::string& name,
                    const std::vector<std::string>& known,
                    absl::string_view what, ConfigChecker& check) {
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
                    ConfigChecker& check) {
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
                    ConfigChecker& check) {
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
  check.Above(path, "sapo_positive_temperature",
              grpo.sapo_positive_temperature(), 0);
  check.Above(path, "sapo_negative_temperature",
              grpo.sapo_negative_temperature(), 0);
  check.Within(path, "tv_bound", grpo.tv_bound(), 0, 1);
  const bool decoupled =
      grpo.has_decoupled() ? grpo.decoupled() : grpo.max_staleness() > 0;
  check.Require(grpo.objective() != GrpoStage::DPPO_TV || !decoupled, path,
                "decoupled", "true",
                "wanted false with objective DPPO_TV, whose ratio is against "
                "the policy that sampled");
  check.AtLeast(path, "off_policy_mask", grpo.off_policy_mask(), 0);
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
                     ConfigChecker& check) {
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
                   ConfigChecker& check) {
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
                  const EarlierStages& earlier, ConfigChecker& check) {
  const bool distils = grpo.advantage() == GrpoStage::REVERSE_KL;
  check.Require(!distils || HasTeacher(grpo), path, "teacher", "missing",
                "wanted the name of an earlier stage, or teacher_path: a "
                "folder, for advantage: REVERSE_KL");
  if (!HasTeacher(grpo)) return;
  const bool has_path = grpo.has_teacher_path();
  if (has_path) {
    check.Given(path, "teacher_path", grpo.teacher_path(),
                "a Hugging Face folder");
  } else {
    CheckStageName(path, "teacher", grpo.teacher(), earlier.policies,
                   " that trains", check);
  }
  check.Require(
      distils || grpo.kl_coef() > 0, path,
      has_path ? "teacher_path" : "teacher",
      absl::StrCat("\"", has_path ? grpo.teacher_path() : grpo.teacher(), "\""),
      "wanted it with advantage: REVERSE_KL or a kl_coef above 0");
  check.Require(!distils || !grpo.kl_in_reward(), path, "kl_in_reward", "true",
                "wanted false with advantage: REVERSE_KL, which has no reward");
  check.Require(grpo.reference_every() == 0, path, "reference_every",
                absl::StrCat(grpo.reference_every()),
                "wanted 0, as a teacher stays the reference");
}

std::vector<std::string> ComponentNames(const RunConfig& config) {
  std::vector<std::string> names;
  for (const RewardComponent& component : config.reward().component()) {
    names.push_back(component.name());
  }
  if (names.empty()) names.push_back("accuracy");
  return names;
}

void CheckComponentName(const std::string& path, absl::string_view field,
                        const std::string& name,
                        const std::vector<std::string>& known,
                        ConfigChecker& check) {
  check.Require(std::count(known.begin(), known.end(), name) > 0, path, field,
                absl::StrCat("\"", name, "\""),
                absl::StrCat("wanted the name of a reward.component",
                             NameHint(name, known)));
}

void CheckGrpo(const std::string& path, const GrpoStage& grpo,
               const RunConfig& config, const EarlierStages& earlier,
               ConfigChecker& check) {
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
  const std::vector<std::string> components = ComponentNames(config);
  for (int i = 0; i < grpo.reward_size(); ++i) {
    CheckComponentName(path, Element("reward", i), grpo.reward(i), components,
                       check);
  }
}

void CheckKeep(const std::string& path, const KeepSamples& keep,
               const RunConfig& config, EarlierStages* earlier,
               ConfigChecker& check) {
  CheckNewFile(path, "path", keep.path(), earlier, check);
  const std::vector<std::string> components = ComponentNames(config);
  for (int i = 0; i < keep.rule_size(); ++i) {
    CheckComponentName(JoinPath(path, Element("rule", i)), "component",
                       keep.rule(i).component(), components, check);
  }
  if (keep.has_max_response_tokens()) {
    check.AtLeast(path, "max_response_tokens", keep.max_response_tokens(), 1);
  }
  check.AtLeast(path, "max_per_problem", keep.max_per_problem(), 0);
}

void CheckSample(const std::string& path, const SampleStage& sample,
                 const RunConfig& config, EarlierStages* earlier,
                 ConfigChecker& check) {
  check.AtLeast(path, "prompts", static_cast<double>(sample.prompts()), 0);
  check.AtLeast(path, "samples_per_prompt", sample.samples_per_prompt(), 1);
  check.Above(path, "temperature", sample.temperature(), 0);
  CheckNewFile(path, "path", sample.path(), earlier, check);
  CheckNewFile(path, "pass_rates_path", sample.pass_rates_path(), earlier,
               check);
  if (sample.has_keep()) {
    CheckKeep(JoinPath(path, "keep"), sample.keep(), config, earlier, check);
  }
  CheckDataNames(path, sample.data(), config, check);
}

void CheckSupervised(const std::string& path, const SupervisedStage& stage,
                     const RunConfig& config, const EarlierStages& earlier,
                     ConfigChecker& check) {
  check.AtLeast(path, "steps", static_cast<double>(stage.steps()), 1);
  check.AtLeast(path, "batch_size", stage.batch_size(), 1);
  CheckOptimizer(JoinPath(path, "optimizer"), stage.optimizer(), check);
  if (stage.has_seconds_of_stage()) {
    CheckStageName(path, "seconds_of_stage", stage.seconds_of_stage(),
                   earlier.all, "", check);
  }
  CheckDataNames(path, stage.data(), config, check);
}

void CheckKind(const std::string& path, const Stage& stage,
               const RunConfig& config, EarlierStages& earlier,
               ConfigChecker& check) {
  switch (stage.kind_case()) {
    case Stage::KIND_NOT_SET:
      check.Fail(
          path, "kind", "missing",
          "wanted one of data {}, pretrain {}, sft {}, grpo {}, eval {}, "
          "sample {}");
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
                         &earlier, check);
    case Stage::kPretrain:
    case Stage::kSft:
      return CheckSupervised(JoinPath(path, StageKind(stage)),
                             *SupervisedOf(stage), config, earlier, check);
  }
}

// What a stage starts from.
void CheckStart(const std::string& path, const Stage& stage,
                const RunConfig& config, const EarlierStages& earlier,
                ConfigChecker& check) {
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

}  // namespace

void CheckStages(const RunConfig& config, ConfigChecker& check) {
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
    if (TrainsPolicy(stage)) earlier.policies.push_back(name);
  }
}

}  // namespace ponder
