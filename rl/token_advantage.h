// Advantages that differ from token to token of a response.

#ifndef PONDER_RL_TOKEN_ADVANTAGE_H_
#define PONDER_RL_TOKEN_ADVANTAGE_H_

#include "ATen/core/Tensor.h"

namespace ponder {

// REINFORCE++ (arXiv:2501.03262, eq. 6): G_t = sum_{s >= t} gamma^{s-t} r_s of
// one response; rewards [T] float64, [T] returned. T may be 0.
at::Tensor DiscountedReturns(const at::Tensor& rewards, double gamma);

struct GaeResult {
  at::Tensor advantages;  // [T] float64.
  at::Tensor returns;     // [T]: what the critic learns.
};

// Generalised advantage estimation (arXiv:1506.02438, eq. 16) of one response:
//
//   delta_t  = r_t + gamma V_{t+1} - V_t,   V_{T+1} = 0
//   A_t      = delta_t + gamma lambda A_{t+1}
//   return_t = A_t + V_t
//
// rewards, values [T] float64. V_t is the value before token t was drawn. What
// comes behind the last token is worth nothing, also where the response was
// cut at the token limit.
GaeResult GeneralizedAdvantages(const at::Tensor& rewards,
                                const at::Tensor& values, double gamma,
                                double lambda);

// On-policy distillation: A_t = log p_teacher(y_t) - log p_policy(y_t) for the
// tokens that the policy drew itself. With it the policy gradient is that of
// -KL(policy || teacher) of the token's distribution, the future of the
// response aside (arXiv:2306.13649, GKD with reverse KL and student samples;
// arXiv:2306.08543, eq. 7, the single-step part). logprobs, teacher [T]
// float64.
at::Tensor TeacherAdvantages(const at::Tensor& logprobs,
                             const at::Tensor& teacher);

// (x - mean(x)) / sqrt(var(x) + 1e-8) over all tokens of a step, [N] float64,
// with the variance of N - 1 (as verl's masked_whiten). All 0 where N < 2.
at::Tensor Whiten(const at::Tensor& x);

}  // namespace ponder

#endif  // PONDER_RL_TOKEN_ADVANTAGE_H_
