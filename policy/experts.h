// Mixture of experts: a router sends each token to a few of many feed-forward
// networks, and shared experts see all tokens. MoeConfig says which family's
// router it is, with its source.

#ifndef PONDER_POLICY_EXPERTS_H_
#define PONDER_POLICY_EXPERTS_H_

#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "policy/model_config.h"
#include "policy/weights.h"

namespace ponder {

// Where tokens go. T tokens, E experts, K of them for each token.
struct Routing {
  at::Tensor scores;   // [T, E] float32, of all experts, without the bias.
  at::Tensor experts;  // [T, K] int64.
  at::Tensor weights;  // [T, K] float32: of each chosen expert's output.
};

// `logits` [T, E] float32; `bias` [E] float32, undefined without
// correction_bias. The choice has no gradient, scores and weights have.
Routing Route(const MoeConfig& config, const at::Tensor& logits,
              const at::Tensor& bias);

// The experts of one layer. Thread-safe while nobody writes the weights.
class Experts {
 public:
  // `prefix` begins the names of the layer's gate and experts.
  Experts(const MoeConfig& config, const TensorMap& weights,
          const std::string& prefix);

  // x [T, D], returns [T, D]. Experts that no token goes to cost nothing. The
  // router computes in float32 whatever the type of x, and the sum over a
  // token's experts is taken in float32 in ascending order of the experts, so
  // a row of the result depends on that row alone. `routing`, if not null,
  // receives where the tokens went.
  at::Tensor Apply(const at::Tensor& x, Routing* routing = nullptr) const;

 private:
  MoeConfig config_;
  at::Tensor gate_;  // [E, D]
  at::Tensor correction_bias_;
  std::vector<NamedTensors> routed_;
  NamedTensors shared_;
};

}  // namespace ponder

#endif  // PONDER_POLICY_EXPERTS_H_
