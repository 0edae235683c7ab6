// kernels.cu for the tests, on the CPU.

#include "policy/cuda/emulated_cuda.h"
// After what it is compiled with.
#include "policy/cuda/kernels.cu"
