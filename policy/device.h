// The devices that a policy can be on.

#ifndef PONDER_POLICY_DEVICE_H_
#define PONDER_POLICY_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "c10/core/Device.h"

namespace ponder {

// Makes a device ready: "cpu", which always is, or "cuda", the first NVIDIA
// GPU. For a GPU the module libponder_cuda.so is loaded once, which brings in
// the CUDA part of LibTorch. UNAVAILABLE says what is missing; the CPU then
// goes on working. Thread-safe, but to be called before other threads use
// tensors.
absl::StatusOr<at::Device> OpenDevice(absl::string_view name);

// Of the opened GPU, for people: its name and memory.
std::string DescribeCudaDevice();

}  // namespace ponder

#endif  // PONDER_POLICY_DEVICE_H_
