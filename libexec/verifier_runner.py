"""Runs a user's Python reward function for Ponder: JSON lines in, JSON lines
out, as docs/verifiers.md describes them for commands.

    python3 verifier_runner.py FILE.py:FUNCTION

The function is TRL's kind, called once with lists for a whole batch, or verl's,
called once a response; its parameters' names say which. Either may be async.
Python 3.9 or newer, nothing but its standard library.
"""

import asyncio
import importlib.util
import inspect
import json
import math
import os
import sys
import traceback

TRL_PARAMETERS = ("prompts", "completions", "completion_ids")
VERL_PARAMETERS = ("data_source", "solution_str", "ground_truth", "extra_info")


class LoadError(Exception):
    """Its text is a sentence for the user."""


def take_over_channel():
    """The channel as two binary files. What the function prints goes to
    standard error from now on, and it reads nothing."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    # A process that dies has printed its whole lines.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.stderr.reconfigure(errors="backslashreplace")
    return requests, answers


def send(answers, message):
    text = json.dumps(message)  # ASCII; a lone surrogate becomes "\udc80".
    answers.write(text.encode() + b"\n")


def clean(text):
    """`text` without lone surrogates, which JSON parsers refuse."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


def last_line(error):
    """What Python writes last of an error: "ValueError: no"."""
    lines = traceback.format_exception_only(type(error), error)
    return clean(lines[-1].strip())


def describe(error, path):
    """The error and where in the user's file it came from."""
    text = last_line(error)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == path:
            return f"{text} ({os.path.basename(path)}:{frame.lineno})"
    return text


def load(spec):
    path, _, name = spec.rpartition(":")
    if not os.path.isfile(path):
        raise LoadError(f"{path}: there is no such file (looked for in "
                        f"{os.getcwd()})")
    path = os.path.abspath(path)
    sys.path[0] = os.path.dirname(path)  # As if the file were the program.
    # Under the file's own name, for pickles and the like, unless that is taken.
    module_name = os.path.splitext(os.path.basename(path))[0]
    if module_name in sys.modules:
        module_name = "ponder_verifier_" + module_name
    module_spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except BaseException as error:
        traceback.print_exc()
        raise LoadError(f"{path}: {describe(error, path)}")
    function = getattr(module, name, None)
    if not callable(function):
        found = sorted(
            key for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module_name)
        raise LoadError(f"{path} has no function {name}; it has "
                        f"{', '.join(found) or 'none'}")
    return function, path


class TrlFunction:
    """f(prompts, completions, completion_ids, **columns) -> list[float|None]"""

    takes_batches = True

    def __init__(self, function, parameters):
        self._function = function
        self._names = {p.name for p in parameters}
        self._takes_all = any(
            p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)

    def __call__(self, batch, run):
        arguments = {
            "prompts": [self._prompt(sample) for sample in batch],
            "completions": [self._completion(sample) for sample in batch],
            "completion_ids": [s["response_ids"] for s in batch],
        }
        columns = [{
            "id": sample["problem_id"],
            "answer": sample["answer"],
            **sample["row"]
        } for sample in batch]
        for name in {name: None for column in columns for name in column}:
            if name not in TRL_PARAMETERS:
                arguments[name] = [column.get(name) for column in columns]
        if not self._takes_all:
            arguments = {
                name: value
                for name, value in arguments.items() if name in self._names
            }
        scores = run(self._function(**arguments))
        if isinstance(scores, (str, bytes, dict)) or not hasattr(
                scores, "__iter__"):
            raise TypeError(f"it returned {type(scores).__name__}; wanted a "
                            "list with a score for each completion")
        scores = list(scores)
        if len(scores) != len(batch):
            # Which score belongs to which completion nobody can tell.
            return [Unscorable(f"it returned {len(scores)} scores for "
                               f"{len(batch)} completions")] * len(batch)
        return scores

    @staticmethod
    def _prompt(sample):
        return sample["messages"] or sample["prompt"]

    @staticmethod
    def _completion(sample):
        if not sample["messages"]:
            return sample["response"]
        return [{"role": "assistant", "content": sample["response"]}]


class VerlFunction:
    """compute_score(data_source, solution_str, ground_truth, extra_info=None)
    -> float, or dict with "score" """

    takes_batches = False

    def __init__(self, function, parameters):
        self._function = function
        takes_all = any(
            p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        names = {p.name for p in parameters}
        self._names = [n for n in VERL_PARAMETERS if takes_all or n in names]

    def __call__(self, batch, run):
        sample, = batch
        row = sample["row"]
        reward_model = row.get("reward_model")
        if isinstance(reward_model, dict) and "ground_truth" in reward_model:
            ground_truth = reward_model["ground_truth"]
        else:
            ground_truth = row.get("ground_truth", sample["answer"])
        arguments = {
            "data_source": row.get("data_source"),
            "solution_str": sample["response"],
            "ground_truth": ground_truth,
            "extra_info": row.get("extra_info", {}),
        }
        score = run(self._function(**{n: arguments[n] for n in self._names}))
        if isinstance(score, dict):
            if "score" not in score:
                return [Unscorable('it returned a dict without "score"')]
            score = score["score"]
        return [score]


class Unscorable:
    def __init__(self, reason):
        self.reason = reason


def adapt(function, name):
    parameters = list(inspect.signature(function).parameters.values())
    names = [p.name for p in parameters]
    if "solution_str" in names:
        return VerlFunction(function, parameters)
    if any(name in names for name in TRL_PARAMETERS):
        return TrlFunction(function, parameters)
    raise LoadError(
        f"{name}({', '.join(names)}) is neither TRL's kind of function, which "
        f"has a parameter named {', '.join(TRL_PARAMETERS[:-1])} or "
        f"{TRL_PARAMETERS[-1]}, nor verl's, which has solution_str")


class Scorer:
    def __init__(self, function, path):
        self._function = function
        self._path = path
        self._pid = os.getpid()
        self._loop = None  # One for all batches: clients stay bound to it.

    def score(self, batch):
        """One answer a sample. A batch that raises an error is taken apart, so
        that one sample does not spoil the others."""
        scores = None
        if len(batch) == 1 or self._function.takes_batches:
            try:
                scores = self._function(batch, self._run)
            except BaseException as error:  # sys.exit() too.
                if len(batch) == 1:
                    traceback.print_exc()
                    scores = [Unscorable(describe(error, self._path))]
        if os.getpid() != self._pid:
            os._exit(0)  # A child that the function made and did not end.
        if scores is None:
            return [self.score([sample])[0] for sample in batch]
        return [self._answer(*pair) for pair in zip(batch, scores)]

    def _run(self, result):
        if not inspect.isawaitable(result):
            return result
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(self._await(result))

    @staticmethod
    async def _await(result):
        return await result

    @staticmethod
    def _answer(sample, score):
        answer = {"id": sample["id"], "score": None}
        if isinstance(score, Unscorable):
            answer["reason"] = score.reason
        elif score is None:
            answer["reason"] = "it returned None"
        elif isinstance(score, (str, bytes)):
            answer["reason"] = f"it returned {clean(repr(score))[:200]}, a text"
        else:
            try:  # Numbers of NumPy and PyTorch too.
                number = float(score)
            except Exception:
                answer["reason"] = f"it returned {clean(repr(score))[:200]}"
            else:
                if math.isfinite(number):
                    answer["score"] = number
                else:
                    answer["reason"] = f"it returned {number}"
        return answer


def main():
    requests, answers = take_over_channel()
    spec = sys.argv[1]
    del sys.argv[1:]
    try:
        function, path = load(spec)
        scorer = Scorer(adapt(function, spec.rpartition(":")[2]), path)
    except LoadError as error:
        send(answers, {"error": clean(error)})
        answers.flush()
        return
    send(answers, {"ready": True})
    answers.flush()
    batch = []
    for line in requests:
        sample = json.loads(line)
        batch.append(sample)
        if sample["remaining"] > 0:
            continue
        for answer in scorer.score(batch):
            send(answers, answer)
        answers.flush()
        batch = []


if __name__ == "__main__":
    main()
