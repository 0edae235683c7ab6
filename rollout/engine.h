// The generation engine: continuous batching of sequences over one policy.

#ifndef PONDER_ROLLOUT_ENGINE_H_
#define PONDER_ROLLOUT_ENGINE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "policy/decoder.h"
#include "policy/text/tokenizer.h"
#include "rollout/kv_cache.h"
#include "rollout/sampler.h"

namespace ponder {

// One prompt and the samples that are wanted of it.
struct GenerationRequest {
  std::string group_id;
  std::vector<int32_t> prompt_ids;  // At least one.
  std::vector<SamplingParams> samples;
  int32_t max_response_tokens = 0;
  std::vector<int32_t> stop_ids;
  std::vector<std::string> stop_strings;
  // Called with each token as it is drawn: the sample's index and the id. May
  // be null.
  std::function<void(int32_t index, int32_t id)> on_token;
};

struct GeneratedSample {
  std::string group_id;
  int32_t index = 0;                  // In GenerationRequest::samples.
  std::vector<int32_t> response_ids;  // With the stop id, if one ended it.
  std::vector<float> logprobs;        // Of each response id.
  bool truncated = false;             // Ended at the token limit.
};

// A sample does not depend on what else is in the engine: the same policy,
// prompt and parameters give the same ids and the same log-probabilities, bit
// for bit. A prompt is read once and its cache shared by its samples. Not
// thread-safe: one thread drives it.
class Engine {
 public:
  struct Options {
    int64_t slots = 256;            // Sequences that are decoded together.
    int64_t kv_cache_tokens = 0;    // 0: no limit beside the slots.
    int64_t prefill_tokens = 2048;  // Prompt tokens read in one step, about.
  };

  // `tokenizer` decodes for stop strings; not owned, outlives the engine.
  Engine(const Options& options, const Tokenizer* tokenizer);

  // Changes the policy. The engine must be idle.
  void SetPolicy(std::shared_ptr<const Decoder> decoder);

  // Queues a request. INVALID_ARGUMENT if it can never run: an id outside the
  // vocabulary, longer than the policy's limit, or larger than the cache.
  absl::Status Add(GenerationRequest request);

  // Forgets the group: none of its samples will be finished any more.
  void Cancel(const std::string& group_id);

  // Whether a request of `num_samples` would start in the next step.
  bool HasRoom(int64_t num_samples) const;
  bool idle() const { return waiting_.empty() && running_.empty(); }

  // One forward pass: reads waiting prompts that fit and extends every running
  // sequence by one token. Calls `on_finished` for each sample that ended.
  void Step(const std::function<void(GeneratedSample)>& on_finished);

  int64_t sampled_tokens() const { return sampled_tokens_; }
  double busy_seconds() const { return busy_seconds_; }

 private:
  // A request with its prompt in the cache.
  struct Group {
    GenerationRequest request;
    std::vector<int32_t> prompt_blocks;
    int64_t reserved_blocks = 0;
    int64_t unfinished = 0;
  };

  struct Sequence {
    std::shared_ptr<Group> group;
    int32_t index = 0;
    std::vector<int32_t> blocks;
    std::vector<int32_t> ids;  // Of the response.
    std::vector<float> logprobs;
  };

  // One row of a forward pass.
  struct Row {
    int32_t id = 0;
    int64_t position = 0;
    const std::vector<int32_t>* blocks = nullptr;
  };

  int64_t BlocksNeeded(const GenerationRequest& request) const;
  // Whether the request may start beside `sequences` others.
  bool Fits(const GenerationRequest& request, int64_t sequences) const;
  at::Tensor Forward(const std::vector<Row>& rows,
                     const std::vector<int64_t>& wanted);
  // True if the sequence ended with its newest token.
  bool Ended(const Sequence& sequence, bool* truncated) const;
  // Gives the sequence's part of the cache back.
  void Release(const Sequence& sequence);
  void Finish(Sequence& sequence, bool truncated,
              const std::function<void(GeneratedSample)>& on_finished);

  const Options options_;
  const Tokenizer* const tokenizer_;
  std::shared_ptr<const Decoder> decoder_;
  std::unique_ptr<KvCache> cache_;
  std::deque<GenerationRequest> waiting_;
  std::vector<Sequence> running_;
  int64_t reserved_blocks_ = 0;
  int64_t sampled_tokens_ = 0;
  double busy_seconds_ = 0;
};

}  // namespace ponder

#endif  // PONDER_ROLLOUT_ENGINE_H_
