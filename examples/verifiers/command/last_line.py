"""A verifier as a command: reads JSON lines, writes JSON lines.

    reward {
      verifier {
        name: "last_line"
        command: "python3 examples/verifiers/command/last_line.py"
      }
    }

Right is a response whose last line is the gold answer.
"""

import json
import sys


def score(request):
    if not request["answer"]:
        return {"score": None, "reason": "the row has no answer"}
    lines = request["response"].strip().splitlines() or [""]
    return {"score": float(lines[-1].strip() == request["answer"])}


print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"], **score(request)}
    # Once for a batch is enough; "remaining" more requests come with this one.
    print(json.dumps(answer), flush=request["remaining"] == 0)
