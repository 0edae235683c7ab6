"""Compares a tiny run with the peers themselves, where they are installed.

    live.py PONDER PYTHON

PYTHON is the interpreter of the environment that scripts/setup-parity makes.
Trains a tiny policy for a few steps with PONDER, then lets TensorBoard's own
reader read the event file (every scalar must be that of metrics.jsonl; texts,
histograms, hyper-parameters), its server show it, in headless Chromium where
that is installed, and transformers read the exported folder (logits within 1e-4
of `ponder score`), and the same for an export of every golden policy.
Exits with 77, "skipped", where PYTHON does not exist.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import browser  # noqa: E402

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
stage {{ evaluate: false grpo {{ steps: 2 prompts_per_step: 2 samples_per_prompt: 2 }} }}
"""


def check_events(python, run):
    text = subprocess.run([python, HERE / "read_events.py", run], check=True,
                          capture_output=True, text=True).stdout
    events = json.loads(text)
    check_rest(events)
    scalars = events["scalars"]
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


def check_rest(events):
    samples = events["texts"]["samples/text_summary"]
    assert [step for step, _ in samples] == [6, 7], samples
    assert "**response**" in samples[0][1][0]
    assert list(events["histograms"]) == ["response_length"]
    hparams = events["hparams"]["hparams"]
    assert hparams["name"] == "run"
    assert hparams["policy.architecture.hidden_size"] == 64
    assert hparams["stage[1]:sft.optimizer.learning_rate"] == 1e-3
    assert hparams["stage[2]:grpo.kl_in_reward"] is False
    assert "critic/rewards/mean" in events["hparams"]["metrics"]
    assert events["hparams"]["status"] == 1
    print(f"TensorBoard read {len(hparams)} hyper-parameters and the texts")


def fetch(url, body=None):
    request = urllib.request.Request(
        url, data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def check_server(python, folder):
    """TensorBoard itself, by what it sends to its page and what that shows."""
    server = subprocess.Popen(
        [python, "-m", "tensorboard.main", "--logdir", folder, "--host",
         "127.0.0.1", "--port", "0"],
        stderr=subprocess.PIPE, text=True)
    try:
        url = None
        for line in server.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            if found:
                url = found[0]
                break
        assert url, "TensorBoard has not started"
        # What it has read grows until the run is there.
        for _ in range(600):
            if fetch(url + "data/plugin/scalars/tags"):
                break
        scalars = fetch(url + "data/plugin/scalars/tags")["run"]
        about = scalars["critic/rewards/mean"]["description"]
        assert "weighted sum of the components" in about, about
        assert "samples/text_summary" in fetch(
            url + "data/plugin/text/tags")["run"]
        groups = fetch(url + "data/plugin/hparams/session_groups", {
            "experimentName": "", "startIndex": 0, "sliceSize": 10,
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_RUNNING",
                                "STATUS_UNKNOWN", "STATUS_FAILURE"],
            "colParams": []})["sessionGroups"]
        assert len(groups) == 1, groups
        assert groups[0]["hparams"]["name"] == "run", groups[0]["hparams"]
        assert groups[0]["sessions"][0]["status"] == "STATUS_SUCCESS"
        print("TensorBoard's server has scalars, texts and hyper-parameters")
        if browser.find() is None:
            print("skipped: Chromium is not there; scripts/setup-browser "
                  "installs it")
            return
        page = browser.dom(url + "#timeseries", wait_ms=30000)
        for wanted in ("critic", "mean", "response_length"):
            assert wanted in page, f"TensorBoard's page lacks {wanted}"
        print("Chromium shows TensorBoard's page with the run's curves")
    finally:
        server.terminate()
        server.wait()


def check_export(ponder, python, run):
    texts = run / "texts.jsonl"
    texts.write_text(json.dumps({"text": "Compute 12 + 7.\n<think>12"}) + "\n")
    logits = run / "logits.safetensors"
    subprocess.run([ponder, "score", run / "export", "--in", texts,
                    "--logits", logits], check=True, capture_output=True)
    subprocess.run([python, HERE / "check_hf_export.py", run / "export",
                    "--reference", logits], check=True)


def check_families(ponder, python, folder):
    """Every family's golden policy, exported and loaded by transformers."""
    ids = folder / "ids.jsonl"
    ids.write_text(json.dumps({"ids": [7 * i % 256 for i in range(1, 49)]}))
    for policy in sorted((HERE / "golden/models").iterdir()):
        export = folder / policy.name
        logits = folder / f"{policy.name}.safetensors"
        subprocess.run([ponder, "export", policy, "--out", export],
                       check=True, capture_output=True)
        subprocess.run([ponder, "score", export, "--in", ids,
                        "--logits", logits], check=True, capture_output=True)
        subprocess.run([python, HERE / "check_hf_export.py", export,
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
        check_server(python, folder)
        check_export(ponder, python, run)
        check_families(ponder, python, pathlib.Path(folder))


if __name__ == "__main__":
    main()
