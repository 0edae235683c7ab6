#include "policy/quantized_weights.h"

#include "ATen/ops/empty.h"
#include "absl/strings/match.h"
#include "policy/linear_kernel.h"

namespace ponder {

at::Tensor QuantizedQ8(const std::string& name, const at::Tensor& weight) {
  for (const char* other : {"embed_tokens.weight", "mlp.gate.weight",
                            "kv_b_proj.weight", "eh_proj.weight"}) {
    if (absl::EndsWith(name, other)) return weight;
  }
  if (weight.dim() != 2 || weight.size(1) % kernels::kQ8Block != 0) {
    return weight;
  }
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const at::Tensor quantized =
      at::empty({out, kernels::Q8RowBytes(in)}, at::kChar);
  for (int64_t row = 0; row < out; ++row) {
    const at::Tensor numbers = weight[row].to(at::kFloat).contiguous();
    kernels::QuantizeQ8(
        numbers.const_data_ptr<float>(), in,
        quantized.mutable_data_ptr<int8_t>() + row * quantized.size(1));
  }
  return quantized;
}

}  // namespace ponder
