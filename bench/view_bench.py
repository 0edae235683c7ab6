#!/usr/bin/env python3
"""Measures `ponder view` on a made-up run.

    bench/view_bench.py PONDER [SAMPLES] [TOKENS]

Writes SAMPLES samples (100,000) of about TOKENS tokens (300) and says how long
the start took, what memory the server has, and how long requests take: median
and worst of 50 each.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATHS = [
    "", "api/run", "api/steps?stage=grpo",
    "api/groups?stage=grpo&filter=all&limit=60",
    "api/groups?stage=grpo&filter=wrong_well_formed&limit=60",
    "api/groups?stage=grpo&filter=reward_fell&limit=60&from={last}",
    "api/group?stage=grpo&group=0", "api/group?stage=grpo&group={last}"]


def memory_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def measure(ponder, samples, tokens):
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        subprocess.run([sys.executable, ROOT / "tests" / "view_samples.py", run,
                        str(samples), str(tokens)], check=True)
        size = (run / "samples" / "grpo.jsonl").stat().st_size
        start = time.time()
        server = subprocess.Popen([ponder, "view", run, "--port", "0"],
                                  stdout=subprocess.PIPE, text=True)
        try:
            url = re.search(r"http://\S+/", server.stdout.readline())[0]
            print(f"{samples} samples, {size / 1e6:.0f} MB: start "
                  f"{time.time() - start:.2f} s, peak memory "
                  f"{memory_mib(server.pid):.1f} MiB")
            for path in PATHS:
                path = path.format(last=samples // 8 - 1)
                times = []
                for _ in range(50):
                    start = time.time()
                    body = urllib.request.urlopen(url + path).read()
                    times.append(1e3 * (time.time() - start))
                times.sort()
                print(f"  /{path}: {len(body)} bytes, median "
                      f"{times[25]:.1f} ms, worst {times[-1]:.1f} ms")
            print(f"  peak memory {memory_mib(server.pid):.1f} MiB")
        finally:
            server.terminate()
            server.wait()


def main():
    samples = int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    tokens = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    measure(sys.argv[1], 64, tokens)
    measure(sys.argv[1], samples, tokens)


if __name__ == "__main__":
    main()
