// Checks of the policy {} of a configuration.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "proto/config_checker.h"

namespace ponder {
namespace {

void CheckArchitecture(const std::string& path, const Architecture& a,
                       int64_t sequence_tokens, ConfigChecker& check) {
  const std::vector<std::string> types = {"qwen2", "qwen3", "llama"};
  bool known = false;
  for (const std::string& type : types) known |= a.model_type() == type;
  check.Require(known, path, "model_type",
                absl::StrCat("\"", a.model_type(), "\""),
                absl::StrCat("wanted one of ", absl::StrJoin(types, ", "),
                             NameHint(a.model_type(), types)));
  check.AtLeast(path, "vocab_size", a.vocab_size(), 259,
                ", for 256 bytes and three special tokens");
  check.AtLeast(path, "hidden_size", a.hidden_size(), 1);
  check.AtLeast(path, "intermediate_size", a.intermediate_size(), 1);
  check.AtLeast(path, "num_hidden_layers", a.num_hidden_layers(), 1);
  check.AtLeast(path, "num_attention_heads", a.num_attention_heads(), 1);
  check.AtLeast(path, "num_key_value_heads", a.num_key_value_heads(), 1);
  check.Above(path, "rope_theta", a.rope_theta(), 0);
  check.Above(path, "rms_norm_eps", a.rms_norm_eps(), 0);
  check.Above(path, "initializer_range", a.initializer_range(), 0);
  if (a.has_matrix_gain()) {
    check.Above(path, "matrix_gain", a.matrix_gain(), 0);
  }
  check.AtLeast(path, "max_position_embeddings", a.max_position_embeddings(),
                static_cast<double>(sequence_tokens),
                ", the longest prompt and response together");
  if (check.problem().has_value()) return;  // The divisors below may be 0.

  check.Require(a.num_attention_heads() % a.num_key_value_heads() == 0, path,
                "num_key_value_heads", absl::StrCat(a.num_key_value_heads()),
                absl::StrCat("wanted a divisor of num_attention_heads, which "
                             "is ",
                             a.num_attention_heads()));
  if (a.has_head_dim()) {
    check.AtLeast(path, "head_dim", a.head_dim(), 2);
    check.Require(a.head_dim() % 2 == 0, path, "head_dim",
                  absl::StrCat(a.head_dim()),
                  "wanted an even number, for rotary positions");
    return;
  }
  check.Require(
      a.hidden_size() % (2 * a.num_attention_heads()) == 0, path, "hidden_size",
      absl::StrCat(a.hidden_size()),
      absl::StrCat("wanted a multiple of twice num_attention_heads, which is ",
                   a.num_attention_heads(), ", or else a head_dim"));
}

}  // namespace

void CheckPolicy(const std::string& path, const PolicyConfig& policy,
                 const RunConfig& config, ConfigChecker& check) {
  if (policy.init() == PolicyConfig::PRETRAINED) {
    check.Given(path, "path", policy.path(),
                "a Hugging Face folder, or init: RANDOM");
    return;
  }
  CheckArchitecture(JoinPath(path, "architecture"), policy.architecture(),
                    int64_t{config.prompt().max_prompt_tokens()} +
                        config.prompt().max_response_tokens(),
                    check);
}

}  // namespace ponder
