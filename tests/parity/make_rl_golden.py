"""golden/rl.json: advantages, policy losses and AdamW steps, in float64.

The formulas are NumPy's own here, so that they stand for themselves; gradients
are checked with finite differences and AdamW with torch.optim.AdamW before
anything is written.

advantages   rewards (null: unscorable) -> advantages, for one group.
policy_loss  flat packed tokens. Values where mask is 0 are traps: they must not
             leak, not even as NaN. `denominator` is given, as it counts the
             tokens of the whole update, of which this may be a part. `grad` is
             d loss / d logprobs. Fractions and means are over the mask.
adamw        params after each step, from given grads; `grad_norm` is the norm
             over all params before clipping.
"""

import json
import pathlib

import numpy as np
import torch

OUT = pathlib.Path(__file__).parent / "golden" / "rl.json"


def group_advantages(rewards, scale):
    """GRPO: (r - mean) / (std + 1e-6), std by Bessel; without the division it
    is Dr. GRPO. Unscorable samples have no part in mean and std and get 0; so
    does a sample that is alone."""
    scored = np.array([r is not None for r in rewards])
    values = np.array([0.0 if r is None else r for r in rewards])
    advantages = np.zeros(len(rewards))
    if scored.sum() >= 2:
        chosen = values[scored]
        centered = chosen - chosen.mean()
        advantages[scored] = (centered / (chosen.std(ddof=1) + 1e-6)
                              if scale else centered)
    return advantages


def make_advantages():
    groups = {
        "one of four": [1, 0, 0, 0],
        "two of eight": [1, 1, 0, 0, 0, 0, 0, 0],
        "seven of eight": [1, 1, 1, 1, 1, 1, 1, 0],
        "zero spread, wrong": [0, 0, 0, 0],
        "zero spread, correct": [1, 1, 1],
        # 0.1 + 0.1 + 0.1 rounds: the tiny spread must not be blown up.
        "zero spread, rounding": [0.1, 0.1, 0.1],
        "fractions": [0.25, 1.1, -0.5, 0.1, 0.25],
        "group of one": [1],
        "unscorable": [1, None, 0, 0, None],
        "one scorable": [None, 1, None],
        "none scorable": [None, None],
        "zero spread of the scorable": [1, None, 1],
    }
    return [{"name": name, "rewards": rewards, "scale": scale,
             "advantages": group_advantages(rewards, scale).tolist()}
            for name, rewards in groups.items() for scale in (True, False)]


def policy_loss(logprobs, case):
    """Clipped surrogate with dual clip, plus k3; (loss, gradient, metrics)."""
    keep = np.array(case["mask"], dtype=bool)
    logprobs = logprobs[keep]
    old, reference, advantage = (
        np.array(case[k])[keep]
        for k in ("old_logprobs", "reference_logprobs", "advantages"))
    ratio = np.exp(logprobs - old)
    clipped_ratio = np.clip(ratio, 1 - case["clip_low"], 1 + case["clip_high"])
    plain, clipped = -advantage * ratio, -advantage * clipped_ratio
    token_loss = np.maximum(plain, clipped)
    is_clipped = clipped > plain
    cap = -case["dual_clip"] * advantage
    is_capped = (advantage < 0) & (token_loss > cap)
    token_loss = np.where(is_capped, cap, token_loss)
    token_grad = np.where(is_clipped | is_capped, 0, -advantage * ratio)

    d = logprobs - reference
    k3 = np.exp(-d) + d - 1
    token_loss = token_loss + case["kl_coefficient"] * k3
    token_grad = token_grad + case["kl_coefficient"] * (1 - np.exp(-d))

    grad = np.zeros(len(keep))
    grad[keep] = token_grad / case["denominator"]
    return token_loss.sum() / case["denominator"], grad, {
        "clip_fraction": is_clipped.mean(),
        "dual_clip_fraction": is_capped.mean(),
        "approx_kl": (old - logprobs).mean(),
        "reference_kl_k3": k3.mean()}


def check_gradient(logprobs, case, grad):
    step = 1e-6
    for i in range(len(logprobs)):
        moved = [logprobs.copy(), logprobs.copy()]
        moved[0][i] -= step
        moved[1][i] += step
        low, high = (policy_loss(m, case)[0] for m in moved)
        assert abs((high - low) / (2 * step) - grad[i]) < 1e-7, (i, grad[i])


def make_policy_loss_case(name, rng, lengths, spread, kl, denominator=None):
    total = sum(lengths)
    logprobs = -rng.exponential(1.5, total)
    mask = (rng.random(total) < 0.8).astype(int)
    mask[0], mask[1] = 1, 0
    case = {
        "name": name, "clip_low": 0.2, "clip_high": 0.28, "dual_clip": 3.0,
        "kl_coefficient": kl,
        "cu_seqlens": [0] + np.cumsum(lengths).tolist(),
        "mask": mask.tolist(),
        "old_logprobs": logprobs + spread * rng.standard_normal(total),
        "reference_logprobs": logprobs + 0.5 * rng.standard_normal(total),
        # One advantage for each sequence.
        "advantages": np.repeat(rng.standard_normal(len(lengths)), lengths),
        "denominator": denominator or int(mask.sum())}
    trap = mask == 0
    case["old_logprobs"][trap] = -1e4  # exp(1e4) is infinite.
    case["reference_logprobs"][trap] = 1e4
    loss, grad, metrics = policy_loss(logprobs, case)
    check_gradient(logprobs, case, grad)
    lists = {k: v.tolist() for k, v in case.items()
             if isinstance(v, np.ndarray)}
    return {**case, **lists, "logprobs": logprobs.tolist(), "loss": loss,
            "grad": grad.tolist(), **metrics}


def make_policy_loss():
    rng = np.random.default_rng(0)
    cases = [
        make_policy_loss_case("on policy", rng, [5, 3, 7], 0.0, 0.0),
        make_policy_loss_case("slightly off", rng, [9, 4], 0.1, 0.0),
        make_policy_loss_case("far off", rng, [12, 1, 20, 7], 1.0, 0.0),
        make_policy_loss_case("far off, with KL", rng, [12, 8, 20], 1.0, 0.05),
        make_policy_loss_case("part of an update", rng, [6, 10], 0.5, 0.001,
                              denominator=173),
    ]
    assert any(c["dual_clip_fraction"] > 0 for c in cases)
    return cases


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
        "advantages": make_advantages(),
        "policy_loss": make_policy_loss(),
        "adamw": make_adamw(),
    }
    OUT.write_text(json.dumps(golden, indent=1, allow_nan=False) + "\n")
    print({k: len(v) for k, v in golden.items() if k != "made_by"})


if __name__ == "__main__":
    main()
