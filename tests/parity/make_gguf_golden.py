"""Writes golden/gguf.json: rows of numbers with the bytes that PyPI's gguf
quantises them to, and K-quant blocks with the numbers that it reads in them.

    python3 -m venv V && V/bin/pip install gguf==0.19.0
    V/bin/python tests/parity/make_gguf_golden.py
"""

import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

OUT = pathlib.Path(__file__).parent / "golden" / "gguf.json"


def hexed(array):
    return np.ascontiguousarray(array).tobytes().hex()


def main():
    random = np.random.default_rng(20261123)
    rows = [
        random.standard_normal(256),
        random.standard_normal(256) * 1e-3,
        random.uniform(-1, 1, 256) * 100,
        np.zeros(256),
        np.linspace(-3, 5, 256),
        np.where(random.random(256) < 0.05, 8.0, random.standard_normal(256)),
    ]
    golden = {"rows": [], "blocks": []}
    for row in rows:
        row = row.astype(np.float32)
        quantised = {
            name: hexed(quants.quantize(row[None], Type[name]))
            for name in ("F16", "BF16", "Q8_0", "Q4_0")
        }
        golden["rows"].append({"numbers": hexed(row), "bytes": quantised})
    for name, size in (("Q4_K", 144), ("Q6_K", 210)):
        for _ in range(3):
            block = random.integers(0, 256, size, dtype=np.uint8)
            scale = np.array([0.0123, 0.045], np.float16).view(np.uint8)
            if name == "Q4_K":
                block[:4] = scale
            else:
                block[-2:] = scale[:2]
            numbers = quants.dequantize(block[None], Type[name])[0]
            golden["blocks"].append({
                "type": name,
                "bytes": hexed(block),
                "numbers": hexed(numbers.astype(np.float32)),
            })
    OUT.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
