// The tensors of a model by name: which ones there are, and random ones.

#ifndef PONDER_POLICY_WEIGHTS_H_
#define PONDER_POLICY_WEIGHTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "policy/model_config.h"

namespace ponder {

// Tensors by Hugging Face name. A tied lm_head is absent.
using TensorMap = std::map<std::string, at::Tensor>;

// The tensors of one part of a model, by the rest of their names. Thread-safe
// while nobody writes.
class NamedTensors {
 public:
  NamedTensors() = default;
  // Those of `all` whose names begin with `prefix`, without it.
  NamedTensors(const TensorMap& all, absl::string_view prefix);

  // Undefined where the architecture has none of this name.
  const at::Tensor& operator[](absl::string_view name) const;

 private:
  std::map<std::string, at::Tensor, std::less<>> tensors_;
};

// "model.layers.7."
std::string LayerPrefix(int64_t layer);

// Name and shape of every tensor that a model of this shape computes with.
std::map<std::string, std::vector<int64_t>> TensorShapes(
    const ModelConfig& config);

// Whether the gradient of a loss moves this tensor: false for the bias that
// balances experts, which their load moves, and for what multi-token prediction
// has beside the model.
bool IsTrainedByGradient(const ModelConfig& config, absl::string_view name);

// The type of this tensor in a model of type `dtype`: float32 for the bias that
// balances experts, whose steps are far below bfloat16's resolution.
at::ScalarType TensorType(absl::string_view name, at::ScalarType dtype);

// INVALID_ARGUMENT names the first tensor that is missing, unknown to the
// architecture or of a wrong shape. The tensors of multi-token prediction may
// be there or not.
absl::Status CheckTensors(const ModelConfig& config, const TensorMap& weights);

// Random float32 weights: norms one, biases zero, embeddings with standard
// deviation `embedding_std`, matrices with `matrix_gain` / sqrt(columns), or
// with embedding_std too where matrix_gain is 0. Matrices that write into the
// residual stream are scaled by 1 / sqrt(2 layers) (GPT-2's report, sec. 2.3).
// A pure function of the arguments.
TensorMap RandomWeights(const ModelConfig& config, double embedding_std,
                        double matrix_gain, uint64_t seed);

}  // namespace ponder

#endif  // PONDER_POLICY_WEIGHTS_H_
