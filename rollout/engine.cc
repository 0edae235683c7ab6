#include "rollout/engine.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ATen/Dispatch.h"
#include "ATen/Parallel.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/index_select.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "policy/kernels.h"

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
    cache_ = std::make_unique<KvCache>(decoder_->config(), decoder_->dtype());
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
  const Tensor ids = at::empty({num_rows}, at::kLong);
  const Tensor positions = at::empty({num_rows}, at::kLong);
  std::vector<int64_t> num_keys(num_rows);
  // Rows of one sequence follow each other and share one list of blocks.
  std::vector<std::vector<char*>> lists;
  std::vector<size_t> list_of_row(num_rows);
  for (int64_t t = 0; t < num_rows; ++t) {
    ids.mutable_data_ptr<int64_t>()[t] = rows[t].id;
    positions.mutable_data_ptr<int64_t>()[t] = rows[t].position;
    num_keys[t] = rows[t].position + 1;
    if (t == 0 || rows[t].blocks != rows[t - 1].blocks) {
      std::vector<char*>& list = lists.emplace_back();
      for (const int32_t block : *rows[t].blocks) {
        list.push_back(cache_->data(block));
      }
    }
    list_of_row[t] = lists.size() - 1;
  }

  const ModelConfig& config = decoder_->config();
  const auto attend = [&](int64_t layer, const Tensor& q, const Tensor& k,
                          const Tensor& v) {
    const int64_t heads = config.cache_heads();
    const int64_t key_dim = config.cache_key_dim();
    // Of what attention returns; the cache may hold less (cache_value_dim()).
    const int64_t value_dim = v.size(2);
    const Tensor out =
        at::empty({num_rows, config.num_heads, value_dim}, q.options());
    const auto run = [&]<typename E>(E) {
      // Of a tensor [T, heads, size], row t goes to its place in the cache.
      const auto store = [&](const Tensor& rows_of_heads, int64_t t, E* to,
                             int64_t head_stride) {
        const int64_t size = rows_of_heads.size(2);
        const E* from = rows_of_heads.const_data_ptr<E>() + t * heads * size;
        for (int64_t g = 0; g < heads; ++g) {
          std::memcpy(to + g * head_stride, from + g * size, size * sizeof(E));
        }
      };
      const Tensor queries = q.contiguous();
      const Tensor keys = k.contiguous(), values = v.contiguous();
      std::vector<kernels::KeyValues<E>> seen(num_rows);
      // Store first: a row sees itself and the rows before it.
      for (int64_t t = 0; t < num_rows; ++t) {
        const std::vector<char*>& list = lists[list_of_row[t]];
        E* block = reinterpret_cast<E*>(
            list[rows[t].position / KvCache::kBlockTokens]);
        const int64_t at = rows[t].position % KvCache::kBlockTokens;
        store(
            keys, t,
            block + cache_->KeyOffset(layer) + at * cache_->key_token_stride(),
            cache_->key_head_stride());
        if (config.cache_value_dim() > 0) {
          store(values, t,
                block + cache_->ValueOffset(layer) +
                    at * cache_->value_token_stride(),
                cache_->value_head_stride());
        }
        const E* const* blocks = reinterpret_cast<const E* const*>(list.data());
        seen[t] = {blocks,
                   blocks,
                   cache_->KeyOffset(layer),
                   cache_->ValueOffset(layer),
                   KvCache::kBlockTokens,
                   cache_->key_token_stride(),
                   cache_->key_head_stride(),
                   cache_->value_token_stride(),
                   cache_->value_head_stride()};
      }
      kernels::Attention(queries.const_data_ptr<E>(), seen.data(),
                         num_keys.data(), decoder_->attention_scale(), num_rows,
                         config.num_heads, heads, key_dim, value_dim,
                         out.mutable_data_ptr<E>(), nullptr);
    };
    if (q.scalar_type() == at::kFloat) {
      run(float{});
    } else {
      run(at::BFloat16{});
    }
    return out;
  };

  const Tensor hidden = decoder_->CachedHidden(ids, positions, attend);
  const Tensor index =
      at::empty({static_cast<int64_t>(wanted.size())}, at::kLong);
  std::copy(wanted.begin(), wanted.end(), index.mutable_data_ptr<int64_t>());
  return decoder_->Logits(at::index_select(hidden, 0, index)).contiguous();
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

  at::parallel_for(0, static_cast<int64_t>(running_.size()), 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       Sequence& sequence = running_[i];
                       const SampledToken token = SampleToken(
                           logits[logits_row[i]],
                           sequence.group->request.samples[sequence.index],
                           static_cast<int64_t>(sequence.ids.size()));
                       sequence.ids.push_back(token.id);
                       sequence.logprobs.push_back(token.logprob);
                     }
                   });
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
