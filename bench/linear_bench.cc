// The forward pass's products (policy/linear_kernel.h) beside LibTorch's, in
// one run: shapes of a small policy and of Qwen2.5-0.5B.
//
//   build/release/bench/linear_bench --threads 1

#include <algorithm>
#include <cstdio>
#include <utility>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "policy/linear_kernel.h"

namespace {

// Seconds of the fastest of several runs, the two sides in turn.
template <typename A, typename B>
std::pair<double, double> Fastest(A a, B b) {
  double best_a = 1e9, best_b = 1e9;
  const absl::Time begin = absl::Now();
  for (int i = 0; i < 5 || absl::Now() - begin < absl::Milliseconds(600); ++i) {
    const absl::Time start = absl::Now();
    a();
    const absl::Time middle = absl::Now();
    b();
    best_a = std::min(best_a, absl::ToDoubleSeconds(middle - start));
    best_b = std::min(best_b, absl::ToDoubleSeconds(absl::Now() - middle));
  }
  return {best_a, best_b};
}

template <typename E>
void Compare(at::ScalarType type, int64_t rows, int64_t out, int64_t in) {
  const at::Tensor x = at::randn({rows, in}).to(type);
  const at::Tensor w = at::randn({out, in}).to(type);
  const at::Tensor y = at::empty({rows, out}, x.options());
  at::Tensor theirs;
  const auto [own, torch] = Fastest(
      [&] {
        ponder::kernels::Linear<E>(x.const_data_ptr<E>(), w.const_data_ptr<E>(),
                                   nullptr, rows, in, out,
                                   y.mutable_data_ptr<E>());
      },
      [&] { theirs = at::linear(x, w); });
  std::printf("%-8s %5d rows %5d x %5d  %9.1f us  LibTorch %9.1f us  %.2f\n",
              type == at::kFloat ? "float32" : "bfloat16",
              static_cast<int>(rows), static_cast<int>(out),
              static_cast<int>(in), own * 1e6, torch * 1e6, own / torch);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The forward pass's products beside LibTorch's."};
  int threads = 1;
  app.add_option("--threads", threads)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(threads);
  for (const int64_t rows : {1, 8, 64, 512}) {
    for (const auto& [out, in] : {std::pair<int64_t, int64_t>{384, 128},
                                  {896, 896},
                                  {4864, 896},
                                  {896, 4864}}) {
      Compare<float>(at::kFloat, rows, out, in);
      Compare<at::BFloat16>(at::kBFloat16, rows, out, in);
    }
  }
}
