"""Reward functions as TRL and verl call them. Nothing here knows of Ponder:

    reward {
      verifier {
        name: "last_line"
        python: "examples/verifiers/python/rewards.py:last_line"
      }
    }
"""


def _text(completion):
    """TRL gives the messages of a conversation, or else a plain text."""
    if isinstance(completion, str):
        return completion
    return completion[0]["content"]


def last_line(prompts, completions, completion_ids, answer, **kwargs):
    """TRL: right if the last line is the gold answer. A row without one is left
    out of the reward."""
    scores = []
    for completion, gold in zip(completions, answer):
        lines = _text(completion).strip().splitlines() or [""]
        scores.append(float(lines[-1].strip() == gold) if gold else None)
    return scores


async def brevity(completion_ids, **kwargs):
    """TRL, asynchronous: 1 for an empty response, towards 0 for a long one."""
    return [100 / (100 + len(ids)) for ids in completion_ids]


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    """verl: 1 for the right answer after "Answer:", 0.1 for any other there."""
    _, found, answer = solution_str.rpartition("Answer:")
    if not found:
        return 0.0
    right = answer.strip() == str(ground_truth)
    return {"score": 1.0 if right else 0.1, "acc": right}
