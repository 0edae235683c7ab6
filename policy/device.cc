#include "policy/device.h"

#include <dlfcn.h>

#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "policy/cuda/module.h"
#include "policy/device_kernels.h"

namespace ponder {
namespace {

constexpr char kModuleFile[] = "libponder_cuda.so";

// Set once, by OpenCuda().
const CudaModule* opened = nullptr;

absl::Status LoadModule() {
  // Found by the program's own search path: beside it, or in ../lib.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): under call_once.
  void* const library = dlopen(kModuleFile, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    const std::string reason = dlerror();
    return absl::UnavailableError(
        absl::StrContains(reason, kModuleFile) &&
                absl::StrContains(reason, "No such file")
            ? absl::StrCat("device cuda: this build has no ", kModuleFile,
                           "; build where nvcc is (CUDA 13), or take device "
                           "cpu")
            : absl::StrCat("device cuda: ", kModuleFile, " does not load (",
                           reason,
                           "); install LibTorch's CUDA libraries beside it "
                           "(pip install torch==2.11.0), or take device cpu"));
  }
  using Function = const CudaModule* (*)();
  const auto function =
      reinterpret_cast<Function>(dlsym(library, kCudaModuleSymbol));
  if (function == nullptr ||
      absl::string_view(function()->version) != PONDER_VERSION) {
    return absl::UnavailableError(
        absl::StrCat("device cuda: ", kModuleFile,
                     " is of another version of Ponder (this is ",
                     PONDER_VERSION, "); install both from one build"));
  }
  std::string error;
  if (!function()->open(&error)) {
    return absl::UnavailableError(
        absl::StrCat("device cuda: ", error,
                     "; see that nvidia-smi lists a GPU, or take device cpu"));
  }
  opened = function();
  return absl::OkStatus();
}

absl::Status OpenCuda() {
  static std::once_flag once;
  static absl::Status* status;
  std::call_once(once, [] { status = new absl::Status(LoadModule()); });
  return *status;
}

}  // namespace

absl::StatusOr<at::Device> OpenDevice(absl::string_view name) {
  if (name == "cpu") return at::Device(at::kCPU);
  if (name != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("device is \"", name, "\"; known are cpu and cuda"));
  }
  PONDER_RETURN_IF_ERROR(OpenCuda());
  return at::Device(at::kCUDA, 0);
}

std::string DescribeCudaDevice() {
  PONDER_CHECK(opened != nullptr);
  return opened->describe();
}

const DeviceKernels& KernelsFor(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return CpuKernels();
  PONDER_CHECK(tensor.is_cuda() && opened != nullptr);
  return opened->kernels();
}

}  // namespace ponder
