#include "rollout/engine.h"

#include <algorithm>
#include <utility>

#include "ATen/ops/empty.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "policy/device_kernels.h"

namespace ponder {
namespace {

using at::Tensor;

// Tokens that are decoded to look for a stop string.
constexpr size_t kStopTailTokens = 32;

}  // namespace

Engine::Engine(const Options& options, const Tokenizer* tokenizer)
    : options_(options), tokenizer_(tokenizer) {}

void Engine::SetPolicy(std::shared_ptr<const Decoder> decoder) {
  PONDER_CHECK(idle());
  decoder_ = std::move(decoder);
  if (cache_ == nullptr) {
    cache_ = std::make_unique<KvCache>(decoder_->config(), decoder_->dtype(),
                                       decoder_->device());
  }
}

int64_t Engine::BlocksNeeded(const GenerationRequest& request) const {
  const int64_t prompt = static_cast<int64_t>(request.prompt_ids.size());
  const int64_t shared = prompt / KvCache::kBlockTokens;
  const int64_t all = KvCache::BlocksFor(prompt + request.max_response_tokens);
  return KvCache::BlocksFor(prompt) +
         static_cast<int64_t>(request.samples.size()) * (all - shared);
}

bool Engine::Fits(const GenerationRequest& request, int64_t sequences) const {
  // Alone it starts in any case: Add() refuses what can never run.
  if (sequences == 0) return true;
  const int64_t blocks = reserved_blocks_ + BlocksNeeded(request);
  return sequences + static_cast<int64_t>(request.samples.size()) <=
             options_.slots &&
         (options_.kv_cache_tokens == 0 ||
          blocks * KvCache::kBlockTokens <= options_.kv_cache_tokens);
}

bool Engine::HasRoom(int64_t num_samples) const {
  int64_t sequences = static_cast<int64_t>(running_.size());
  for (const GenerationRequest& request : waiting_) {
    sequences += static_cast<int64_t>(request.samples.size());
  }
  return sequences == 0 || sequences + num_samples <= options_.slots;
}

absl::Status Engine::Add(GenerationRequest request) {
  PONDER_CHECK(decoder_ != nullptr);
  const int64_t length = static_cast<int64_t>(request.prompt_ids.size()) +
                         request.max_response_tokens;
  if (request.prompt_ids.empty() || request.samples.empty() ||
      request.max_response_tokens < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "group ", request.group_id,
        ": needs a prompt, samples and room for at least one token"));
  }
  if (length > decoder_->max_tokens()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "group ", request.group_id, ": prompt and response may take ", length,
        " tokens, the limit is ", decoder_->max_tokens()));
  }
  for (const int32_t id : request.prompt_ids) {
    if (id < 0 || id >= decoder_->config().vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("group ", request.group_id, ": prompt has token id ", id,
                       ", the vocabulary has ", decoder_->config().vocab_size));
    }
  }
  const int64_t needed = BlocksNeeded(request) * KvCache::kBlockTokens;
  if (options_.kv_cache_tokens > 0 && needed > options_.kv_cache_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("group ", request.group_id, ": may need ", needed,
                     " tokens of cache, rollout.kv_cache_tokens is ",
                     options_.kv_cache_tokens));
  }
  waiting_.push_back(std::move(request));
  return absl::OkStatus();
}

void Engine::Cancel(const std::string& group_id) {
  std::erase_if(waiting_, [&](const GenerationRequest& request) {
    return request.group_id == group_id;
  });
  std::erase_if(running_, [&](const Sequence& sequence) {
    if (sequence.group->request.group_id != group_id) return false;
    Release(sequence);
    return true;
  });
}

Tensor Engine::Forward(const std::vector<Row>& rows,
                       const std::vector<int64_t>& wanted) {
  const int64_t num_rows = static_cast<int64_t>(rows.size());
  std::vector<int64_t> ids(num_rows), positions(num_rows), num_keys(num_rows);
  // Rows of one sequence follow each other and share one list of blocks.
  std::vector<int64_t> blocks, first_block(num_rows);
  for (int64_t t = 0; t < num_rows; ++t) {
    ids[t] = rows[t].id;
    positions[t] = rows[t].position;
    num_keys[t] = rows[t].position + 1;
    if (t > 0 && rows[t].blocks == rows[t - 1].blocks) {
      first_block[t] = first_block[t - 1];
      continue;
    }
    first_block[t] = static_cast<int64_t>(blocks.size());
    for (const int32_t block : *rows[t].blocks) {
      blocks.push_back(cache_->address(block));
    }
  }
  const auto on_device = [&](const std::vector<int64_t>& values) {
    return at::tensor(values, at::kLong).to(decoder_->device());
  };
  const CachedRows cached = {on_device(blocks), on_device(first_block),
                             on_device(num_keys)};
  const auto attend = [&](int64_t layer, const Tensor& q, const Tensor& k,
                          const Tensor& v) {
    const Tensor out = at::empty({num_rows, q.size(1), v.size(2)}, q.options());
    KernelsFor(q).CachedAttention(q.contiguous(), k.contiguous(),
                                  v.contiguous(), cached, cache_->Layout(layer),
                                  decoder_->attention_scale(), out);
    return out;
  };
  const Tensor hidden =
      decoder_->CachedHidden(on_device(ids), on_device(positions), attend);
  return decoder_->Logits(at::index_select(hidden, 0, on_device(wanted)))
      .contiguous();
}

bool Engine::Ended(const Sequence& sequence, bool* truncated) const {
  const GenerationRequest& request = sequence.group->request;
  *truncated = false;
  const int32_t newest = sequence.ids.back();
  if (std::count(request.stop_ids.begin(), request.stop_ids.end(), newest) >
      0) {
    return true;
  }
  if (!request.stop_strings.empty()) {
    const size_t tail = std::min(kStopTailTokens, sequence.ids.size());
    const std::string text =
        tokenizer_->Decode(absl::MakeConstSpan(sequence.ids).last(tail));
    for (const std::string& stop : request.stop_strings) {
      if (text.find(stop) != std::string::npos) return true;
    }
  }
  *truncated =
      static_cast<int64_t>(sequence.ids.size()) >= request.max_response_tokens;
  return *truncated;
}

void Engine::Release(const Sequence& sequence) {
  Group& group = *sequence.group;
  for (const int32_t block : sequence.blocks) cache_->Release(block);
  if (--group.unfinished == 0) reserved_blocks_ -= group.reserved_blocks;
}

void Engine::Finish(Sequence& sequence, bool truncated,
                    const std::function<void(GeneratedSample)>& on_finished) {
  Release(sequence);
  GeneratedSample sample;
  sample.group_id = sequence.group->request.group_id;
  sample.index = sequence.index;
  sample.response_ids = std::move(sequence.ids);
  sample.logprobs = std::move(sequence.logprobs);
  sample.truncated = truncated;
  on_finished(std::move(sample));
}

void Engine::Step(const std::function<void(GeneratedSample)>& on_finished) {
  const absl::Time start = absl::Now();
  const at::NoGradGuard no_grad;

  // Prompts that fit are read in this step.
  std::vector<Row> rows;
  std::vector<int64_t> wanted;  // Rows whose logits are sampled from.
  std::vector<std::shared_ptr<Group>> prefilled;
  int64_t sequences = static_cast<int64_t>(running_.size());
  while (!waiting_.empty() &&
         static_cast<int64_t>(rows.size()) < options_.prefill_tokens &&
         Fits(waiting_.front(), sequences)) {
    auto group = std::make_shared<Group>();
    group->reserved_blocks = BlocksNeeded(waiting_.front());
    group->request = std::move(waiting_.front());
    waiting_.pop_front();
    group->unfinished = static_cast<int64_t>(group->request.samples.size());
    sequences += group->unfinished;
    reserved_blocks_ += group->reserved_blocks;
    const std::vector<int32_t>& prompt = group->request.prompt_ids;
    const int64_t n = static_cast<int64_t>(prompt.size());
    for (int64_t i = 0; i < KvCache::BlocksFor(n); ++i) {
      group->prompt_blocks.push_back(cache_->Allocate());
    }
    for (int64_t i = 0; i < n; ++i) {
      rows.push_back({prompt[i], i, &group->prompt_blocks});
    }
    wanted.push_back(static_cast<int64_t>(rows.size()) - 1);
    prefilled.push_back(std::move(group));
  }

  // Every running sequence feeds its newest token.
  for (Sequence& sequence : running_) {
    const int64_t position =
        static_cast<int64_t>(sequence.group->request.prompt_ids.size() +
                             sequence.ids.size()) -
        1;
    if (position / KvCache::kBlockTokens >=
        static_cast<int64_t>(sequence.blocks.size())) {
      sequence.blocks.push_back(cache_->Allocate());
    }
    wanted.push_back(static_cast<int64_t>(rows.size()));
    rows.push_back({sequence.ids.back(), position, &sequence.blocks});
  }
  if (rows.empty()) return;
  const Tensor logits = Forward(rows, wanted);

  // Samples of a new prompt share its full blocks and copy the last one, which
  // they will write into.
  std::vector<int64_t> logits_row(running_.size());
  for (size_t i = 0; i < running_.size(); ++i) {
    logits_row[i] = static_cast<int64_t>(prefilled.size() + i);
  }
  for (size_t g = 0; g < prefilled.size(); ++g) {
    const std::shared_ptr<Group>& group = prefilled[g];
    const bool partial =
        group->request.prompt_ids.size() % KvCache::kBlockTokens != 0;
    for (size_t i = 0; i < group->request.samples.size(); ++i) {
      Sequence sequence;
      sequence.group = group;
      sequence.index = static_cast<int32_t>(i);
      sequence.blocks = group->prompt_blocks;
      for (const int32_t block : sequence.blocks) cache_->AddReference(block);
      if (partial) {
        cache_->Release(sequence.blocks.back());
        sequence.blocks.back() = cache_->Copy(group->prompt_blocks.back());
      }
      running_.push_back(std::move(sequence));
      logits_row.push_back(static_cast<int64_t>(g));
    }
    for (const int32_t block : group->prompt_blocks) cache_->Release(block);
  }

  std::vector<SamplingParams> params;
  std::vector<int64_t> positions;
  for (const Sequence& sequence : running_) {
    params.push_back(sequence.group->request.samples[sequence.index]);
    positions.push_back(static_cast<int64_t>(sequence.ids.size()));
  }
  const Tensor index = at::tensor(logits_row, at::kLong).to(logits.device());
  const std::vector<SampledToken> tokens = SampleTokens(
      prefilled.empty() ? logits : at::index_select(logits, 0, index), params,
      positions);
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = running_[i];
    sequence.ids.push_back(tokens[i].id);
    sequence.logprobs.push_back(tokens[i].logprob);
    const GenerationRequest& request = sequence.group->request;
    if (request.on_token) request.on_token(sequence.index, tokens[i].id);
  }
  sampled_tokens_ += static_cast<int64_t>(running_.size());

  std::vector<Sequence> still_running;
  still_running.reserve(running_.size());
  for (Sequence& sequence : running_) {
    bool truncated;
    if (Ended(sequence, &truncated)) {
      Finish(sequence, truncated, on_finished);
    } else {
      still_running.push_back(std::move(sequence));
    }
  }
  running_ = std::move(still_running);
  busy_seconds_ += absl::ToDoubleSeconds(absl::Now() - start);
}

}  // namespace ponder
