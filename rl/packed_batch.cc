#include "rl/packed_batch.h"

#include "ATen/ATen.h"
#include "policy/flops.h"
#include "rl/packing.h"

namespace ponder {
namespace {

PackedBatch Pack(const std::vector<TrainSequence>& batch,
                 std::vector<int64_t> members, at::Device device) {
  PackedBatch pack;
  pack.members = std::move(members);
  pack.cu_seqlens = {0};
  pack.cu_tokens = {0};
  std::vector<int64_t> ids, rows, targets;
  for (const int64_t member : pack.members) {
    const TrainSequence& sequence = batch[member];
    const int64_t first = static_cast<int64_t>(ids.size());
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
    for (const int32_t target : sequence.targets) {
      rows.push_back(first + target - 1);
      targets.push_back(sequence.ids[target]);
    }
    pack.cu_seqlens.push_back(static_cast<int64_t>(ids.size()));
    pack.cu_tokens.push_back(static_cast<int64_t>(targets.size()));
  }
  pack.ids = at::tensor(ids, at::kLong).to(device);
  pack.rows = at::tensor(rows, at::kLong).to(device);
  pack.targets = at::tensor(targets, at::kLong).to(device);
  return pack;
}

}  // namespace

std::vector<int64_t> SequencesWithTargets(
    const std::vector<TrainSequence>& batch) {
  std::vector<int64_t> chosen;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!batch[i].targets.empty()) chosen.push_back(static_cast<int64_t>(i));
  }
  return chosen;
}

double ForwardFlops(const ModelConfig& model,
                    const std::vector<TrainSequence>& batch,
                    const std::vector<int64_t>& chosen) {
  double flops = 0;
  for (const int64_t i : chosen) {
    flops += ForwardFlops(model, static_cast<int64_t>(batch[i].ids.size()),
                          static_cast<int64_t>(batch[i].targets.size()));
  }
  return flops;
}

std::vector<PackedBatch> PackSequences(const std::vector<TrainSequence>& batch,
                                       const std::vector<int64_t>& chosen,
                                       int64_t max_tokens, at::Device device) {
  std::vector<int64_t> lengths;
  for (const int64_t i : chosen) {
    lengths.push_back(static_cast<int64_t>(batch[i].ids.size()));
  }
  std::vector<PackedBatch> packs;
  for (std::vector<int64_t>& members : PackByTokens(lengths, max_tokens)) {
    for (int64_t& member : members) member = chosen[member];
    packs.push_back(Pack(batch, std::move(members), device));
  }
  return packs;
}

at::Tensor GatherField(const std::vector<TrainSequence>& batch,
                       const PackedBatch& pack,
                       std::vector<float> TrainSequence::*field) {
  std::vector<float> values;
  for (const int64_t member : pack.members) {
    const std::vector<float>& part = batch[member].*field;
    values.insert(values.end(), part.begin(), part.end());
  }
  if (values.empty()) return {};
  TORCH_CHECK(static_cast<int64_t>(values.size()) == pack.targets.numel());
  return at::tensor(values).to(pack.ids.device());
}

void ScatterTargets(const at::Tensor& values, const PackedBatch& pack,
                    std::vector<std::vector<float>>* out) {
  const at::Tensor all = values.detach().to(at::kCPU).contiguous();
  const float* first = all.const_data_ptr<float>();
  for (size_t i = 0; i < pack.members.size(); ++i) {
    (*out)[pack.members[i]].assign(first + pack.cu_tokens[i],
                                   first + pack.cu_tokens[i + 1]);
  }
}

at::Tensor TokenWeights(const PackedBatch& pack, const LossScale& scale) {
  std::vector<float> weights;
  for (size_t i = 0; i < pack.members.size(); ++i) {
    const int64_t count = pack.cu_tokens[i + 1] - pack.cu_tokens[i];
    weights.insert(weights.end(), static_cast<size_t>(count),
                   static_cast<float>(TokenWeight(scale, count)));
  }
  return at::tensor(weights).to(pack.ids.device());
}

}  // namespace ponder
