// The dense decoder of Llama 2 and 3, Qwen2 and Qwen3: one implementation for
// sampling and for learning. They differ only in where attention finds its keys
// (packed sequences, or a cache), which the caller says.

#ifndef PONDER_POLICY_DECODER_H_
#define PONDER_POLICY_DECODER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "policy/model_config.h"
#include "policy/ops.h"

namespace ponder {

// Tensors by Hugging Face name. A tied lm_head is absent.
using TensorMap = std::map<std::string, at::Tensor>;

// Name and shape of every tensor that a model of this shape has.
std::map<std::string, std::vector<int64_t>> TensorShapes(
    const ModelConfig& config);

// Random float32 weights: norms one, biases zero, embeddings with standard
// deviation `embedding_std`, matrices with `matrix_gain` / sqrt(columns), or
// with embedding_std too where matrix_gain is 0. Matrices that write into the
// residual stream are scaled by 1 / sqrt(2 layers) (GPT-2's report, sec. 2.3).
// A pure function of the arguments.
TensorMap RandomWeights(const ModelConfig& config, double embedding_std,
                        double matrix_gain, uint64_t seed);

// What attention does in one layer: given rotated q [T, H, K], rotated k and v
// [T, G, K] of the tokens at hand, returns [T, H, K].
using AttentionFn =
    std::function<at::Tensor(int64_t layer, const at::Tensor& q,
                             const at::Tensor& k, const at::Tensor& v)>;

// INVALID_ARGUMENT names the first tensor that is missing, unknown to the
// architecture or of a wrong shape.
absl::Status CheckTensors(const ModelConfig& config, const TensorMap& weights);

// Weights and how to apply them. Thread-safe while nobody writes the weights.
class Decoder {
 public:
  // Checks the tensors as CheckTensors() does. They are shared, not copied.
  // Activations have type `dtype` (float32 or bfloat16); weights of another
  // type are cast where they are used. Sequences have at most max_tokens
  // tokens.
  static absl::StatusOr<std::shared_ptr<const Decoder>> Create(
      const ModelConfig& config, TensorMap weights, at::ScalarType dtype,
      int64_t max_tokens);

  // Hidden states after the last norm [T, D]. ids, positions [T] int64. With
  // `checkpoint`, a layer keeps its input only and runs again in the backward
  // pass.
  at::Tensor Hidden(const at::Tensor& ids, const at::Tensor& positions,
                    const AttentionFn& attention, bool checkpoint) const;

  // The same for packed sequences; positions count from 0 in each.
  at::Tensor PackedHidden(const at::Tensor& ids,
                          const std::vector<int64_t>& cu_seqlens,
                          bool checkpoint) const;

  // Logits [N, V] of hidden states [N, D], in the activations' type.
  at::Tensor Logits(const at::Tensor& hidden) const;

  // The matrix [V, D] that Logits() multiplies with.
  const at::Tensor& output_weight() const { return *output_; }

  const ModelConfig& config() const { return config_; }
  const TensorMap& weights() const { return weights_; }
  at::ScalarType dtype() const { return dtype_; }
  int64_t max_tokens() const { return max_tokens_; }
  double attention_scale() const;

 private:
  Decoder(const ModelConfig& config, TensorMap weights, at::ScalarType dtype,
          int64_t max_tokens);

  // The tensor of this name; undefined where the architecture has none.
  const at::Tensor& Layer(int64_t layer, const char* name) const;
  at::Tensor RunLayer(int64_t layer, const at::Tensor& x,
                      const at::Tensor& positions,
                      const AttentionFn& attention) const;

  const ModelConfig config_;
  const TensorMap weights_;
  const at::ScalarType dtype_;
  const int64_t max_tokens_;
  const std::shared_ptr<const RopeTable> rope_;
  std::vector<std::map<std::string, at::Tensor, std::less<>>> layers_;
  const at::Tensor* output_;  // Points into weights_.
};

}  // namespace ponder

#endif  // PONDER_POLICY_DECODER_H_
