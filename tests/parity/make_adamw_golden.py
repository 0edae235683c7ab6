"""golden/adamw.json: AdamW steps in float64, by NumPy's own formula, checked with
torch.optim.AdamW before anything is written.

params after each step, from given grads; `grad_norm` is the norm over all
params before clipping.
"""

import json
import pathlib

import numpy as np
import torch

OUT = pathlib.Path(__file__).parent / "golden" / "adamw.json"


def adamw(case):
    """Yields (grad norm, params) after each step."""
    beta1, beta2 = case["betas"]
    params = [np.array(p) for p in case["params"]]
    m = [np.zeros_like(p) for p in params]
    v = [np.zeros_like(p) for p in params]
    for t, (lr, grads) in enumerate(zip(case["lr"], case["grads"]), start=1):
        grads = [np.array(g) for g in grads]
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        if case["max_grad_norm"] is not None:
            scale = min(1.0, case["max_grad_norm"] / (norm + 1e-6))
            grads = [scale * g for g in grads]
        for i, g in enumerate(grads):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            m_hat = m[i] / (1 - beta1**t)
            v_hat = v[i] / (1 - beta2**t)
            params[i] = (params[i] * (1 - lr * case["weight_decay"]) -
                         lr * m_hat / (np.sqrt(v_hat) + case["eps"]))
        yield norm, [p.copy() for p in params]


def torch_adamw(case):
    params = [torch.tensor(p, dtype=torch.float64, requires_grad=True)
              for p in case["params"]]
    optimizer = torch.optim.AdamW(params, lr=1.0, betas=tuple(case["betas"]),
                                  eps=case["eps"],
                                  weight_decay=case["weight_decay"])
    for lr, grads in zip(case["lr"], case["grads"]):
        optimizer.param_groups[0]["lr"] = lr
        for p, g in zip(params, grads):
            p.grad = torch.tensor(g, dtype=torch.float64)
        limit = case["max_grad_norm"]
        norm = torch.nn.utils.clip_grad_norm_(
            params, float("inf") if limit is None else limit)
        optimizer.step()
        yield norm.item(), [p.detach().numpy().copy() for p in params]


def make_adamw():
    rng = np.random.default_rng(1)
    settings = {
        "plain": dict(lr=[1e-2] * 3, weight_decay=0.0, max_grad_norm=None),
        "weight decay": dict(lr=[1e-2] * 3, weight_decay=0.1,
                             max_grad_norm=None),
        "clipped": dict(lr=[1e-3] * 3, weight_decay=0.01, max_grad_norm=0.5),
        "warm-up, not clipped": dict(lr=[1e-4, 2e-4, 3e-4], weight_decay=0.01,
                                     max_grad_norm=100.0),
    }
    cases = []
    for name, setting in settings.items():
        case = {"name": name, "betas": [0.9, 0.999], "eps": 1e-8, **setting,
                "params": [rng.standard_normal((3, 2)).tolist(),
                           rng.standard_normal(4).tolist()],
                "grads": [[rng.standard_normal((3, 2)).tolist(),
                           rng.standard_normal(4).tolist()]
                          for _ in range(3)],
                "grad_norm": [], "params_after": []}
        for ours, theirs in zip(adamw(case), torch_adamw(case)):
            np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
            for a, b in zip(ours[1], theirs[1]):
                np.testing.assert_allclose(a, b, rtol=1e-12)
            case["grad_norm"].append(ours[0])
            case["params_after"].append([p.tolist() for p in ours[1]])
        cases.append(case)
    return cases


def main():
    golden = {
        "made_by": f"numpy {np.__version__}, torch {torch.__version__}",
        "adamw": make_adamw(),
    }
    OUT.write_text(json.dumps(golden, indent=1, allow_nan=False) + "\n")
    print({k: len(v) for k, v in golden.items() if k != "made_by"})


if __name__ == "__main__":
    main()
