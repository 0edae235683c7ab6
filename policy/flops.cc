#include "policy/flops.h"

#include "ATen/ops/randn.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "policy/ops.h"

namespace ponder {

double ForwardFlops(const ModelConfig& m, int64_t tokens, int64_t outputs) {
  const int64_t head = m.vocab_size * m.hidden_size;
  const int64_t body =
      m.NumActiveParameters() - (m.tie_word_embeddings ? 1 : 2) * head;
  const double n = static_cast<double>(tokens);
  const double pairs = n * (n + 1) / 2;  // Of query and key.
  return 2.0 * static_cast<double>(body) * n +
         2.0 *
             static_cast<double>(m.num_layers * m.num_heads *
                                 (m.qk_dim() + m.v_dim())) *
             pairs +
         2.0 * static_cast<double>(head) * static_cast<double>(outputs);
}

double MeasureProductFlops(int64_t rows, int64_t in, int64_t out,
                           at::ScalarType dtype, at::Device device) {
  const at::NoGradGuard no_grad;
  const at::Tensor w = at::randn({out, in}).to(device, dtype);
  const at::Tensor x = at::randn({rows, in}).to(device, dtype);
  // A GPU has done its work once an element is here.
  const auto run = [&] { Linear(x, w, at::Tensor())[0][0].item<float>(); };
  run();  // Warm.
  const absl::Time start = absl::Now();
  int64_t runs = 0;
  do {
    run();
    ++runs;
  } while (absl::Now() - start < absl::Milliseconds(150));
  return 2.0 * static_cast<double>(runs * rows * in * out) /
         absl::ToDoubleSeconds(absl::Now() - start);
}

double MeasurePeakFlops(at::ScalarType dtype, at::Device device) {
  const int64_t size = device.is_cuda() ? 8192 : 1024;
  return MeasureProductFlops(size, size, size, dtype, device);
}

}  // namespace ponder
