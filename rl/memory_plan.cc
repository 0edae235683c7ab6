#include "rl/memory_plan.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "ATen/Parallel.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "policy/checkpoint.h"
#include "policy/flops.h"
#include "proto/text_config.h"
#include "rl/train_group.h"

namespace ponder {
namespace {

// Resident memory of a process that has loaded LibTorch and gRPC and done its
// first products; measured (docs/performance.md).
constexpr int64_t kProcessBytes = 330 << 20;
constexpr int64_t kRewardServerBytes = 120 << 20;

int64_t ElementBytes(const RunConfig& config) {
  return config.policy().dtype() == PolicyConfig::BFLOAT16 ? 2 : 4;
}

const GrpoStage* FirstGrpo(const RunConfig& config) {
  for (const Stage& stage : config.stage()) {
    if (stage.has_grpo()) return &stage.grpo();
  }
  return nullptr;
}

bool Trains(const RunConfig& config) {
  return std::any_of(config.stage().begin(), config.stage().end(),
                     TrainsPolicy);
}

bool Samples(const RunConfig& config) {
  return std::any_of(
      config.stage().begin(), config.stage().end(), [&](const Stage& s) {
        return s.has_grpo() || s.has_sample() || EvaluatesPolicy(s, config);
      });
}

int64_t MaxTokens(const RunConfig& config) {
  return int64_t{config.prompt().max_prompt_tokens()} +
         config.prompt().max_response_tokens();
}

// Tokens of the largest micro-batch that a stage can make.
int64_t MicroBatchTokens(const RunConfig& config) {
  const int64_t budget =
      std::max(config.learner().micro_batch_tokens(), MaxTokens(config));
  int64_t all = 0;
  for (const Stage& stage : config.stage()) {
    int64_t sequences = 0;
    if (stage.has_sft()) sequences = stage.sft().batch_size();
    // Of a text there may be as many pieces as fill a micro-batch.
    if (stage.has_pretrain()) sequences = budget;
    if (stage.has_grpo()) {
      sequences = int64_t{stage.grpo().prompts_per_step()} *
                  stage.grpo().samples_per_prompt() /
                  std::max(1, stage.grpo().updates_per_step());
    }
    all = std::max(all, sequences * MaxTokens(config));
  }
  return std::min(all, budget);
}

// Sequences that are sampled together at most.
int64_t MaxSequences(const RunConfig& config) {
  int64_t sequences = 0;
  const GrpoStage* grpo = FirstGrpo(config);
  if (grpo != nullptr) {
    sequences = int64_t{grpo->prompts_per_step()} * grpo->samples_per_prompt();
  }
  if (config.eval_data_size() > 0) sequences = config.rollout().slots();
  return std::clamp<int64_t>(sequences, 1, config.rollout().slots());
}

// What the backward pass of the largest layer wants of one token: inputs of
// norms and products, rotated queries and keys, values, the attention's result,
// and of the network, or of each expert that the token passes, gate, up and
// their product.
int64_t LayerElements(const ModelConfig& m) {
  const int64_t key_heads = m.has_mla() ? m.num_heads : m.num_kv_heads;
  int64_t attention = m.num_heads * (m.qk_dim() + m.v_dim()) +
                      key_heads * (m.qk_dim() + m.v_dim());
  if (m.has_mla()) {
    // Both latents, before and after their norms.
    attention += 2 * (m.mla.q_lora_rank + m.cache_key_dim());
  }
  int64_t network = 3 * m.intermediate_size;
  if (m.has_experts()) {
    const int64_t passed = m.moe.experts_per_token + m.moe.num_shared_experts;
    // The router's scores, and each expert's input and output in float32.
    network = std::max(
        network, 3 * passed * m.moe.intermediate_size + 2 * m.moe.num_experts +
                     3 * m.moe.experts_per_token * m.hidden_size);
  }
  return 4 * m.hidden_size + attention + network;
}

// Parameters of the stage's reference, which is the policy's first or a
// teacher's. A teacher of this run has a plan of its own, in which it trains.
int64_t ReferenceParameters(const GrpoStage& stage, const ModelConfig& policy) {
  if (!stage.has_teacher_path()) return policy.NumParameters();
  const auto files = ReadPolicyFiles(stage.teacher_path());
  if (!files.ok()) return 0;  // The run will say so.
  const auto teacher = ConfigOfFiles(*files, stage.teacher_path());
  return teacher.ok() ? teacher->NumParameters() : 0;
}

// Of the largest reference of all stages; 0: none has one.
int64_t ReferenceParameters(const RunConfig& config,
                            const ModelConfig& policy) {
  int64_t largest = 0;
  for (const Stage& stage : config.stage()) {
    if (!stage.has_grpo() || !HasReference(stage.grpo())) continue;
    largest = std::max(largest, ReferenceParameters(stage.grpo(), policy));
  }
  return largest;
}

ProcessPlan PlanTrainer(const RunConfig& config, const ModelConfig& m) {
  const int64_t e = ElementBytes(config);
  const int64_t p = m.NumParameters();
  const int64_t embedding = m.vocab_size * m.hidden_size;
  ProcessPlan plan;
  plan.process = "trainer";
  plan.Add("program and libraries", kProcessBytes);
  plan.Add("weights, float32", 4 * p);
  if (Samples(config)) {
    plan.Add("published policy", e * p);
  }
  if (!Trains(config)) return plan;
  plan.Add("gradients, float32", 4 * p);
  plan.Add("AdamW's moments, float32", 8 * p);
  const GrpoStage* grpo = FirstGrpo(config);
  if (const int64_t reference = ReferenceParameters(config, m)) {
    plan.Add("reference policy", e * reference);
  }
  if (grpo != nullptr && grpo->advantage() == GrpoStage::GAE) {
    plan.Add("critic with gradients and moments, float32", 16 * p);
  }
  const int64_t tokens = MicroBatchTokens(config);
  const int64_t layer = tokens * LayerElements(m) * e;
  if (config.learner().activation_checkpointing()) {
    // Inputs of all layers; one layer is there whole, with gradients.
    plan.Add("activations, checkpointed",
             m.num_layers * tokens * m.hidden_size * e + 2 * layer);
    if (e != 4) {
      plan.Add("weights of one layer as bfloat16",
               e * (p - embedding) / std::max<int64_t>(1, m.num_layers));
    }
  } else {
    plan.Add("activations", m.num_layers * layer + layer);
    if (e != 4) {
      plan.Add("weights as bfloat16", e * (p - embedding));
    }
  }
  const int64_t chunk =
      std::min(config.learner().logits_chunk_tokens(), tokens);
  plan.Add("chunk of logits", chunk * m.vocab_size * e);
  // The head's gradient is summed in float32 beside one product, and its
  // weight is there as bfloat16.
  plan.Add("gradient of the output matrix",
           embedding * (4 + (e == 4 ? 4 : 2 * e)));
  return plan;
}

ProcessPlan PlanWorker(const RunConfig& config, const ModelConfig& m) {
  const int64_t e = ElementBytes(config);
  ProcessPlan plan;
  plan.process = "worker";
  plan.count = config.rollout().workers();
  plan.Add("program and libraries", kProcessBytes);
  plan.Add("policy, the one in use and the next", 2 * e * m.NumParameters());
  int64_t cache_tokens = MaxSequences(config) * MaxTokens(config);
  if (config.rollout().kv_cache_tokens() > 0) {
    cache_tokens = std::min(cache_tokens, config.rollout().kv_cache_tokens());
  }
  plan.Add(absl::StrCat("key-value cache, ", cache_tokens, " tokens"),
           cache_tokens * m.KvBytesPerToken(e));
  plan.Add("logits", MaxSequences(config) * m.vocab_size * (e + 4));
  return plan;
}

std::string Gib(int64_t bytes) {
  return absl::StrFormat("%.2f GiB", static_cast<double>(bytes) / (1 << 30));
}

}  // namespace

void ProcessPlan::Add(std::string what, int64_t item_bytes) {
  MemoryItem& item = items.emplace_back();
  item.what = std::move(what);
  item.bytes = item_bytes;
}

int64_t ProcessPlan::bytes() const {
  int64_t sum = 0;
  for (const MemoryItem& item : items) sum += item.bytes;
  return sum;
}

int64_t MemoryPlan::bytes() const {
  int64_t sum = 0;
  for (const ProcessPlan& plan : processes) sum += plan.count * plan.bytes();
  return sum;
}

std::string MemoryPlan::Text() const {
  std::string text = "Memory at its peak\n";
  for (const ProcessPlan& plan : processes) {
    absl::StrAppendFormat(
        &text, "  %-46s %12s\n",
        plan.count == 1 ? plan.process
                        : absl::StrCat(plan.process, ", each of ", plan.count),
        Gib(plan.bytes()));
    for (const MemoryItem& item : plan.items) {
      absl::StrAppendFormat(&text, "    %-44s %12s\n", item.what,
                            Gib(item.bytes));
    }
  }
  absl::StrAppendFormat(&text, "  %-46s %12s\n", "in all", Gib(bytes()));
  return text;
}

MemoryPlan PlanMemory(const RunConfig& config, const ModelConfig& model) {
  MemoryPlan plan;
  plan.processes.push_back(PlanTrainer(config, model));
  if (Trains(config) && config.learner().processes() > 1) {
    // At most what the trainer takes.
    ProcessPlan learner = plan.processes[0];
    learner.process = "learner";
    learner.count = config.learner().processes() - 1;
    plan.processes.push_back(learner);
  }
  if (Samples(config)) {
    plan.processes.push_back(PlanWorker(config, model));
    ProcessPlan reward;
    reward.process = "reward server";
    reward.count = config.reward().has_address() ? 0 : 1;
    reward.Add("program and libraries", kRewardServerBytes);
    plan.processes.push_back(reward);
  }
  return plan;
}

absl::Status CheckMemory(const RunConfig& config, const ModelConfig& model) {
  const int64_t have =
      int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  const int64_t need = PlanMemory(config, model).bytes();
  if (need <= have) return absl::OkStatus();
  // The smallest change first.
  std::string change;
  RunConfig other = config;
  other.mutable_learner()->set_activation_checkpointing(true);
  if (PlanMemory(other, model).bytes() <= have) {
    change = "--set learner.activation_checkpointing=true would fit";
  }
  if (change.empty()) {
    for (int64_t tokens = config.learner().micro_batch_tokens() / 2;
         tokens >= 256 && change.empty(); tokens /= 2) {
      other.mutable_learner()->set_micro_batch_tokens(tokens);
      other.mutable_learner()->set_logits_chunk_tokens(
          std::min(tokens, other.learner().logits_chunk_tokens()));
      if (PlanMemory(other, model).bytes() <= have) {
        change = absl::StrCat(
            "--set learner.activation_checkpointing=true --set "
            "learner.micro_batch_tokens=",
            tokens,
            " --set "
            "learner.logits_chunk_tokens=",
            other.learner().logits_chunk_tokens(), " would fit");
      }
    }
  }
  if (change.empty()) change = "take a smaller policy, or a larger machine";
  return absl::ResourceExhaustedError(absl::StrCat(
      "the run needs about ", Gib(need),
      " of memory at its peak, this machine has ", Gib(have), "; ", change));
}

std::string ExpectedStepTimes(const RunConfig& config, const ModelConfig& m) {
  const at::ScalarType dtype = config.policy().dtype() == PolicyConfig::BFLOAT16
                                   ? at::kBFloat16
                                   : at::kFloat;
  const auto flops = [&](int64_t rows) {
    return MeasureProductFlops(rows, m.hidden_size, m.intermediate_size, dtype,
                               at::kCPU);
  };
  const double many = flops(1024);
  const int64_t prompt = config.prompt().max_prompt_tokens();
  const int64_t response = config.prompt().max_response_tokens();
  const double whole = ForwardFlops(m, prompt + response, response);
  // Forward and backward, and the forward pass again with checkpointing.
  const int passes = config.learner().activation_checkpointing() ? 4 : 3;
  std::string text = absl::StrFormat(
      "Expected time (products run at %.0f GFLOP/s here, %d threads)\n",
      many / 1e9, at::get_num_threads());
  for (const Stage& stage : config.stage()) {
    if (const SupervisedStage* supervised = SupervisedOf(stage)) {
      const int64_t outputs =
          stage.has_pretrain() ? prompt + response : response;
      absl::StrAppendFormat(
          &text, "  stage %s: at most %.1f s a step%s\n", StageName(stage),
          passes * supervised->batch_size() *
              ForwardFlops(m, prompt + response, outputs) / many,
          stage.has_pretrain()
              ? ", if no text is longer than a prompt and its response"
              : "");
    }
    if (stage.has_grpo()) {
      const GrpoStage& grpo = stage.grpo();
      const int64_t sequences =
          int64_t{grpo.prompts_per_step()} * grpo.samples_per_prompt();
      const double few =
          flops(std::clamp<int64_t>(sequences, 1, config.rollout().slots()));
      const double prefill = ForwardFlops(m, prompt, 0);
      const double learn =
          passes * static_cast<double>(sequences) * whole / many;
      const double sample =
          static_cast<double>(sequences) * (whole - prefill) / few +
          grpo.prompts_per_step() * prefill / many;
      absl::StrAppendFormat(
          &text,
          "  stage %s: at most %.1f s a step: %.1f s sampling, %.1f s "
          "learning, if every response takes all its tokens\n",
          StageName(stage), sample + learn, sample, learn);
    }
  }
  return text;
}

}  // namespace ponder
