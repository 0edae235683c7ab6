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
#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/policy_folder.h"
#include "policy/checkpoint.h"
#include "policy/files/safetensors.h"
#include "policy/jinja/chat_template.h"
#include "policy/text/tokenizer.h"
#include "rollout/engine.h"

namespace ponder {
namespace {

struct ChatFlags {
  std::string from;
  std::optional<std::string> prompt;
  double temperature = 1;
  int32_t max_tokens = 256;
  uint64_t seed = 1;
};

// bfloat16 where the weights are stored in 16 bits.
absl::StatusOr<at::ScalarType> ActivationType(const std::string& folder) {
  PONDER_ASSIGN_OR_RETURN(const auto file, SafetensorsFolder::Open(folder));
  const bool is_float32 =
      !file->tensors().empty() && file->tensors().front().dtype == "F32";
  return is_float32 ? at::kFloat : at::kBFloat16;
}

class Chat {
 public:
  static absl::StatusOr<std::unique_ptr<Chat>> Open(const ChatFlags& flags) {
    PONDER_ASSIGN_OR_RETURN(const std::string folder,
                            FindPolicyFolder(flags.from));
    PONDER_ASSIGN_OR_RETURN(const at::ScalarType dtype, ActivationType(folder));
    PONDER_ASSIGN_OR_RETURN(Checkpoint policy, LoadCheckpoint(folder, dtype));
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
    std::fprintf(stderr, "%s: %s, %s parameters\n", folder.c_str(),
                 policy.config.model_type.c_str(),
                 absl::StrCat(policy.config.NumParameters()).c_str());
    if (chat->chat_template_ == nullptr) {
      std::fprintf(stderr,
                   "it has no chat template: the text goes in as it is\n");
    }
    constexpr int64_t kLongest = 32768;  // Tokens; bounds the rotary tables.
    chat->max_tokens_ =
        std::min(policy.config.max_position_embeddings, kLongest);
    PONDER_ASSIGN_OR_RETURN(
        auto decoder, Decoder::Create(policy.config, std::move(policy.weights),
                                      dtype, chat->max_tokens_));
    chat->engine_ =
        std::make_unique<Engine>(Engine::Options(), chat->tokenizer_.get());
    chat->engine_->SetPolicy(std::move(decoder));
    return chat;
  }

  // The response to `prompt`. CANCELLED after a stop signal.
  absl::StatusOr<std::string> Answer(const std::string& prompt) {
    GenerationRequest request;
    request.group_id = "chat";
    std::string text = prompt;
    if (chat_template_ != nullptr) {
      PONDER_ASSIGN_OR_RETURN(
          text, chat_template_->Render(
                    {{"messages", {{{"role", "user"}, {"content", prompt}}}},
                     {"add_generation_prompt", true}}));
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
      return absl::InvalidArgumentError(absl::StrCat(
          "the question has ", request.prompt_ids.size(),
          " tokens; wanted at least 1 and fewer than ", max_tokens_));
    }
    const int32_t limit =
        static_cast<int32_t>(std::min<int64_t>(room, flags_.max_tokens));
    request.max_response_tokens = limit;
    request.stop_ids = stop_ids_;
    PONDER_RETURN_IF_ERROR(engine_->Add(std::move(request)));
    std::string response;
    while (!engine_->idle()) {
      if (StopRequested()) return absl::CancelledError("stopped");
      engine_->Step([&](GeneratedSample sample) {
        response = tokenizer_->Decode(sample.response_ids,
                                      /*skip_special_tokens=*/true);
        if (sample.truncated) {
          absl::StrAppend(&response, "\n[cut after ", limit, " tokens]");
        }
      });
    }
    return response;
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
};

// One answer for each line that a person types, each a conversation of its own.
absl::Status TalkOnTerminal(Chat& chat) {
  std::fprintf(stderr,
               "a question a line, each by itself; an empty line or Ctrl-D "
               "ends\n");
  std::string line;
  while (true) {
    std::fputs("> ", stderr);
    if (!std::getline(std::cin, line) || line.empty()) return absl::OkStatus();
    const absl::StatusOr<std::string> answer = chat.Answer(line);
    if (absl::IsCancelled(answer.status())) return absl::OkStatus();
    if (answer.ok()) {
      std::printf("%s\n", answer->c_str());
      std::fflush(stdout);
    } else {
      std::fprintf(stderr, "%s\n",
                   std::string(answer.status().message()).c_str());
    }
  }
}

absl::Status RunChat(const ChatFlags& flags) {
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
  PONDER_ASSIGN_OR_RETURN(const auto chat, Chat::Open(flags));
  if (interactive) return TalkOnTerminal(*chat);
  PONDER_ASSIGN_OR_RETURN(const std::string answer, chat->Answer(prompt));
  std::printf("%s\n", answer.c_str());
  return absl::OkStatus();
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
  command->add_option("--temperature", flags->temperature, "0: greedy")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  command->add_option("--max-tokens", flags->max_tokens, "Of a response")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", flags->seed, "The same seed, the same answers")
      ->capture_default_str();
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunChat(*flags); }; });
}

}  // namespace ponder
