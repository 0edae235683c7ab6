"""Tiny random checkpoints with reference values, made by transformers.

For each case, golden/models/NAME/ gets
  config.json            as save_pretrained of transformers 5 writes it
  config_v4.json         the same in the spelling of older checkpoints
  model.safetensors      fp32 weights
  reference.safetensors  input_ids [100] I64, logits [100, 256] F32,
                         greedy_ids [20] I64: the continuation of input_ids,
                         logprobs_t1.0 and logprobs_t0.7 [99] F32: of
                         input_ids[1:], softmax over logits / temperature,
                         grad_norm/TENSOR [] F32: L2 norm of the gradient of
                         -mean(logprobs_t1.0) for each tensor of the checkpoint
"""

import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from transformers import (LlamaConfig, LlamaForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

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
        if model.config.tie_word_embeddings:
            # Else the head repeats the token that was read, whatever the
            # layers say.
            model.model.embed_tokens.weight.mul_(0.1)
            model.model.norm.weight.mul_(10)


def greedy(model, ids, count):
    """Without a cache: a dynamic rope depends on the length so far."""
    sequence = ids
    for _ in range(count):
        logits = model(sequence[None], use_cache=False).logits[0, -1]
        best, second = logits.topk(2).values
        assert best - second > 1e-3, "too close: rounding could decide"
        sequence = torch.cat([sequence, logits.argmax()[None]])
    return sequence[len(ids):]


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
    for name, parameter in model.named_parameters():
        values[f"grad_norm/{name}"] = parameter.grad.norm()
    return {name: value.detach().contiguous()
            for name, value in values.items()}


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
        torch.manual_seed(0)
        model = architecture(config).float().eval()
        randomize(model)
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        written = json.loads((folder / "config.json").read_text())
        (folder / "config_v4.json").write_text(
            json.dumps(older_spelling(written), indent=2) + "\n")
        save_file(reference(model), folder / "reference.safetensors", made_by)
        sizes = {f.name: f.stat().st_size for f in sorted(folder.iterdir())}
        print(name, sum(p.numel() for p in model.parameters()), sizes)


if __name__ == "__main__":
    main()
