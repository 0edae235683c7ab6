// What kernels.cu uses of CUDA, on the CPU, so that kernels are tested where
// there is no GPU: the threads of a block are fibers, and a fiber that waits
// for others (a barrier, an exchange within its warp) lets them run. Only for
// kernels whose warps have the same number of waits in every lane, and where
// barriers of a block are met by all its threads after the same number of
// waits. Not thread-safe.

#ifndef PONDER_POLICY_CUDA_EMULATED_CUDA_H_
#define PONDER_POLICY_CUDA_EMULATED_CUDA_H_

#include <ucontext.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __shared__ static

namespace ponder::cuda {

struct Index {
  int x;
};
inline Index threadIdx, blockIdx, blockDim;

class EmulatedBlock {
 public:
  // Runs body() for each thread of the block.
  void Run(int num_threads, const std::function<void()>& body) {
    body_ = &body;
    current() = this;
    fibers_.resize(num_threads);
    for (Fiber& fiber : fibers_) {
      fiber.stack.resize(kStackBytes);
      fiber.done = false;
    }
    for (Fiber& fiber : fibers_) Prepare(fiber);
    for (bool any = true; any;) {
      any = false;
      for (int t = 0; t < num_threads; ++t) {
        if (fibers_[t].done) continue;
        threadIdx.x = running_ = t;
        swapcontext(&scheduler_, &fibers_[t].context);
        any = true;
      }
    }
  }

  // Lets the other threads run up to where they wait.
  void Wait() { swapcontext(&fibers_[running_].context, &scheduler_); }

  template <typename T>
  T Exchange(T value, int from_lane) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    std::memcpy(&fibers_[running_].sent, &value, sizeof(T));
    Wait();
    T received;
    std::memcpy(&received, &fibers_[running_ / 32 * 32 + from_lane].sent,
                sizeof(T));
    Wait();
    return received;
  }

  static EmulatedBlock*& current() {
    static EmulatedBlock* block = nullptr;
    return block;
  }

 private:
  static constexpr size_t kStackBytes = 64 << 10;

  struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    uint64_t sent = 0;
    bool done = false;
  };

  void Prepare(Fiber& fiber) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler_;
    makecontext(&fiber.context, &EmulatedBlock::Enter, 0);
  }

  static void Enter() {
    EmulatedBlock* const block = current();
    (*block->body_)();
    block->fibers_[block->running_].done = true;
  }

  const std::function<void()>* body_ = nullptr;
  std::vector<Fiber> fibers_;
  ucontext_t scheduler_;
  int running_ = 0;
};

inline void __syncthreads() { EmulatedBlock::current()->Wait(); }
inline void __syncwarp() { EmulatedBlock::current()->Wait(); }
template <typename T>
T __shfl_sync(unsigned, T value, int lane) {
  return EmulatedBlock::current()->Exchange(value, lane);
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return EmulatedBlock::current()->Exchange(value, threadIdx.x % 32 ^ mask);
}

// As in kernels.cu; the last parameters of both are `Stream stream, A...`.
template <typename... P, typename Stream, typename... A>
void Launch(void (*kernel)(P...), int64_t blocks, int threads, Stream,
            A... arguments) {
  EmulatedBlock block;
  blockDim.x = threads;
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
    block.Run(threads, [&] { kernel(arguments...); });
  }
}

}  // namespace ponder::cuda

#endif  // PONDER_POLICY_CUDA_EMULATED_CUDA_H_
