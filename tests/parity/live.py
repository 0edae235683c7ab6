"""Compares a tiny run with the peers themselves, where they are installed.

    live.py PONDER PYTHON

PYTHON is the interpreter of the environment that scripts/setup-parity makes.
Trains a tiny policy for a few steps with PONDER, then lets TensorBoard's own
reader read the event file (every scalar must be that of metrics.jsonl) and
transformers the exported folder (logits within 1e-4 of `ponder score`).
Exits with 77, "skipped", where PYTHON does not exist.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent

CONFIG = """
name: "run"
runs_dir: "{folder}"
policy {{
  init: RANDOM
  architecture {{
    hidden_size: 64 intermediate_size: 96 num_hidden_layers: 2
    max_position_embeddings: 256 initializer_range: 0.1
  }}
}}
prompt {{ template: "{{prompt}}\\n" max_prompt_tokens: 96 max_response_tokens: 96 }}
data {{ path: "$RUN/data/sums.jsonl" }}
stage {{ data {{ set {{ task: "chain_sum" path: "$RUN/data/sums.jsonl" count: 64 }} }} }}
stage {{ evaluate: false sft {{ steps: 5 batch_size: 8 optimizer {{ learning_rate: 1e-3 }} }} }}
"""


def check_events(python, run):
    text = subprocess.run([python, HERE / "read_events.py", run], check=True,
                          capture_output=True, text=True).stdout
    scalars = json.loads(text)["scalars"]
    wanted = 0
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for name, value in row.items():
            if name in ("step", "time", "stage"):
                continue
            wanted += 1
            got = dict(map(tuple, scalars[name]))[row["step"]]
            assert abs(got - value) <= 1e-6 * abs(value) + 1e-12, (name, got,
                                                                   value)
    assert wanted >= 25, wanted
    print(f"TensorBoard read {wanted} scalars as they were written")


def check_export(ponder, python, run):
    texts = run / "texts.jsonl"
    texts.write_text(json.dumps({"text": "Compute 12 + 7.\n<think>12"}) + "\n")
    logits = run / "logits.safetensors"
    subprocess.run([ponder, "score", run / "export", "--in", texts,
                    "--logits", logits], check=True, capture_output=True)
    subprocess.run([python, HERE / "check_hf_export.py", run / "export",
                    "--reference", logits], check=True)


def main():
    ponder, python = sys.argv[1:]
    if not pathlib.Path(python).exists():
        print(f"skipped: {python} is not there; scripts/setup-parity makes it")
        raise SystemExit(77)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "config.textproto"
        config.write_text(CONFIG.format(folder=folder))
        subprocess.run([ponder, "train", "--config", config], check=True,
                       capture_output=True)
        run = pathlib.Path(folder) / "run"
        check_events(python, run)
        check_export(ponder, python, run)


if __name__ == "__main__":
    main()
