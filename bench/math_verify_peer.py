"""Times PyPI's math-verify on a file of cases, in a process of its own and with
its imports excluded: the peer of math_verify_bench.

    PYTHON bench/math_verify_peer.py CASES.jsonl

Every case is parsed and verified once, as a trainer does, with the settings
that the case names; strings are not seen before. Prints one JSON object.
"""

import json
import logging
import sys
import time

from math_verify import (ExprExtractionConfig, LatexExtractionConfig,
                         StringExtractionConfig, parse, verify)

WARM_UP = 24  # Cases of no file, so that lazy imports are done.


def configs(words):
    out = []
    for word in words:
        name = word["type"] if isinstance(word, dict) else word
        if name == "latex":
            priority = word.get("boxed_match_priority", 0) if isinstance(
                word, dict) else 0
            out.append(LatexExtractionConfig(boxed_match_priority=priority))
        elif name == "latex50":
            out.append(LatexExtractionConfig())
        elif name == "expr":
            out.append(ExprExtractionConfig())
        elif name == "string":
            out.append(StringExtractionConfig())
    return out


def text_and_configs(text, words):
    found = configs(words)
    if found:
        return text, found
    # A bare answer stands for a boxed one.
    return "\\boxed{" + text + "}", [
        LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]


def judge(case):
    params = case.get("params", {})
    gold, gold_configs = text_and_configs(case["gold"], case["gold_config"])
    pred, pred_configs = text_and_configs(case["pred"], case["pred_config"])
    return verify(
        parse(gold, gold_configs), parse(pred, pred_configs),
        float_rounding=params.get("float_rounding", 6),
        numeric_precision=params.get("numeric_precision", 15),
        strict=params.get("strict", True))


def main():
    logging.disable(logging.CRITICAL)
    cases = []
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            if (case.get("kind", "verify") == "verify"
                    and not case.get("adversarial")
                    and isinstance(case["gold"], str)
                    and isinstance(case["pred"], str)):
                cases.append(case)
    for k in range(WARM_UP):
        verify(parse(f"${k}x+{k + 1}$"), parse(f"\\boxed{{{k + 1}+{k}x}}"))
    seconds = []
    agree = 0
    for case in cases:
        start = time.perf_counter()
        try:
            correct = bool(judge(case))
        except Exception:  # What a trainer's wrapper counts as wrong.
            correct = False
        seconds.append(time.perf_counter() - start)
        agree += correct == bool(case.get("expected"))
    seconds.sort()
    print(json.dumps({
        "cases": len(cases),
        "agree": agree,
        "seconds": sum(seconds),
        "mean_us": 1e6 * sum(seconds) / len(seconds),
        "p50_us": 1e6 * seconds[len(seconds) // 2],
        "p99_us": 1e6 * seconds[len(seconds) * 99 // 100],
    }))


if __name__ == "__main__":
    main()
