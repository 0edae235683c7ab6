"""PyPI's math-verify behind verl's kind of function.

    python3 -m venv venv
    venv/bin/pip install math-verify

    reward {
      verifier {
        name: "math_verify"
        python: "examples/verifiers/python/math_verify_score.py:compute_score"
        interpreter: "venv/bin/python"
      }
    }
"""

from math_verify import parse, verify


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    gold = parse(f"\\boxed{{{ground_truth}}}")
    if not gold:
        return None  # Not the response's fault: unscorable.
    return float(verify(gold, parse(solution_str)))
