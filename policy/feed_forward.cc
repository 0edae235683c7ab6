#include "policy/feed_forward.h"

#include "policy/ops.h"

namespace ponder {

at::Tensor FeedForward(const NamedTensors& w, const at::Tensor& x) {
  const at::Tensor gated =
      SwiGlu(Linear(x, w["gate_proj.weight"], w["gate_proj.bias"]),
             Linear(x, w["up_proj.weight"], w["up_proj.bias"]));
  return Linear(gated, w["down_proj.weight"], w["down_proj.bias"]);
}

}  // namespace ponder
