#include "policy/random_checkpoint.h"

#include <string>
#include <utility>

#include "nlohmann/json.hpp"
#include "policy/text/byte_tokenizer.h"

namespace ponder {

Checkpoint RandomCheckpoint(ModelConfig config, double embedding_std,
                            double matrix_gain, uint64_t seed,
                            absl::string_view chat_template) {
  Checkpoint checkpoint;
  config.eos_token_ids = {kByteEndOfTextId};
  checkpoint.files["config.json"] = ModelConfigToJson(config, "float32");
  checkpoint.files["tokenizer.json"] = ByteTokenizerJson(config.vocab_size);
  checkpoint.files["tokenizer_config.json"] =
      ByteTokenizerConfigJson(std::string(chat_template));
  nlohmann::ordered_json generation;
  generation["bos_token_id"] = kByteEndOfTextId;
  generation["eos_token_id"] = kByteEndOfTextId;
  checkpoint.files["generation_config.json"] = generation.dump(2) + "\n";
  checkpoint.weights = RandomWeights(config, embedding_std, matrix_gain, seed);
  checkpoint.config = std::move(config);
  return checkpoint;
}

}  // namespace ponder
