"""Writes a run's folder with made-up samples, for tests and measurements of
`ponder view`.

    view_samples.py FOLDER [SAMPLES] [TOKENS]

Samples (64 by default, 8 a group, 4 groups a step) of about TOKENS tokens, with
texts that try to be markup.
"""

import json
import pathlib
import random
import sys

ATTACK = ("<script>document.title='gone'</script>"
          "<img src=x onerror=\"document.title='gone'\">")


def response(rng, answer, tokens):
    words = [f" {rng.randrange(100)} + {rng.randrange(100)} is"
             f" {rng.randrange(200)}," for _ in range(max(1, tokens // 8))]
    text = f"<think>Let me add{''.join(words)} so it is"
    text += f" {answer}.</think>\nThe answer is \\boxed{{{answer}}}."
    if rng.random() < 0.2:
        text += ATTACK
    return text


def sample(rng, step, group, number, tokens):
    problem = (step * 4 + group) % 20
    gold = 17 + problem
    skill = min(0.9, 0.1 + step / 30)
    kind = rng.random()
    verdict = ("UNSCORABLE" if kind < 0.03 else
               "CORRECT" if rng.random() < skill else "WRONG")
    cut = kind > 0.95
    answer = gold if verdict == "CORRECT" else gold + rng.randrange(1, 9)
    text = response(rng, answer, tokens)
    if cut:
        text, verdict = text[:len(text) // 2], "WRONG"
    pieces = []
    at = 0
    while at < len(text):
        length = min(len(text) - at, rng.choice((1, 2, 3, 4, 5)))
        pieces.append(length)
        at += length
    right = float(verdict == "CORRECT")
    well_formed = float(not cut)
    reasons = {"CORRECT": f"{answer} is {gold}",
               "WRONG": f"{answer} is not {gold}" if not cut else
                        "cut at the token limit, no answer was found",
               "UNSCORABLE": "the gold answer cannot be read"}
    return {
        "step": step, "group": group, "sample": number, "data_set": "sums",
        "problem": f"sums/{problem}", "verdict": verdict,
        "reward": None if verdict == "UNSCORABLE" else
                  right + 0.2 * well_formed,
        "finish_reason": "length" if cut else "stop", "tokens": len(pieces),
        "extracted": "" if cut else str(answer),
        "components": {"accuracy": None if verdict == "UNSCORABLE" else right,
                       "format": well_formed},
        "weights": {"accuracy": 1, "format": 0.2},
        "reason": reasons[verdict], "answer": str(gold),
        "thought_opened": False,
        "prompt": f"Add {problem} and 17. Think between <think> and </think>.",
        "response": text, "token_bytes": pieces,
        "logprobs": [round(-rng.expovariate(2), 4) for _ in pieces]}


def main():
    folder = pathlib.Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    tokens = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    (folder / "samples").mkdir(parents=True)
    (folder / "config.textproto").write_text('name: "made-up"\n')
    rng = random.Random(1)
    with open(folder / "samples" / "grpo.jsonl", "w") as out:
        for i in range(count):
            line = sample(rng, 1 + i // 32, i // 8 % 4, i % 8, tokens)
            out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
