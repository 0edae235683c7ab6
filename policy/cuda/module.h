// What libponder_cuda.so exports. ponder looks it up by name
// (policy/device.cc).

#ifndef PONDER_POLICY_CUDA_MODULE_H_
#define PONDER_POLICY_CUDA_MODULE_H_

#include <string>

#include "policy/device_kernels.h"

namespace ponder {

// Both sides of the module are of one build; another version is refused.
struct CudaModule {
  const char* version;  // PONDER_VERSION.
  // Makes the first GPU ready. False with the reason if there is none.
  bool (*open)(std::string* error);
  // "NVIDIA H100 80GB HBM3, 79.1 GiB, compute capability 9.0".
  std::string (*describe)();
  const DeviceKernels& (*kernels)();
};

constexpr char kCudaModuleSymbol[] = "PonderCudaModule";

}  // namespace ponder

extern "C" const ponder::CudaModule* PonderCudaModule();

#endif  // PONDER_POLICY_CUDA_MODULE_H_
