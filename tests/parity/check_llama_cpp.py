"""Opens GGUF files that Ponder exports with llama.cpp and compares what it computes.

    scripts/setup-llama-cpp
    ~/.cache/ponder/llama-cpp/bin/python tests/parity/check_llama_cpp.py PONDER

For each family: logits of the F32 file with those of transformers (golden/
models), within 1e-4, and the most probable token where the first is 1e-3 ahead
of the second. For each tokenizer: ids of the texts of golden/tokenizers. For
each quantised type: the error of each tensor against the F32 file, which is at
most that of llama.cpp's own quantiser.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

import gguf
import llama_cpp
import numpy as np
from safetensors.numpy import load_file, save_file

GOLDEN = pathlib.Path(__file__).parent / "golden"
REFUSED = {  # What llama.cpp can't compute.
    "deepseek2": "experts in groups",
    "deepseek3_plain": "attention_bias",
    "llama_dynamic": "rope type dynamic",
    "qwen3moe": "layers without experts",
}
QUANTISED = {"q8_0": 7, "q4_0": 2, "q4_k_m": 15}  # llama.cpp's numbers.


@contextlib.contextmanager
def quiet():
    """llama.cpp writes to the terminal whatever it is told."""
    with open(os.devnull, "w") as null:
        saved = os.dup(2)
        os.dup2(null.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def export(ponder, folder, kind, out):
    """None, or why Ponder refuses."""
    done = subprocess.run(
        [ponder, "export", folder, "--format", "gguf", "--type", kind, "--out",
         out], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.strip()


def write_byte_tokenizer(folder):
    """One of 256 bytes, as many as these models have tokens."""
    tokenizer = json.loads((GOLDEN / "tokenizers/bytes.json").read_text())
    tokenizer["added_tokens"] = []
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def check_logits(ponder, tmp):
    for model in sorted((GOLDEN / "models").iterdir()):
        name = model.name
        folder = tmp / name
        folder.mkdir()
        for file in ("config.json", "model.safetensors"):
            (folder / file).symlink_to((model / file).resolve())
        write_byte_tokenizer(folder)
        config = json.loads((model / "config.json").read_text())
        out = tmp / f"{name}.gguf"
        why = export(ponder, folder, "f32", out)
        if name in REFUSED:
            assert why and REFUSED[name] in why, (name, why)
            print(f"{name}: refused, as it must be")
            continue
        assert why is None, why
        reference = load_file(model / "reference.safetensors")
        ids = reference["input_ids"].reshape(-1).tolist()
        want = reference["logits"].reshape(len(ids), config["vocab_size"])
        with quiet():
            llama = llama_cpp.Llama(
                str(out), n_ctx=256, n_batch=256, logits_all=True,
                verbose=False, type_k=0, type_v=0)
            llama.eval(ids)
            got = np.array(llama.scores[:len(ids)])
            llama.close()
        error = np.abs(got - want).max()
        top = np.sort(want, axis=1)
        clear = top[:, -1] - top[:, -2] > 1e-3
        same = got.argmax(1) == want.argmax(1)
        print(f"{name}: {len(ids)} tokens, logits differ by at most "
              f"{error:.1e}, argmax agrees on {same[clear].sum()} of the "
              f"{clear.sum()} that are clear", flush=True)
        assert error < 1e-4 and same[clear].all(), name


def tiny_llama(folder, vocabulary):
    """A llama whose only use is to have a tokenizer of so many tokens."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": 32,
        "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "tie_word_embeddings": True}))
    layer = "model.layers.0."
    shapes = {"model.embed_tokens": [vocabulary, 32], "model.norm": [32],
              layer + "input_layernorm": [32],
              layer + "post_attention_layernorm": [32],
              layer + "self_attn.q_proj": [32, 32],
              layer + "self_attn.k_proj": [16, 32],
              layer + "self_attn.v_proj": [16, 32],
              layer + "self_attn.o_proj": [32, 32],
              layer + "mlp.gate_proj": [32, 32],
              layer + "mlp.up_proj": [32, 32],
              layer + "mlp.down_proj": [32, 32]}
    save_file({f"{name}.weight": np.ones(shape, np.float32)
               for name, shape in shapes.items()},
              folder / "model.safetensors")


def sentencepiece_merges(tokenizer):
    """All ways to make each token, in the order of the tokens: as the files
    have them that were converted from SentencePiece's."""
    vocab = tokenizer["model"]["vocab"]
    merges = []
    for token, _ in sorted(vocab.items(), key=lambda item: item[1]):
        if token.startswith("<0x"):
            continue
        ways = [(token[:k], token[k:]) for k in range(1, len(token))
                if token[:k] in vocab and token[k:] in vocab]
        merges += sorted(ways, key=lambda way: (vocab[way[0]], vocab[way[1]]))
    tokenizer["model"]["merges"] = [list(way) for way in merges]


def may_differ(name, tokenizer, text):
    """What llama.cpp can't do, or does otherwise: docs/formats.md says so."""
    if name.startswith("qwen"):  # It does not normalize.
        return unicodedata.normalize("NFC", text) != text
    if name == "deepseek-v2":  # It does not split by \\s+$ in such a text.
        return any(c.isspace() and ord(c) > 127 for c in text)
    if name == "mistral":  # It puts a space before each part, always.
        return text.startswith((" ", "\u2581")) or any(
            token["content"] in text for token in tokenizer["added_tokens"])
    return False


def check_tokenizers(ponder, tmp):
    texts = json.loads((GOLDEN / "tokenizers" / "texts.json").read_text())
    for name in ("gpt2", "qwen2.5", "qwen3", "llama3", "deepseek",
                 "deepseek-v2", "llama2", "mistral"):
        path = GOLDEN / "tokenizers" / f"{name}.json"
        tokenizer = json.loads(path.read_text())
        if tokenizer["model"].get("byte_fallback"):
            sentencepiece_merges(tokenizer)
        for token in tokenizer["added_tokens"]:  # GGUF has none of these.
            token |= dict.fromkeys(("lstrip", "rstrip", "single_word"), False)
        ids = list(tokenizer["model"]["vocab"].values())
        ids += [token["id"] for token in tokenizer["added_tokens"]]
        folder = tmp / f"tokenizer_{name}"
        tiny_llama(folder, max(ids) + 1)
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        out = tmp / f"tokenizer_{name}.gguf"
        why = export(ponder, folder, "f32", out)
        assert why is None, why
        lines = tmp / "texts.jsonl"
        lines.write_text("".join(
            json.dumps({"text": text}) + "\n" for text in texts))
        want = subprocess.run([ponder, "tokenize", folder, "--in", lines],
                              stdout=subprocess.PIPE, check=True).stdout
        want = [json.loads(line)["ids"] for line in want.splitlines()]
        assert len(want) == len(texts)
        with quiet():
            llama = llama_cpp.Llama(str(out), vocab_only=True, verbose=False)
            got = [llama.tokenize(text.encode(), add_bos=False, special=True)
                   for text in texts]
            llama.close()
        differ = [k for k in range(len(texts)) if got[k] != want[k]]
        print(f"{name}: {len(texts) - len(differ)} of {len(texts)} texts "
              "have the same ids", flush=True)
        for k in differ:
            assert may_differ(name, tokenizer, texts[k]), (
                texts[k], want[k], got[k])


def random_model(folder, config, seed):
    """Weights with rows of 256 numbers and more, as K-quants want."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    write_byte_tokenizer(folder)
    rng = np.random.default_rng(seed)
    names = {"model.embed_tokens": (256, 256), "lm_head": (256, 256)}
    for k in range(config["num_hidden_layers"]):
        layer = f"model.layers.{k}."
        names |= {layer + "self_attn.q_proj": (256, 256),
                  layer + "self_attn.k_proj": (128, 256),
                  layer + "self_attn.v_proj": (128, 256),
                  layer + "self_attn.o_proj": (256, 256)}
        mlps = ["mlp."]
        if config["model_type"] == "qwen3_moe":
            mlps = [f"mlp.experts.{e}." for e in range(config["num_experts"])]
            names[layer + "mlp.gate"] = (config["num_experts"], 256)
        for mlp in mlps:
            names |= {layer + mlp + "gate_proj": (512, 256),
                      layer + mlp + "up_proj": (512, 256),
                      layer + mlp + "down_proj": (256, 512)}
    tensors = {}
    for name, shape in names.items():
        # Heavy tails in some rows, as trained matrices have them.
        scale = np.exp(rng.normal(-4, 0.5, (shape[0], 1)))
        tensors[name + ".weight"] = (
            rng.standard_t(5, shape) * scale).astype(np.float32)
    norms = ["model.norm"]
    for k in range(config["num_hidden_layers"]):
        layer = f"model.layers.{k}."
        norms += [layer + "input_layernorm", layer + "post_attention_layernorm"]
        if config["model_type"] == "qwen3_moe":
            for norm in ("q_norm", "k_norm"):
                tensors[f"{layer}self_attn.{norm}.weight"] = np.ones(
                    64, np.float32)
    for name in norms:
        tensors[name + ".weight"] = np.ones(256, np.float32)
    save_file(tensors, folder / "model.safetensors")


def values(path):
    return {tensor.name: (tensor.tensor_type.name, gguf.quants.dequantize(
        tensor.data, tensor.tensor_type).reshape(-1).astype(np.float64))
            for tensor in gguf.GGUFReader(path).tensors}


def check_quantisers(ponder, tmp):
    shape = {"vocab_size": 256, "hidden_size": 256, "intermediate_size": 512,
             "num_hidden_layers": 8, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 64,
             "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
             "rope_theta": 10000.0, "hidden_act": "silu",
             "tie_word_embeddings": False}
    experts = {"num_experts": 4, "num_experts_per_tok": 2,
               "moe_intermediate_size": 512, "norm_topk_prob": True,
               "mlp_only_layers": [], "decoder_sparse_step": 1}
    for seed, (name, config) in enumerate({
            "llama": shape | {"model_type": "llama"},
            "qwen3_moe": shape | experts | {"model_type": "qwen3_moe"},
    }.items()):
        folder = tmp / f"quantised_{name}"
        random_model(folder, config, seed)
        plain = tmp / f"quantised_{name}.gguf"
        assert export(ponder, folder, "f32", plain) is None
        want = values(plain)
        for kind, number in QUANTISED.items():
            ours = tmp / f"quantised_{name}_{kind}.gguf"
            why = export(ponder, folder, kind, ours)
            assert why is None, why
            theirs = tmp / f"quantised_{name}_{kind}_theirs.gguf"
            params = llama_cpp.llama_model_quantize_default_params()
            params.ftype = number
            with quiet():
                assert llama_cpp.llama_model_quantize(
                    str(plain).encode(), str(theirs).encode(),
                    ctypes.byref(params)) == 0
            a, b = values(ours), values(theirs)
            assert a.keys() == b.keys()
            total = [0.0, 0.0]
            worst = 0.0
            for tensor, (_, exact) in want.items():
                assert a[tensor][0] == b[tensor][0], (
                    kind, tensor, a[tensor][0], b[tensor][0])
                error, peer = (np.sum((x[tensor][1] - exact)**2)
                               for x in (a, b))
                total[0] += error
                total[1] += peer
                if peer > 0:
                    worst = max(worst, np.sqrt(error / peer))
                else:
                    assert error == 0, (kind, tensor)
            print(f"{name} {kind}: same types, error "
                  f"{np.sqrt(total[0] / total[1]):.4f} of llama.cpp's, the "
                  f"worst tensor {worst:.4f}", flush=True)
            assert worst <= 1.0 + 1e-6, (name, kind)


def main():
    ponder = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        tmp = pathlib.Path(folder)
        check_logits(ponder, tmp)
        check_quantisers(ponder, tmp)
        check_tokenizers(ponder, tmp)
    print("llama-cpp-python", llama_cpp.__version__)


if __name__ == "__main__":
    main()
