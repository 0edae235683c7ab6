#include "rl/gloo_collective.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "torch/csrc/distributed/c10d/ProcessGroupGloo.hpp"
#include "torch/csrc/distributed/c10d/TCPStore.hpp"

namespace ponder {
namespace {

constexpr char kHost[] = "127.0.0.1";
constexpr std::chrono::minutes kConnectTimeout{1};
// Of one operation: an idle learner waits for the next update, however long
// sampling takes. One that dies is noticed at once by its closed connection.
constexpr std::chrono::hours kOperationTimeout{24};

// Gloo's exceptions are none of LibTorch's.
template <typename Operation>
void Wait(Operation operation) {
  try {
    operation()->wait();
  } catch (const c10::Error&) {
    throw;
  } catch (const std::exception& e) {
    TORCH_CHECK(false, "learner processes have lost each other: ", e.what());
  }
}

}  // namespace

struct GlooCollective::Group {
  c10::intrusive_ptr<c10d::TCPStore> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

GlooCollective::GlooCollective(std::unique_ptr<Group> group)
    : group_(std::move(group)) {}
GlooCollective::~GlooCollective() = default;

absl::StatusOr<std::unique_ptr<GlooCollective>> GlooCollective::Create(
    const Options& options) {
  auto group = std::make_unique<Group>();
  try {
    c10d::TCPStoreOptions store;
    store.port = static_cast<uint16_t>(options.port);
    store.isServer = options.rank == 0;
    store.waitWorkers = false;
    store.timeout = kConnectTimeout;
    group->store = c10::make_intrusive<c10d::TCPStore>(kHost, store);
    if (options.on_listening != nullptr) {
      PONDER_RETURN_IF_ERROR(options.on_listening(group->store->getPort()));
    }
    auto gloo = c10d::ProcessGroupGloo::Options::create(kConnectTimeout);
    gloo->devices = {c10d::ProcessGroupGloo::createDeviceForHostname(kHost)};
    group->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
        group->store, options.rank, options.size, std::move(gloo));
    group->gloo->setTimeout(kOperationTimeout);
  } catch (const std::exception& e) {
    return absl::UnavailableError(absl::StrCat(
        "learner process ", options.rank, " of ", options.size,
        " cannot reach the others: ", std::string(e.what()).substr(0, 300)));
  }
  return std::unique_ptr<GlooCollective>(new GlooCollective(std::move(group)));
}

int GlooCollective::rank() const { return group_->gloo->getRank(); }
int GlooCollective::size() const { return group_->gloo->getSize(); }

void GlooCollective::Sum(at::Tensor tensor) {
  std::vector<at::Tensor> tensors = {std::move(tensor)};
  c10d::AllreduceOptions options;
  options.timeout = kOperationTimeout;
  Wait([&] { return group_->gloo->allreduce(tensors, options); });
}

void GlooCollective::Broadcast(at::Tensor tensor) {
  std::vector<at::Tensor> tensors = {std::move(tensor)};
  c10d::BroadcastOptions options;
  options.rootRank = 0;
  options.timeout = kOperationTimeout;
  Wait([&] { return group_->gloo->broadcast(tensors, options); });
}

}  // namespace ponder
