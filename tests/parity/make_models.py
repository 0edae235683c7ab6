"""Tiny random checkpoints with reference values, made by transformers.

For each case, golden/models/NAME/ gets
  config.json            as save_pretrained of transformers 5 writes it
  config_v4.json         the same in the spelling of older checkpoints
  model.safetensors      fp32 weights
  reference.safetensors  input_ids [100] I64, logits [100, 256] F32,
                         greedy_ids [20] I64: the continuation of input_ids,
                         logprobs_t1.0 and logprobs_t0.7 [99] F32: of
                         input_ids[1:], softmax over logits / temperature,
                         of the gradient g of -mean(logprobs_t1.0), for each
                         tensor of the checkpoint, row by row:
                         grad_norm/TENSOR [] F32: its L2 norm
                         grad_probe/TENSOR [] F32: sum_i g_i cos(i)
                         of models with experts, for the sequences
                         input_ids[:60] and input_ids[60:] (DeepSeek-V3's
                         report, eq. 17-20, with alpha = 1):
                         balance_loss [] F32: the mean of their losses
                         balance_grad_probe/TENSOR [] F32: of its gradient
                         balance_tokens [layers, experts] I64: by expert
"""

import itertools
import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from transformers import (DeepseekV2Config, DeepseekV2ForCausalLM,
                          DeepseekV3Config, DeepseekV3ForCausalLM, LlamaConfig,
                          LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM, Qwen3MoeConfig,
                          Qwen3MoeForCausalLM)

OUT = pathlib.Path(__file__).parent / "golden" / "models"

COMMON = dict(vocab_size=256, hidden_size=64, intermediate_size=160,
              num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=512,
              bos_token_id=0, eos_token_id=1, initializer_range=0.1,
              attn_implementation="eager")


def rope(kind, theta, **more):
    return dict(rope_type=kind, rope_theta=theta, **more)


def llama(rope_parameters, **more):
    return LlamaForCausalLM, LlamaConfig(
        **{**COMMON, **more}, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters=rope_parameters)


def qwen2(rope_parameters, tied):
    return Qwen2ForCausalLM, Qwen2Config(
        **COMMON, rms_norm_eps=1e-6, tie_word_embeddings=tied,
        rope_parameters=rope_parameters)


def qwen3(rope_parameters):
    return Qwen3ForCausalLM, Qwen3Config(
        **COMMON, head_dim=32, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters=rope_parameters)


def mistral():
    return MistralForCausalLM, MistralConfig(
        **COMMON, head_dim=24, rms_norm_eps=1e-5, sliding_window=None,
        tie_word_embeddings=False, rope_parameters=rope("default", 1e6))


def qwen3moe(dense_layers):
    return Qwen3MoeForCausalLM, Qwen3MoeConfig(
        **COMMON, head_dim=32, rms_norm_eps=1e-6, tie_word_embeddings=False,
        num_experts=8, num_experts_per_tok=2, moe_intermediate_size=48,
        norm_topk_prob=True, decoder_sparse_step=1,
        mlp_only_layers=dense_layers, rope_parameters=rope("default", 1e6))


def yarn(mscale):
    return rope("yarn", 1e4, factor=40.0, beta_fast=32.0, beta_slow=1.0,
                mscale=mscale, mscale_all_dim=mscale,
                original_max_position_embeddings=64)


# A value's size differs from a key's: swapped halves are seen.
MLA = {**COMMON, "num_hidden_layers": 3, "num_key_value_heads": 4,
       "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8,
       "v_head_dim": 24, "first_k_dense_replace": 1, "n_routed_experts": 8,
       "num_experts_per_tok": 3, "moe_intermediate_size": 48,
       "rms_norm_eps": 1e-6, "tie_word_embeddings": False}


def deepseek2(rope_parameters, **more):
    return DeepseekV2ForCausalLM, DeepseekV2Config(
        **MLA, n_shared_experts=2, norm_topk_prob=False,
        rope_parameters=rope_parameters, **more)


def deepseek3(rope_parameters, **more):
    return DeepseekV3ForCausalLM, DeepseekV3Config(
        **MLA, n_shared_experts=1, norm_topk_prob=True, n_group=4,
        topk_group=2, routed_scaling_factor=2.5,
        rope_parameters=rope_parameters, **more)


# Original context lengths are far below the 100 tokens, so that every branch
# of the scalings is taken.
CASES = {
    "llama": llama(rope("default", 1e4)),
    "llama_linear": llama(rope("linear", 1e4, factor=4.0)),
    "llama_dynamic": llama(rope("dynamic", 1e4, factor=2.0),
                           max_position_embeddings=64),
    "llama31": llama(rope("llama3", 5e5, factor=8.0, low_freq_factor=1.0,
                          high_freq_factor=4.0,
                          original_max_position_embeddings=64)),
    "qwen2": qwen2(rope("default", 1e6), tied=True),
    "qwen2_yarn": qwen2(rope("yarn", 1e6, factor=4.0,
                             original_max_position_embeddings=64), tied=False),
    "qwen3": qwen3(rope("default", 1e6)),
    "mistral": mistral(),
    "qwen3moe": qwen3moe(dense_layers=[0]),
    "qwen3moe_all": qwen3moe(dense_layers=[]),
    "deepseek2lite": deepseek2(yarn(0.707), q_lora_rank=None,
                               topk_method="greedy", n_group=1, topk_group=1,
                               routed_scaling_factor=1.0),
    "deepseek2": deepseek2(yarn(1.0), q_lora_rank=40, n_group=4, topk_group=2,
                           topk_method="group_limited_greedy",
                           routed_scaling_factor=16.0),
    "deepseek3": deepseek3(yarn(1.0), q_lora_rank=40),
    "deepseek3_plain": deepseek3(rope("default", 1e4), q_lora_rank=None,
                                 attention_bias=True),
}


def randomize(model):
    """Norms and biases start as ones and zeros, which would hide mistakes."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.1 * torch.randn_like(parameter)
            if "norm" in name:
                parameter.copy_(1 + noise)
            elif name.endswith("bias"):
                parameter.copy_(noise)
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(0.1 * torch.randn_like(buffer))
        if model.config.tie_word_embeddings:
            # Else the head repeats the token that was read, whatever the
            # layers say.
            model.model.embed_tokens.weight.mul_(0.1)
            model.model.norm.weight.mul_(10)


class TooClose(Exception):
    """Rounding could decide between the two best tokens."""


def greedy(model, ids, count):
    """Without a cache: a dynamic rope depends on the length so far."""
    sequence = ids
    for _ in range(count):
        logits = model(sequence[None], use_cache=False).logits[0, -1]
        best, second = logits.topk(2).values
        if best - second <= 1e-3:
            raise TooClose
        sequence = torch.cat([sequence, logits.argmax()[None]])
    return sequence[len(ids):]


def gradients(model):
    """By the names of the file, where each expert has tensors of its own."""
    for name, parameter in model.named_parameters():
        if ".experts." not in name:
            yield name, parameter.grad
            continue
        layer, kind = name.rsplit(".", 1)
        grads = parameter.grad
        if grads is None:
            grads = torch.zeros_like(parameter)
        for expert, grad in enumerate(grads):
            if kind == "gate_up_proj":
                gate, up = grad.chunk(2)
                yield f"{layer}.{expert}.gate_proj.weight", gate
                yield f"{layer}.{expert}.up_proj.weight", up
            else:
                yield f"{layer}.{expert}.down_proj.weight", grad


def probe(grad):
    flat = grad.double().flatten()
    return (flat * torch.arange(len(flat)).double().cos()).sum().float()


def balance(model, sequences):
    """The sequence-wise balance loss, from what goes into the experts."""
    config = model.config
    scored = torch.sigmoid if config.model_type == "deepseek_v3" else (
        lambda logits: logits.softmax(-1))
    inputs, hooks = {}, []
    counts = []
    for layer in model.model.layers:
        if not hasattr(layer.mlp, "gate"):
            counts.append(None)
            continue
        counts.append(0)
        for name in ("gate", "experts"):
            hooks.append(getattr(layer.mlp, name).register_forward_pre_hook(
                lambda module, args, key=(len(counts) - 1, name):
                inputs.__setitem__(key, args)))
    total = 0
    for ids in sequences:
        model(ids[None], use_cache=False)
        for index, layer in enumerate(model.model.layers):
            if counts[index] is None:
                continue
            x = inputs[index, "gate"][0].reshape(len(ids), -1)
            chosen = inputs[index, "experts"][1]
            scores = scored(x @ layer.mlp.gate.weight.T)
            experts, k = scores.shape[1], chosen.shape[1]
            tokens = torch.bincount(chosen.flatten(), minlength=experts)
            f = experts / (k * len(ids)) * tokens
            p = (scores / scores.sum(-1, keepdim=True)).mean(0)
            total = total + (f * p).sum() / len(sequences)
            counts[index] = counts[index] + tokens
    for hook in hooks:
        hook.remove()
    if not hooks:
        return {}
    model.zero_grad()
    total.backward()
    values = {"balance_loss": total,
              "balance_tokens": torch.stack([
                  torch.zeros(experts, dtype=torch.long) if c is None else c
                  for c in counts])}
    for name, grad in gradients(model):
        values[f"balance_grad_probe/{name}"] = (
            torch.tensor(0.0) if grad is None else probe(grad))
    return values


def reference(model):
    ids = torch.arange(1, 101) * 7 % 256
    logits = model(ids[None], use_cache=False).logits[0]

    def logprobs(temperature):
        return (logits[:-1] / temperature).log_softmax(-1).gather(
            1, ids[1:, None])[:, 0]

    (-logprobs(1.0).mean()).backward()
    with torch.no_grad():
        values = {"input_ids": ids, "logits": logits,
                  "logprobs_t1.0": logprobs(1.0),
                  "logprobs_t0.7": logprobs(0.7),
                  "greedy_ids": greedy(model, ids, 20)}
    for name, grad in gradients(model):
        values[f"grad_norm/{name}"] = grad.norm()
        values[f"grad_probe/{name}"] = probe(grad)
    values |= balance(model, (ids[:60], ids[60:]))
    return {name: value.detach().contiguous()
            for name, value in values.items()}


def model_and_reference(architecture, config):
    for seed in itertools.count():
        torch.manual_seed(seed)
        model = architecture(config).float().eval()
        randomize(model)
        try:
            return model, reference(model)
        except TooClose:
            pass


def older_spelling(config):
    """rope_parameters -> rope_theta and rope_scaling; dtype -> torch_dtype."""
    config = dict(config)
    scaling = dict(config.pop("rope_parameters"))
    config["rope_theta"] = scaling.pop("rope_theta")
    is_default = scaling["rope_type"] == "default"
    if scaling["rope_type"] != "llama3":  # The only one born with rope_type.
        scaling["type"] = scaling.pop("rope_type")
    config["rope_scaling"] = None if is_default else scaling
    config["torch_dtype"] = config.pop("dtype")
    del config["transformers_version"]
    return config


def main():
    torch.set_num_threads(1)
    # One key: safetensors writes several in random order.
    made_by = {"made_by": f"torch {torch.__version__}, "
                          f"transformers {transformers.__version__}"}
    for name, (architecture, config) in CASES.items():
        model, values = model_and_reference(architecture, config)
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        written = json.loads((folder / "config.json").read_text())
        (folder / "config_v4.json").write_text(
            json.dumps(older_spelling(written), indent=2) + "\n")
        save_file(values, folder / "reference.safetensors", made_by)
        sizes = {f.name: f.stat().st_size for f in sorted(folder.iterdir())}
        print(name, sum(p.numel() for p in model.parameters()), sizes)


if __name__ == "__main__":
    main()
