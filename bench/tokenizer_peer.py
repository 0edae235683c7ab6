"""Times PyPI's tokenizers on one thread: the peer of tokenizer_bench.

    PYTHON bench/tokenizer_peer.py TOKENIZER.json TEXTS.json ROUNDS

Prints one JSON object: ids, and seconds of the fastest round.
"""

import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402  Reads the environment.


def main():
    tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
    with open(sys.argv[2], encoding="utf-8") as file:
        texts = json.load(file)
    seconds = []
    for _ in range(int(sys.argv[3])):
        start = time.perf_counter()
        num_ids = 0
        for text in texts:
            num_ids += len(
                tokenizer.encode(text, add_special_tokens=False).ids)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"version": tokenizers.__version__, "ids": num_ids,
                      "seconds": min(seconds)}))


if __name__ == "__main__":
    main()
