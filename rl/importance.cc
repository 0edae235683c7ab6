#include "rl/importance.h"

#include "ATen/ATen.h"

namespace ponder {
namespace {

using at::Tensor;

Tensor Within(const Tensor& ratio, const ImportanceOptions& options) {
  return ((ratio >= options.low) & (ratio <= options.high)).to(at::kDouble);
}

}  // namespace

Tensor ImportanceWeights(const Tensor& old, const Tensor& behavior,
                         const ImportanceOptions& options) {
  TORCH_CHECK(old.sizes() == behavior.sizes());
  if (old.numel() == 0) return old;
  const Tensor log_ratio = (old - behavior).clamp(-20, 20);
  const Tensor ratio = log_ratio.exp();
  const Tensor sequence_ratio = log_ratio.mean().exp();
  switch (options.mode) {
    case ImportanceMode::kNone:
      return at::ones_like(old);
    case ImportanceMode::kTokenTruncate:
      return ratio.clamp_max(options.high);
    case ImportanceMode::kTokenMask:
      return ratio * Within(ratio, options);
    case ImportanceMode::kSequenceTruncate:
      return sequence_ratio.clamp_max(options.high).expand_as(old);
    case ImportanceMode::kSequenceMask:
      return Within(sequence_ratio, options).expand_as(old);
  }
  TORCH_CHECK(false, "no such mode");
}

}  // namespace ponder
