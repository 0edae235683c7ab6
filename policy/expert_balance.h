// Even use of experts in training: DeepSeek-V3's bias, which needs no loss
// (arXiv:2408.15664; arXiv:2412.19437, sec. 2.1.2), and its small loss within
// each sequence (there eq. 17-20).

#ifndef PONDER_POLICY_EXPERT_BALANCE_H_
#define PONDER_POLICY_EXPERT_BALANCE_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "policy/experts.h"
#include "policy/model_config.h"
#include "policy/weights.h"

namespace ponder {

// What the training passes of one update tell of their experts. Not
// thread-safe; outlives the backward passes.
class ExpertBalance {
 public:
  // `loss_weight`: alpha of eq. 17, over the number of sequences in the update.
  // 0: no loss. REQUIRES: the model has experts.
  ExpertBalance(const ModelConfig& config, double loss_weight);

  // Takes in where the tokens of one layer go. Returns y, whose backward pass
  // also adds the gradient of
  //
  //   loss_weight sum_sequences sum_e f_e P_e
  //   f_e = E / (K T_s) #{t: e among the K of t}
  //   P_e = 1 / T_s sum_t s_te / sum_j s_tj
  //
  // With `again`, a layer runs once more for its backward pass and is not
  // counted.
  at::Tensor Add(int64_t layer, const Routing& routing,
                 const std::vector<int64_t>& cu_seqlens, bool again,
                 const at::Tensor& y);

  // [layers, E] int64: tokens that each expert has got. Rows of dense layers
  // are zero.
  const at::Tensor& tokens() const { return tokens_; }
  // The sum above over all layers and passes.
  double loss() const { return loss_; }

 private:
  const double loss_weight_;
  at::Tensor tokens_;
  double loss_ = 0;
};

// b_e += rate sign(mean load - load_e) for the bias of each layer with experts,
// by the tokens [layers, E] of the last update. REQUIRES: the model has them.
void UpdateExpertBias(const ModelConfig& config, const at::Tensor& tokens,
                      double rate, const TensorMap& weights);

}  // namespace ponder

#endif  // PONDER_POLICY_EXPERT_BALANCE_H_
