"""Reward functions of PyPI's trl, as they are. They read `completion[0]
["content"]`, so the rows' prompts must be messages, and accuracy_reward wants a
column named solution.

    python3 -m venv venv
    venv/bin/pip install trl math-verify

    reward {
      component { name: "solved" }
      component { name: "thinks" weight: 0.1 }
      component { name: "overlong" weight: 0.5 }
      verifier {
        name: "solved"
        python: "examples/verifiers/python/trl_rewards.py:accuracy_reward"
        interpreter: "venv/bin/python"
      }
      verifier {
        name: "thinks"
        python: "examples/verifiers/python/trl_rewards.py:think_format_reward"
        interpreter: "venv/bin/python"
      }
      verifier {
        name: "overlong"
        python: "examples/verifiers/python/trl_rewards.py:soft_overlong"
        interpreter: "venv/bin/python"
      }
    }
"""

from trl.rewards import accuracy_reward  # Needs math-verify.
from trl.rewards import get_soft_overlong_punishment
from trl.rewards import think_format_reward

# Functions that are made with options are made here.
soft_overlong = get_soft_overlong_punishment(
    max_completion_len=100, soft_punish_cache=20)

__all__ = ["accuracy_reward", "think_format_reward", "soft_overlong"]
