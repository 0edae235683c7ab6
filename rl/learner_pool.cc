#include "rl/learner_pool.h"

#include <utility>

#include "ATen/ATen.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/checkpoint.h"
#include "rl/learner_wire.h"

namespace ponder {
namespace {

enum class Command : int { kStart, kPolicyUpdate, kSupervisedUpdate, kStop };

void Send(const std::string& bytes, Collective* all) {
  at::Tensor size =
      at::full({1}, static_cast<int64_t>(bytes.size()), at::kLong);
  all->Broadcast(size);
  at::Tensor content =
      at::empty({static_cast<int64_t>(bytes.size())}, at::kByte);
  std::memcpy(content.mutable_data_ptr(), bytes.data(), bytes.size());
  all->Broadcast(content);
}

std::string Receive(Collective* all) {
  at::Tensor size = at::zeros({1}, at::kLong);
  all->Broadcast(size);
  at::Tensor content = at::empty({size.item<int64_t>()}, at::kByte);
  all->Broadcast(content);
  return std::string(static_cast<const char*>(content.const_data_ptr()),
                     content.nbytes());
}

void SendCall(const LearnerCall& call, Collective* all) {
  WireWriter wire;
  wire(call.supervised ? Command::kSupervisedUpdate : Command::kPolicyUpdate);
  wire(*call.batch);
  wire(call.scale);
  wire(call.temperature);
  wire(call.options);
  wire(call.learning_rate);
  Send(wire.bytes(), all);
}

// Does what the rest of the message says.
void Answer(Command command, WireReader& wire, Learner* learner) {
  std::vector<TrainSequence> batch;
  LearnerCall call;
  wire(batch);
  wire(call.scale);
  wire(call.temperature);
  wire(call.options);
  wire(call.learning_rate);
  if (command == Command::kSupervisedUpdate) {
    learner->SupervisedUpdate(batch, call.learning_rate);
  } else {
    learner->PolicyUpdate(batch, call.scale, call.temperature, call.options,
                          call.learning_rate);
  }
}

void SendStart(const std::string& config_json, const Learner::Options& options,
               const TensorMap& weights, Collective* all) {
  WireWriter wire;
  wire(Command::kStart);
  wire(config_json);
  wire(options.learner.SerializeAsString());
  wire(options.dtype);
  wire(options.max_tokens);
  wire(weights.size());
  for (const auto& [name, weight] : weights) {
    wire(name);
    wire(weight.sizes().vec());
  }
  Send(wire.bytes(), all);
  for (const auto& [name, weight] : weights) {
    all->Broadcast(weight.detach().contiguous());
  }
}

absl::StatusOr<std::unique_ptr<Learner>> ReceiveStart(WireReader& wire,
                                                      Collective* all) {
  std::string config_json, learner_config;
  Learner::Options options;
  size_t count;
  wire(config_json);
  wire(learner_config);
  wire(options.dtype);
  wire(options.max_tokens);
  wire(count);
  options.collective = all;
  options.learner.ParseFromString(learner_config);
  TensorMap weights;
  for (size_t i = 0; i < count; ++i) {
    std::string name;
    std::vector<int64_t> shape;
    wire(name);
    wire(shape);
    weights[name] = at::empty(shape, at::kFloat);
  }
  for (const auto& [name, weight] : weights) all->Broadcast(weight);
  PONDER_ASSIGN_OR_RETURN(
      const ModelConfig config,
      ConfigOfFiles({{"config.json", config_json}}, "the trainer's policy"));
  return Learner::Create(config, std::move(weights), options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LearnerPool>> LearnerPool::Start(
    const Options& options) {
  if (options.processes == 1) return nullptr;
  auto pool = std::unique_ptr<LearnerPool>(new LearnerPool(options));
  GlooCollective::Options gloo;
  gloo.size = options.processes;
  gloo.on_listening = [&](int port) -> absl::Status {
    for (int rank = 1; rank < options.processes; ++rank) {
      ChildProcess::Options child;
      child.name = absl::StrCat("learner ", rank + 1);
      child.log_path =
          absl::StrCat(options.run_folder, "/logs/learner_", rank + 1, ".log");
      child.arguments = {"learner",
                         "--port",
                         absl::StrCat(port),
                         "--rank",
                         absl::StrCat(rank),
                         "--size",
                         absl::StrCat(options.processes),
                         "--threads",
                         absl::StrCat(options.threads)};
      PONDER_ASSIGN_OR_RETURN(pool->children_.emplace_back(),
                              ChildProcess::Start(child));
    }
    return absl::OkStatus();
  };
  PONDER_ASSIGN_OR_RETURN(pool->collective_, GlooCollective::Create(gloo));
  return pool;
}

LearnerPool::~LearnerPool() {
  if (collective_ == nullptr) return;
  WireWriter wire;
  wire(Command::kStop);
  try {
    Send(wire.bytes(), collective_.get());
  } catch (const std::exception&) {
    // They are gone already.
  }
}

std::vector<std::pair<std::string, int>> LearnerPool::Processes() const {
  std::vector<std::pair<std::string, int>> processes;
  for (const auto& child : children_) {
    processes.emplace_back(child->name(), child->pid());
  }
  return processes;
}

absl::StatusOr<std::unique_ptr<Learner>> LearnerPool::CreateLearner(
    const ModelConfig& config, TensorMap weights, Learner::Options options) {
  SendStart(options_.config_json, options, weights, collective_.get());
  options.collective = collective_.get();
  options.announce = [all = collective_.get()](const LearnerCall& call) {
    SendCall(call, all);
  };
  return Learner::Create(config, std::move(weights), options);
}

absl::Status ServeLearner(int rank, int size, int port) {
  GlooCollective::Options options;
  options.rank = rank;
  options.size = size;
  options.port = port;
  PONDER_ASSIGN_OR_RETURN(const auto all, GlooCollective::Create(options));
  std::unique_ptr<Learner> learner;
  try {
    while (true) {
      const std::string bytes = Receive(all.get());
      WireReader wire(bytes);
      Command command;
      wire(command);
      if (command == Command::kStop) return absl::OkStatus();
      if (command == Command::kStart) {
        learner.reset();
        PONDER_ASSIGN_OR_RETURN(learner, ReceiveStart(wire, all.get()));
        continue;
      }
      Answer(command, wire, learner.get());
    }
  } catch (const std::exception& e) {
    return absl::UnavailableError(absl::StrCat(
        "learner ", rank + 1,
        " has lost the trainer: ", std::string(e.what()).substr(0, 300)));
  }
}

}  // namespace ponder
