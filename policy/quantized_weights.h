// Weights in 8 bits for sampling on small machines.

#ifndef PONDER_POLICY_QUANTIZED_WEIGHTS_H_
#define PONDER_POLICY_QUANTIZED_WEIGHTS_H_

#include <string>

#include "ATen/core/Tensor.h"

namespace ponder {

// A matrix as GGUF's Q8_0 rounds it: int8 [out, kernels::Q8RowBytes(in)], which
// Linear() takes in place of the weights [out, in], on the CPU and without
// gradients. A weight that products are not taken with (the embedding,
// vectors), that decides where tokens go (the router), that latent attention
// cuts by heads, or whose inputs are no multiple of 32 is returned as it is.
// `name` is Hugging Face's.
at::Tensor QuantizedQ8(const std::string& name, const at::Tensor& weight);

}  // namespace ponder

#endif  // PONDER_POLICY_QUANTIZED_WEIGHTS_H_
