// The decoder: embedding, layers of attention and feed-forward, head. One
// implementation for sampling and for learning. They differ only in where
// attention finds its keys: in packed sequences, or in a cache.

#ifndef PONDER_POLICY_DECODER_H_
#define PONDER_POLICY_DECODER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "policy/expert_balance.h"
#include "policy/experts.h"
#include "policy/model_config.h"
#include "policy/ops.h"
#include "policy/weights.h"

namespace ponder {

// What attention does in one layer, for rotated q [T, H, K] and the rotated
// keys [T, G, K] and values [T, G, W] of the tokens at hand: returns [T, H, W].
using AttentionFn =
    std::function<at::Tensor(int64_t layer, const at::Tensor& q,
                             const at::Tensor& k, const at::Tensor& v)>;

// Weights and how to apply them, on the device that the weights are on.
// Thread-safe while nobody writes the weights.
class Decoder {
 public:
  // Checks the tensors as CheckTensors() does. They are shared, not copied.
  // Activations have type `dtype` (float32 or bfloat16); weights of another
  // type are cast where they are used. Sequences have at most max_tokens
  // tokens.
  static absl::StatusOr<std::shared_ptr<const Decoder>> Create(
      const ModelConfig& config, TensorMap weights, at::ScalarType dtype,
      int64_t max_tokens);

  // Hidden states after the last norm [T, D] of packed sequences: ids [T]
  // int64 on the device, first rows of the sequences and T. Positions count
  // from 0 in each. With `checkpoint`, a layer keeps its input only and runs
  // again in the backward pass. `balance`, if not null, takes in where tokens
  // go.
  at::Tensor PackedHidden(const at::Tensor& ids,
                          const std::vector<int64_t>& cu_seqlens,
                          bool checkpoint,
                          ExpertBalance* balance = nullptr) const;

  // The same where `attention` finds the keys of earlier tokens in a cache, for
  // sampling: keys and values that it is given have the sizes of ModelConfig's
  // cache_key_dim() and cache_value_dim(), but that with multi-head latent
  // attention the value is the latent, the first part of the key. ids,
  // positions [T] int64 on the device.
  at::Tensor CachedHidden(const at::Tensor& ids, const at::Tensor& positions,
                          const AttentionFn& attention) const;

  // Logits [N, V] of hidden states [N, D], in the activations' type.
  at::Tensor Logits(const at::Tensor& hidden) const;

  // The matrix [V, D] that Logits() multiplies with.
  const at::Tensor& output_weight() const { return *output_; }

  const ModelConfig& config() const { return config_; }
  const TensorMap& weights() const { return weights_; }
  at::ScalarType dtype() const { return dtype_; }
  at::Device device() const { return output_->device(); }
  int64_t max_tokens() const { return max_tokens_; }
  double attention_scale() const;

 private:
  Decoder(const ModelConfig& config, TensorMap weights, at::ScalarType dtype,
          int64_t max_tokens);

  struct Layer {
    NamedTensors weights;
    NamedTensors attention;
    NamedTensors feed_forward;       // Of a dense layer.
    std::optional<Experts> experts;  // Of one with experts.
  };

  // What all layers of a pass are told.
  struct Pass {
    at::Tensor positions;
    AttentionFn attention;
    bool cached = false;
    bool checkpoint = false;
    // Of a packed pass.
    std::vector<int64_t> cu_seqlens;
    ExpertBalance* balance = nullptr;
  };

  at::Tensor Hidden(const at::Tensor& ids, const Pass& pass) const;
  // `again`: for the backward pass.
  at::Tensor RunLayer(int64_t index, const at::Tensor& x, const Pass& pass,
                      bool again) const;

  const ModelConfig config_;
  const TensorMap weights_;
  const at::ScalarType dtype_;
  const int64_t max_tokens_;
  const RopeAngles rope_;
  std::vector<Layer> layers_;
  const at::Tensor* output_;  // Points into weights_.
};

}  // namespace ponder

#endif  // PONDER_POLICY_DECODER_H_
