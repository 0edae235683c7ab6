// Floating-point operations of a decoder, and how fast a device does them.

#ifndef PONDER_POLICY_FLOPS_H_
#define PONDER_POLICY_FLOPS_H_

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "policy/model_config.h"

namespace ponder {

// Operations of a forward pass over one sequence of `tokens` tokens, `outputs`
// of which get logits: for a token two for each weight that it passes, and for
// each key that it attends to two for an element of key and value of each head.
// That is PaLM's count (arXiv:2204.02311, appendix B), but with causal
// attention, and with routed experts as far as a token passes them. A backward
// pass has twice as many.
double ForwardFlops(const ModelConfig& model, int64_t tokens, int64_t outputs);

// Operations a second of the product [rows, in] x [in, out] in `dtype` on
// `device`, with the threads that LibTorch uses: the mean over 150 ms.
double MeasureProductFlops(int64_t rows, int64_t in, int64_t out,
                           at::ScalarType dtype, at::Device device);

// The same of a product that is large for the device: what utilisation is
// measured against.
double MeasurePeakFlops(at::ScalarType dtype, at::Device device);

}  // namespace ponder

#endif  // PONDER_POLICY_FLOPS_H_
