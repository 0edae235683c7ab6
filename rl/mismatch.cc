#include "rl/mismatch.h"

#include <algorithm>
#include <cmath>

#include "ATen/ATen.h"

namespace ponder {
namespace {

using at::Tensor;

double Sum(const Tensor& x) { return x.sum().item<double>(); }
double ClampedExp(double x) { return std::exp(std::clamp(x, -20.0, 20.0)); }

}  // namespace

void MismatchMeter::Add(const Tensor& learner, const Tensor& sampler) {
  TORCH_CHECK(learner.sizes() == sampler.sizes());
  if (learner.numel() == 0) return;
  const Tensor p = learner.to(at::kDouble), b = sampler.to(at::kDouble);
  const Tensor raw = b - p;
  const Tensor d = raw.clamp(-20, 20);
  const double mean_d = d.mean().item<double>();
  const double mean_p = p.mean().item<double>();
  const double mean_b = b.mean().item<double>();

  LogprobMismatch& m = sums_;
  m.tokens += learner.numel();
  m.sequences += 1;
  m.max_abs = std::max(m.max_abs, raw.abs().max().item<double>());
  m.mean_abs += Sum(raw.abs());
  m.kl += Sum(raw);
  m.k3_kl += Sum((-d).exp() + d - 1);
  m.training_log_ppl -= mean_p;
  m.rollout_log_ppl -= mean_b;
  m.training_ppl += ClampedExp(-mean_p);
  m.rollout_ppl += ClampedExp(-mean_b);
  m.log_ppl_diff += mean_d;
  m.log_ppl_abs_diff += std::abs(mean_d);
  m.ppl_ratio += ClampedExp(mean_d);
  m.chi2_token += Sum((-2 * d).exp());
  m.chi2_seq += ClampedExp(-2 * Sum(d));

  const Tensor prob_b = b.exp(), prob_p = p.exp();
  const Tensor diff = (prob_b - prob_p).abs();
  m.prob_diff_mean += Sum(diff);
  m.prob_diff_max = std::max(m.prob_diff_max, diff.max().item<double>());
  prob_diff_squares_ += Sum(diff.square());
  sum_b_ += Sum(prob_b);
  sum_p_ += Sum(prob_p);
  sum_bb_ += Sum(prob_b.square());
  sum_pp_ += Sum(prob_p.square());
  sum_bp_ += Sum(prob_b * prob_p);
}

LogprobMismatch MismatchMeter::Result() const {
  LogprobMismatch m = sums_;
  if (m.tokens == 0) return m;
  const double n = static_cast<double>(m.tokens);
  const double sequences = static_cast<double>(m.sequences);
  for (double* sum :
       {&m.mean_abs, &m.kl, &m.k3_kl, &m.chi2_token, &m.prob_diff_mean}) {
    *sum /= n;
  }
  for (double* sum : {&m.training_log_ppl, &m.rollout_log_ppl, &m.training_ppl,
                      &m.rollout_ppl, &m.log_ppl_diff, &m.log_ppl_abs_diff,
                      &m.ppl_ratio, &m.chi2_seq}) {
    *sum /= sequences;
  }
  m.chi2_token -= 1;
  m.chi2_seq -= 1;
  m.prob_diff_std = std::sqrt(std::max(
      0.0, prob_diff_squares_ / n - m.prob_diff_mean * m.prob_diff_mean));
  const double spread_b = sum_bb_ - sum_b_ * sum_b_ / n;
  const double spread_p = sum_pp_ - sum_p_ * sum_p_ / n;
  if (spread_b > 0 && spread_p > 0) {
    m.prob_pearson =
        (sum_bp_ - sum_b_ * sum_p_ / n) / std::sqrt(spread_b * spread_p);
  }
  return m;
}

}  // namespace ponder
