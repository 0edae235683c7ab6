"""Reads a GGUF file with PyPI's gguf and compares it with the Hugging Face folder
that it was written from: every tensor, the tokens, the merges.

    python3 -m venv V && V/bin/pip install gguf==0.19.0 safetensors
    V/bin/python tests/parity/check_gguf.py FOLDER FILE.gguf

F32, F16, BF16, Q8_0 and Q4_0 must hold the bytes that gguf's own quantiser
makes. Of Q4_K and Q6_K, which it only reads, the error is printed and must be
below that of Q4_0 and Q8_0's block types of the same size.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants
from safetensors import safe_open

NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "ffn_gate_inp": "mlp.gate",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj",
    "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj",
    "attn_q_a": "self_attn.q_a_proj", "attn_q_b": "self_attn.q_b_proj",
    "attn_q_a_norm": "self_attn.q_a_layernorm",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm",
}


def source_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    if name == "output.weight":
        return "lm_head.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{kind}"


def source(weights, config, name, used):
    """The tensor of the folder, in the shape that llama.cpp wants."""
    def take(key):
        used.add(key)
        return weights[key]

    if not name.startswith("blk."):
        return take(source_name(name))
    _, layer, part, _ = name.split(".")
    prefix = f"model.layers.{layer}."
    if part == "exp_probs_b":
        return take(prefix + "mlp.gate.e_score_correction_bias")
    if part in ("attn_k_b", "attn_v_b"):
        heads, keys = config["num_attention_heads"], config["qk_nope_head_dim"]
        up = take(prefix + "self_attn.kv_b_proj.weight").reshape(
            heads, -1, config["kv_lora_rank"])
        return (up[:, :keys].swapaxes(1, 2) if part == "attn_k_b" else
                up[:, keys:])
    if part.endswith("_exps"):
        kind = part.removeprefix("ffn_").removesuffix("_exps")
        names = [n for n in weights if n.startswith(prefix + "mlp.experts.") and
                 n.endswith(f".{kind}_proj.weight")]
        names.sort(key=lambda n: int(n.split(".")[5]))
        return np.stack([take(n) for n in names])
    want = take(source_name(name))
    if config["model_type"] in ("llama", "mistral"):
        if part == "attn_q":
            return permuted(want, config["num_attention_heads"])
        if part == "attn_k":
            return permuted(want, config["num_key_value_heads"])
    return want


def permuted(weight, heads):
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2,
                          *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def main():
    folder = pathlib.Path(sys.argv[1])
    config = json.loads((folder / "config.json").read_text())
    weights = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as tensors:
            for name in tensors.keys():
                weights[name] = tensors.get_tensor(name).astype(np.float32)
    reader = gguf.GGUFReader(sys.argv[2])
    seen = 0
    used = set()
    worst = {}
    for tensor in reader.tensors:
        if tensor.name == "rope_freqs.weight":
            continue
        want = np.ascontiguousarray(
            source(weights, config, tensor.name, used))
        kind = tensor.tensor_type
        got = quants.dequantize(tensor.data, kind).reshape(want.shape)
        if kind not in (Type.Q4_K, Type.Q6_K):
            wanted = quants.quantize(want, kind)
            assert (np.ascontiguousarray(tensor.data).tobytes() ==
                    np.ascontiguousarray(wanted).tobytes()), tensor.name
        else:
            error = np.sqrt(np.mean((got - want)**2) / np.mean(want**2))
            other = Type.Q4_0 if kind == Type.Q4_K else Type.Q5_0
            rival = quants.dequantize(quants.quantize(want, other), other)
            bound = np.sqrt(np.mean((rival.reshape(want.shape) - want)**2) /
                            np.mean(want**2))
            assert error < bound, (tensor.name, error, bound)
            worst[kind.name] = max(worst.get(kind.name, 0), float(error))
        seen += 1
    left = [n for n in weights if n not in used and not (
        config.get("tie_word_embeddings") and n == "lm_head.weight")]
    assert not left, left

    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    for text, index in tokenizer["model"]["vocab"].items():
        assert tokens[index] == text, (index, text, tokens[index])
    for added in tokenizer.get("added_tokens", []):
        assert tokens[added["id"]] == added["content"], added
    merges = [m if isinstance(m, str) else " ".join(m)
              for m in tokenizer["model"].get("merges", [])]
    stored = reader.fields["tokenizer.ggml.merges"]
    assert (stored.contents() or []) == merges
    print(f"{seen} tensors, {len(tokens)} tokens, {len(merges)} merges agree",
          {k: round(v, 4) for k, v in worst.items()} or "")


if __name__ == "__main__":
    main()
