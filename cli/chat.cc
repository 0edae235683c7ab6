// ponder chat: ask a policy by hand.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/flag_checks.h"
#include "cli/policy_folder.h"
#include "cli/text_stream.h"
#include "nlohmann/json.hpp"
#include "policy/checkpoint.h"
#include "policy/device.h"
#include "policy/files/safetensors.h"
#include "policy/jinja/chat_template.h"
#include "policy/quantized_weights.h"
#include "policy/text/tokenizer.h"
#include "rollout/engine.h"

namespace ponder {
namespace {

struct ChatFlags {
  std::string from;
  std::optional<std::string> prompt;
  std::string system;
  std::string weights = "auto";
  std::string device = "cpu";
  double temperature = 1;
  int32_t max_tokens = 1024;
  uint64_t seed = 1;
};

// How weights are held: float32 and bfloat16 as they are stored, or as asked.
struct WeightType {
  at::ScalarType dtype = at::kFloat;
  bool quantized = false;
};

absl::StatusOr<WeightType> WeightTypeOf(const ChatFlags& flags,
                                        const std::string& folder) {
  if (flags.weights == "f32") return WeightType{at::kFloat, false};
  if (flags.weights == "bf16") return WeightType{at::kBFloat16, false};
  if (flags.weights == "q8_0") {
    if (flags.device == "cpu") return WeightType{at::kBFloat16, true};
    return absl::InvalidArgumentError(
        "--weights q8_0 is for the CPU; take bf16 with --device cuda");
  }
  PONDER_ASSIGN_OR_RETURN(const auto file, SafetensorsFolder::Open(folder));
  const bool is_float32 =
      !file->tensors().empty() && file->tensors().front().dtype == "F32";
  return WeightType{is_float32 ? at::kFloat : at::kBFloat16, false};
}

bool ThoughtIsOpen(absl::string_view prompt) {
  return absl::EndsWith(absl::StripTrailingAsciiWhitespace(prompt), "<think>");
}

class Chat {
 public:
  static absl::StatusOr<std::unique_ptr<Chat>> Open(const ChatFlags& flags,
                                                    const std::string& folder) {
    PONDER_ASSIGN_OR_RETURN(const WeightType type, WeightTypeOf(flags, folder));
    PONDER_ASSIGN_OR_RETURN(const at::Device device, OpenDevice(flags.device));
    PONDER_ASSIGN_OR_RETURN(
        Checkpoint policy,
        LoadCheckpoint(folder, type.dtype,
                       [&](const std::string& name, const at::Tensor& weight) {
                         return type.quantized ? QuantizedQ8(name, weight)
                                               : weight.to(device);
                       }));
    const auto tokenizer_json = policy.files.find("tokenizer.json");
    if (tokenizer_json == policy.files.end()) {
      return absl::NotFoundError(
          absl::StrCat(folder, ": has no tokenizer.json, so no text goes in"));
    }
    auto chat = std::unique_ptr<Chat>(new Chat(flags));
    PONDER_ASSIGN_OR_RETURN(
        chat->tokenizer_,
        Tokenizer::FromJson(tokenizer_json->second,
                            absl::StrCat(folder, "/tokenizer.json")));
    chat->stop_ids_ = policy.config.eos_token_ids;
    PONDER_ASSIGN_OR_RETURN(chat->chat_template_,
                            ChatTemplate::FromFiles(policy.files));
    int64_t bytes = 0;
    for (const auto& [name, weight] : policy.weights) {
      bytes += static_cast<int64_t>(weight.nbytes());
    }
    std::fprintf(stderr, "%s: %s, %s parameters in %.1f MiB as %s on %s\n",
                 folder.c_str(), policy.config.model_type.c_str(),
                 absl::StrCat(policy.config.NumParameters()).c_str(),
                 static_cast<double>(bytes) / (1 << 20),
                 type.quantized                ? "q8_0"
                 : type.dtype == at::kBFloat16 ? "bf16"
                                               : "f32",
                 flags.device.c_str());
    if (chat->chat_template_ == nullptr) {
      std::fprintf(stderr,
                   "it has no chat template: the text goes in as it is\n");
      if (!flags.system.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(
            folder, ": has no chat template that would take --system"));
      }
    }
    chat->Restart();
    constexpr int64_t kLongest = 32768;  // Tokens; bounds the rotary tables.
    chat->max_tokens_ =
        std::min(policy.config.max_position_embeddings, kLongest);
    PONDER_ASSIGN_OR_RETURN(
        auto decoder, Decoder::Create(policy.config, std::move(policy.weights),
                                      type.dtype, chat->max_tokens_));
    chat->engine_ =
        std::make_unique<Engine>(Engine::Options(), chat->tokenizer_.get());
    chat->engine_->SetPolicy(std::move(decoder));
    return chat;
  }

  // Forgets what was said.
  void Restart() {
    messages_ = nlohmann::ordered_json::array();
    if (!flags_.system.empty()) {
      messages_.push_back({{"role", "system"}, {"content", flags_.system}});
    }
  }

  // Prints the answer to `prompt`, as it is sampled. What was said before is a
  // part of the conversation where a chat template makes one. CANCELLED after a
  // stop signal.
  absl::Status Answer(const std::string& prompt) {
    GenerationRequest request;
    request.group_id = "chat";
    std::string text = prompt;
    nlohmann::ordered_json messages = messages_;
    if (chat_template_ != nullptr) {
      messages.push_back({{"role", "user"}, {"content", prompt}});
      PONDER_ASSIGN_OR_RETURN(
          text, chat_template_->Render(
                    {{"messages", messages}, {"add_generation_prompt", true}}));
    }
    request.prompt_ids = tokenizer_->Encode(text);
    SamplingParams sampling;
    sampling.temperature = flags_.temperature;
    sampling.key =
        StreamKey().Add(flags_.seed).Add("chat").Add(num_answers_++).key();
    request.samples = {sampling};
    const int64_t room =
        max_tokens_ - static_cast<int64_t>(request.prompt_ids.size());
    if (request.prompt_ids.empty() || room < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("the conversation has ", request.prompt_ids.size(),
                       " tokens; wanted at least 1 and fewer than ",
                       max_tokens_, "; /new begins another"));
    }
    const int32_t limit =
        static_cast<int32_t>(std::min<int64_t>(room, flags_.max_tokens));
    request.max_response_tokens = limit;
    request.stop_ids = stop_ids_;
    TextStream stream(tokenizer_.get(), ThoughtIsOpen(text),
                      /*dim=*/isatty(STDOUT_FILENO) != 0, stdout);
    request.on_token = [&](int32_t, int32_t id) { stream.Add(id); };
    PONDER_RETURN_IF_ERROR(engine_->Add(std::move(request)));
    bool truncated = false;
    while (!engine_->idle()) {
      if (StopRequested()) {
        stream.Finish();
        return absl::CancelledError("stopped");
      }
      engine_->Step(
          [&](GeneratedSample sample) { truncated = sample.truncated; });
    }
    messages.push_back({{"role", "assistant"}, {"content", stream.Finish()}});
    messages_ = std::move(messages);
    std::printf("\n");
    std::fflush(stdout);
    if (truncated) {
      std::fprintf(stderr, "[cut after %d tokens; --max-tokens allows more]\n",
                   limit);
    }
    return absl::OkStatus();
  }

 private:
  explicit Chat(const ChatFlags& flags) : flags_(flags) {}

  const ChatFlags flags_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<int32_t> stop_ids_;
  int64_t max_tokens_ = 0;  // Of the policy: prompt and response together.
  std::unique_ptr<ChatTemplate> chat_template_;  // Null if it has none.
  std::unique_ptr<Engine> engine_;
  uint64_t num_answers_ = 0;
  nlohmann::ordered_json messages_;  // Of the conversation so far.
};

// A conversation, a line of the terminal at a time.
absl::Status TalkOnTerminal(Chat& chat) {
  std::fprintf(stderr,
               "a question a line; /new begins another conversation; an empty "
               "line or Ctrl-D ends\n");
  std::string line;
  while (true) {
    std::fputs("> ", stderr);
    if (!std::getline(std::cin, line) || line.empty()) return absl::OkStatus();
    if (line == "/new") {
      chat.Restart();
      continue;
    }
    const absl::Status status = chat.Answer(line);
    if (absl::IsCancelled(status)) return absl::OkStatus();
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    }
  }
}

absl::Status RunChat(const ChatFlags& flags) {
  CatchStopSignals();
  PONDER_ASSIGN_OR_RETURN(const std::string folder,
                          FindPolicyFolder(flags.from));
  std::string prompt = flags.prompt.value_or("");
  const bool interactive = !flags.prompt && isatty(STDIN_FILENO) != 0;
  if (!flags.prompt && !interactive) {
    prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
    absl::StripTrailingAsciiWhitespace(&prompt);
  }
  if (!interactive && prompt.empty()) {
    return absl::InvalidArgumentError(
        "nothing was asked; give --prompt TEXT, or a text on standard input");
  }
  PONDER_ASSIGN_OR_RETURN(const auto chat, Chat::Open(flags, folder));
  if (interactive) return TalkOnTerminal(*chat);
  return chat->Answer(prompt);
}

}  // namespace

void AddChatCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* command = app.add_subcommand("chat", "Ask a policy by hand.");
  command
      ->add_option("FROM", flags->from,
                   "A checkpoint's folder, or a run (finished or running)")
      ->required();
  command->add_option("--prompt", flags->prompt,
                      "Ask this and end; else lines of the terminal, or the "
                      "whole of standard input");
  command->add_option("--system", flags->system,
                      "A system message, for a policy with a chat template");
  command
      ->add_option("--weights", flags->weights,
                   "How weights are held: f32, bf16, q8_0 (8 bits, the CPU "
                   "only), or auto, as they are stored")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "f32", "bf16", "q8_0"}));
  command->add_option("--device", flags->device, "cpu, or cuda")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_option("--temperature", flags->temperature, "0: greedy")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  command->add_option("--max-tokens", flags->max_tokens, "Of a response")
      ->capture_default_str()
      ->check(PositiveNumber());
  command->add_option("--seed", flags->seed, "The same seed, the same answers")
      ->capture_default_str();
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunChat(*flags); }; });
}

}  // namespace ponder
