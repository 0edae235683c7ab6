"""golden/rl.json: the formulas of reinforcement learning, in float64.

They are written anew here, token by token and in plain NumPy, so that they
stand for themselves; gradients are checked with finite differences before
anything is written.

advantages        rewards (null: unscorable) of one group -> advantages.
token_advantages  rewards and values of the tokens of one response.
whiten            numbers -> whitened.
reinforce_plus_plus_baseline
                  rewards of the groups of a step -> advantage of each sample.
policy_loss       packed tokens; values where mask is 0 are traps: they must not
                  leak, not even as NaN. `scale` counts the whole update, of
                  which this may be a part. `grad` is d loss / d logprobs,
                  `entropy_grad` d loss / d entropies. Fractions and means are
                  over the mask.
kl                the four estimators, with gradients.
importance        weights of the tokens of one response.
value_loss        PPO's critic; `grad` is d loss / d values.
"""

import json
import math
import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parent / "golden" / "rl.json"


def group_advantages(kind, rewards):
    """Unscorable samples have no part in the baseline and get 0; so does every
    sample of a group in which fewer than two count or none differs."""
    known = [r for r in rewards if r is not None]
    if len(known) < 2 or min(known) == max(known):
        return [0.0] * len(rewards)
    mean = math.fsum(known) / len(known)
    std = math.sqrt(math.fsum((r - mean)**2 for r in known) / (len(known) - 1))

    def advantage(i):
        r = rewards[i]
        if r is None:
            return 0.0
        if kind == "grpo":
            return (r - mean) / (std + 1e-6)
        if kind == "dr_grpo":
            return r - mean
        others = [x for j, x in enumerate(rewards) if x is not None and j != i]
        return r - math.fsum(others) / len(others)  # RLOO, as it is defined.

    return [advantage(i) for i in range(len(rewards))]


# The table of the specification, at the six digits that it has.
TABLE = {
    ("grpo", (1, 0, 0, 0)): (1.499997, -0.499999),
    ("grpo", (1, 1, 0, 0, 0, 0, 0, 0)): (1.620182, -0.540060),
    ("rloo", (1, 0, 0, 0)): (1, -0.333333),
    ("rloo", (1, 1, 0, 0, 0, 0, 0, 0)): (0.857143, -0.285714),
}


def make_advantages():
    for (kind, rewards), (best, worst) in TABLE.items():
        got = group_advantages(kind, rewards)
        assert abs(got[0] - best) < 1e-6 and abs(got[-1] - worst) < 1e-6
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
    return [{"name": name, "kind": kind, "rewards": rewards,
             "advantages": group_advantages(kind, rewards)}
            for name, rewards in groups.items()
            for kind in ("grpo", "dr_grpo", "rloo")]


def discounted_returns(rewards, gamma):
    return [sum(gamma**(s - t) * rewards[s] for s in range(t, len(rewards)))
            for t in range(len(rewards))]


def gae(rewards, values, gamma, lam):
    """As the sum of its definition, not by the recursion."""
    values = list(values) + [0.0]
    deltas = [rewards[t] + gamma * values[t + 1] - values[t]
              for t in range(len(rewards))]
    return [sum((gamma * lam)**(s - t) * deltas[s]
                for s in range(t, len(rewards))) for t in range(len(rewards))]


def make_token_advantages():
    rng = np.random.default_rng(10)
    cases = []
    for name, length, gamma, lam in [("one token", 1, 1.0, 1.0),
                                     ("undiscounted", 7, 1.0, 1.0),
                                     ("discounted", 12, 0.97, 1.0),
                                     ("short-sighted", 12, 1.0, 0.9),
                                     ("both", 20, 0.99, 0.95)]:
        rewards = -0.01 * rng.standard_normal(length)
        rewards[-1] += 1
        values = rng.standard_normal(length)
        advantages = gae(rewards, values, gamma, lam)
        cases.append({
            "name": name, "gamma": gamma, "lambda": lam,
            "rewards": rewards.tolist(), "values": values.tolist(),
            "returns": discounted_returns(rewards, gamma),
            "gae": advantages,
            "gae_returns": (np.array(advantages) + values).tolist()})
    return cases


def make_whiten():
    rng = np.random.default_rng(11)
    cases = []
    for values in (rng.standard_normal(30) * 3 + 2, rng.standard_normal(2),
                   np.array([0.5, 0.5, 0.5]), np.array([2.0])):
        n = len(values)
        variance = ((values - values.mean())**2).sum() / max(n - 1, 1)
        white = (values - values.mean()) / np.sqrt(variance + 1e-8)
        cases.append({"values": values.tolist(),
                      "whitened": (white if n > 1 else 0 * white).tolist()})
    return cases


def make_reinforce_plus_plus_baseline():
    """Sample i of a group has i + 1 tokens; unscorable ones have none."""
    cases = []
    for rewards in ([[1, 0, 0], [0, 1, 1], [1, 0.5, None]],
                    [[1, 0, 0], [1, 1, 1], [0, 0], [0.5, None, 2]]):
        base = [group_advantages("dr_grpo", group) for group in rewards]
        tokens = np.array([a for group, known in zip(base, rewards)
                           for i, a in enumerate(group)
                           if known[i] is not None for _ in range(i + 1)])
        std = math.sqrt(((tokens - tokens.mean())**2).sum() /
                        (len(tokens) - 1) + 1e-8)
        cases.append({"rewards": rewards, "advantages": [
            [0.0 if not any(group) else (a - tokens.mean()) / std
             for a in group] for group in base]})
    return cases


def kl_terms(kind, logprob, reference):
    """(value, gradient) of one token."""
    d = logprob - reference
    k2 = (d**2 / 2, d)
    k3 = (math.exp(-d) + d - 1, 1 - math.exp(-d))
    return {"k1": (d, 1.0), "k2": k2, "k3": k3, "k3_k2": (k3[0], k2[1])}[kind]


def make_kl():
    rng = np.random.default_rng(12)
    logprobs = -rng.exponential(1.5, 12)
    reference = logprobs + 0.7 * rng.standard_normal(12)
    cases = []
    for kind in ("k1", "k2", "k3", "k3_k2"):
        terms = [kl_terms(kind, a, b) for a, b in zip(logprobs, reference)]
        for (value, grad), a, b in zip(terms, logprobs, reference):
            like = "k2" if kind == "k3_k2" else kind
            step = 1e-6
            numeric = (kl_terms(like, a + step, b)[0] -
                       kl_terms(like, a - step, b)[0]) / (2 * step)
            assert abs(numeric - grad) < 1e-7
        cases.append({"kind": kind, "logprobs": logprobs.tolist(),
                      "reference": reference.tolist(),
                      "values": [v for v, _ in terms],
                      "grad": [g for _, g in terms]})
    return cases


def token_weight(scale, length):
    return {"token_mean": 1 / scale["tokens"],
            "seq_mean_token_mean": 1 / (scale["sequences"] * length),
            "seq_mean_token_sum": 1 / scale["sequences"],
            "seq_mean_token_sum_norm":
                1 / (scale["sequences"] * scale["norm_tokens"]),
            "token_sum": 1,
            }[scale["aggregation"]]


def sequence_loss(case, logprobs, old, advantages):
    """Loss, gradient, clipped and capped of each token of one sequence."""
    low, high = 1 - case["clip_low"], 1 + case["clip_high"]
    ratios = np.exp(logprobs - old)
    if case["objective"] == "gspo":
        mean = np.mean(logprobs - old)
        ratios = np.full(len(logprobs), math.exp(min(mean, 10)))
    out = []
    for ratio, a, logprob, before in zip(ratios, advantages, logprobs, old):
        if case["objective"] == "sapo":
            tau = case["sapo_temperatures"][0 if a > 0 else 1]
            gate = 1 / (1 + math.exp(-tau * (ratio - 1)))
            out.append((-4 / tau * gate * a,
                        -4 * gate * (1 - gate) * a * ratio, 0, 0))
            continue
        if case["objective"] == "dppo_tv":
            moved = math.exp(logprob) - math.exp(before)
            bound = case["tv_bound"]
            gone = moved > bound if a > 0 else moved < -bound
            gain = 0.0 if gone else ratio * a
            out.append((1e-3 * (logprob - before)**2 - gain,
                        2e-3 * (logprob - before) - gain, gone, 0))
            continue
        inside = min(max(ratio, low), high)
        if case["objective"] == "cispo":
            out.append((-inside * a * logprob, -inside * a, inside != ratio, 0))
            continue
        plain, clipped = -ratio * a, -inside * a
        loss, grad = max(plain, clipped), -ratio * a
        if clipped > plain:
            grad = 0.0
        capped = (case["objective"] == "clipped" and case["dual_clip"] > 0 and
                  a < 0 and loss > -case["dual_clip"] * a)
        if capped:
            loss, grad = -case["dual_clip"] * a, 0.0
        out.append((loss, grad, clipped > plain, capped))
    return out


def is_left_behind(case, logprobs, behavior, advantage):
    """DeepSeek-V3.2's mask, of a sequence with this advantage."""
    delta = case["off_policy_mask"]
    return delta > 0 and advantage < 0 and np.mean(behavior - logprobs) > delta


def policy_loss(case, logprobs):
    """(loss, d loss / d logprobs, d loss / d entropies, metrics)."""
    total, count = 0.0, 0
    grad, entropy_grad = np.zeros(len(logprobs)), np.zeros(len(logprobs))
    sums = {"clip_fraction": 0.0, "dual_clip_fraction": 0.0, "approx_kl": 0.0,
            "reference_kl": 0.0, "masked_fraction": 0.0}
    mask = np.array(case["mask"], dtype=bool)
    for first, end in zip(case["cu_seqlens"], case["cu_seqlens"][1:]):
        places = [t for t in range(first, end) if mask[t]]
        if not places:
            continue
        pick = lambda name: np.array(case[name])[places]
        own = logprobs[places]
        weight = token_weight(case["scale"], len(places))
        losses = sequence_loss(case, own, pick("old_logprobs"),
                               pick("advantages"))
        masked = is_left_behind(case, own, pick("behavior_logprobs"),
                                pick("advantages")[0])
        for k, t in enumerate(places):
            loss, g, clipped, capped = losses[k]
            importance = 0.0 if masked else case["importance"][t]
            sums["masked_fraction"] += masked
            kl, kl_grad = kl_terms(case["kl"], own[k],
                                   case["reference_logprobs"][t])
            total += weight * (importance * loss + case["kl_coef"] * kl -
                               case["entropy_coef"] * case["entropies"][t])
            grad[t] = weight * (importance * g + case["kl_coef"] * kl_grad)
            entropy_grad[t] = -weight * case["entropy_coef"]
            sums["clip_fraction"] += clipped
            sums["dual_clip_fraction"] += capped
            sums["approx_kl"] += case["old_logprobs"][t] - own[k]
            sums["reference_kl"] += kl
            count += 1
    return total, grad, entropy_grad, {k: v / count for k, v in sums.items()}


def check_gradient(case, logprobs, grad):
    """By finite differences; of GSPO that of the sum over a sequence, because
    a token's own gradient is defined with all others held; of CISPO with the
    ratio held, so that it is exact by itself."""
    if case["objective"] == "cispo" or case["kl"] == "k3_k2":
        return
    step = 1e-6
    if case["objective"] != "gspo":
        groups = [[i] for i in range(len(logprobs))]
    else:
        mask = np.array(case["mask"], dtype=bool)
        groups = [[t for t in range(a, b) if mask[t]]
                  for a, b in zip(case["cu_seqlens"], case["cu_seqlens"][1:])]
    for group in groups:
        moved = [logprobs.copy(), logprobs.copy()]
        moved[0][group] -= step
        moved[1][group] += step
        low, high = (policy_loss(case, m)[0] for m in moved)
        assert abs((high - low) / (2 * step) - grad[group].sum()) < 1e-7, case


def make_policy_loss_case(name, rng, lengths, spread, **changes):
    total = sum(lengths)
    logprobs = -rng.exponential(1.5, total)
    mask = (rng.random(total) < 0.8).astype(int)
    mask[0], mask[1] = 1, 0
    case = {
        "name": name, "objective": "clipped", "clip_low": 0.2,
        "clip_high": 0.28, "dual_clip": 3.0, "sapo_temperatures": [1.0, 1.05],
        "tv_bound": 0.2, "off_policy_mask": 0.0, "kl": "k3", "kl_coef": 0.0,
        "entropy_coef": 0.0,
        "scale": {"aggregation": "token_mean", "tokens": int(mask.sum()),
                  "sequences": len(lengths), "norm_tokens": 64},
        "cu_seqlens": [0] + np.cumsum(lengths).tolist(),
        "mask": mask.tolist(),
        "old_logprobs": logprobs + spread * rng.standard_normal(total),
        "reference_logprobs": logprobs + 0.5 * rng.standard_normal(total),
        # One advantage for each sequence.
        "advantages": np.repeat(rng.standard_normal(len(lengths)), lengths),
        "importance": np.ones(total),
        "entropies": rng.exponential(1.0, total)}
    scale = changes.pop("scale", {})
    if changes.pop("weighted", False):
        case["importance"] = rng.uniform(0, 2, total) * (rng.random(total) > .2)
    drift = changes.pop("sampler_drift", 0.0)
    case["behavior_logprobs"] = (
        case["old_logprobs"] + drift * rng.standard_normal(total)
        if drift else case["old_logprobs"].copy())
    case.update(changes)
    case["scale"].update(scale)
    trap = mask == 0
    case["old_logprobs"][trap] = -1e4  # exp(1e4) is infinite.
    case["behavior_logprobs"][trap] = -1e4
    case["reference_logprobs"][trap] = 1e4
    case["entropies"][trap] = case["importance"][trap] = 1e30
    loss, grad, entropy_grad, metrics = policy_loss(case, logprobs)
    check_gradient(case, logprobs, grad)
    lists = {k: v.tolist() for k, v in case.items()
             if isinstance(v, np.ndarray)}
    return {**case, **lists, "logprobs": logprobs.tolist(), "loss": loss,
            "grad": grad.tolist(), "entropy_grad": entropy_grad.tolist(),
            **metrics}


def make_policy_loss():
    rng = np.random.default_rng(0)

    def case(*args, **kwargs):
        return make_policy_loss_case(args[0], rng, *args[1:], **kwargs)

    cases = [
        case("on policy", [5, 3, 7], 0.0),
        case("slightly off", [9, 4], 0.1),
        case("far off", [12, 1, 20, 7], 1.0),
        case("far off, without dual clip", [12, 20], 1.0, dual_clip=0.0),
        case("far off, with k3", [12, 8, 20], 1.0, kl_coef=0.05),
        case("with k1", [12, 8], 0.5, kl_coef=0.05, kl="k1"),
        case("with k2", [12, 8], 0.5, kl_coef=0.05, kl="k2"),
        case("with k3's value and k2's gradient", [12, 8], 0.5, kl_coef=0.05,
             kl="k3_k2"),
        case("with entropy", [12, 8], 0.5, entropy_coef=0.01),
        case("weighted", [12, 8, 5], 0.5, weighted=True),
        case("weighted, with KL and entropy", [12, 8, 5], 0.5, weighted=True,
             kl_coef=0.02, entropy_coef=0.003),
        case("part of an update", [6, 10], 0.5, kl_coef=0.001,
             scale={"tokens": 173}),
        case("sequence mean of token mean", [6, 10, 3], 0.5,
             scale={"aggregation": "seq_mean_token_mean", "sequences": 5}),
        case("sequence mean of token sum", [6, 10, 3], 0.5,
             scale={"aggregation": "seq_mean_token_sum"}),
        case("Dr. GRPO", [6, 10, 3], 0.5,
             scale={"aggregation": "seq_mean_token_sum_norm",
                    "sequences": 7, "norm_tokens": 512}),
        case("GSPO", [6, 10, 3, 14], 0.5, objective="gspo",
             scale={"aggregation": "seq_mean_token_mean"}),
        case("GSPO at its own clips", [6, 10, 3, 14], 0.002, objective="gspo",
             clip_low=3e-4, clip_high=4e-4,
             scale={"aggregation": "seq_mean_token_mean"}),
        case("CISPO", [6, 10, 3, 14], 0.7, objective="cispo"),
        case("CISPO without a lower bound", [6, 10, 14], 0.7,
             objective="cispo", clip_low=10.0),
        case("R1's clip of 10", [6, 10, 14], 1.5, clip_low=10.0,
             clip_high=10.0),
        case("SAPO", [6, 10, 14], 0.7, objective="sapo"),
        case("SAPO with other temperatures", [6, 10, 14], 0.7,
             objective="sapo", sapo_temperatures=[0.5, 3.0]),
        case("DPPO-TV", [6, 10, 14, 20], 0.8, objective="dppo_tv"),
        case("DPPO-TV with a tight bound, weighted", [6, 10, 14], 0.8,
             objective="dppo_tv", tv_bound=0.02, weighted=True),
        case("without what is left behind", [6, 10, 14, 9, 12, 7, 5, 8, 3], 1.0,
             off_policy_mask=0.05, kl_coef=0.01),
        case("GSPO without what is left behind", [6, 10, 14, 9, 12], 0.5,
             objective="gspo", off_policy_mask=1e-4),
        case("sum over tokens", [6, 10], 0.5,
             scale={"aggregation": "token_sum"}),
        case("left behind by an older sampler", [6, 10, 14, 9, 12, 7], 0.0,
             off_policy_mask=0.05, sampler_drift=1.0),
    ]
    assert any(c["dual_clip_fraction"] > 0 for c in cases)
    for name in ("without what is left behind",
                 "GSPO without what is left behind",
                 "left behind by an older sampler"):
        chosen = next(c for c in cases if c["name"] == name)
        assert 0 < chosen["masked_fraction"] < 1, name
    for name in ("GSPO at its own clips", "CISPO", "DPPO-TV",
                 "DPPO-TV with a tight bound, weighted"):
        chosen = next(c for c in cases if c["name"] == name)
        assert 0 < chosen["clip_fraction"] < 1, name
    return cases


def make_importance():
    rng = np.random.default_rng(13)
    cases = []
    for spread, shift in ((0.05, 0.0), (1.2, 0.0), (0.3, 0.9), (0.0004, 0.0)):
        behavior = -rng.exponential(1.5, 9)
        old = behavior + shift + spread * rng.standard_normal(9)
        ratios = np.exp(old - behavior)
        mean = float(np.prod(ratios)**(1 / 9))
        for mode, low, high in (("token_truncate", 0, 2), ("token_mask", .5, 5),
                                ("sequence_truncate", 0, 2),
                                ("sequence_mask", 0.999, 1.001)):
            weights = {
                "token_truncate": [min(w, high) for w in ratios],
                "token_mask": [w if low <= w <= high else 0.0 for w in ratios],
                "sequence_truncate": [min(mean, high)] * 9,
                "sequence_mask": [float(low <= mean <= high)] * 9}[mode]
            cases.append({"mode": mode, "low": low, "high": high,
                          "old": old.tolist(), "behavior": behavior.tolist(),
                          "weights": [float(w) for w in weights]})
    for mode in ("token_mask", "sequence_mask"):
        zeros = {w == 0 for c in cases if c["mode"] == mode
                 for w in c["weights"]}
        assert zeros == {False, True}, mode
    return cases


def make_value_loss():
    rng = np.random.default_rng(14)
    old, returns = rng.standard_normal(12), rng.standard_normal(12)
    values = old + 0.6 * rng.standard_normal(12)
    clip, weight = 0.5, 1 / 17
    loss, grad, clipped = 0.0, [], 0
    for v, o, r in zip(values, old, returns):
        near = min(max(v, o - clip), o + clip)
        plain, other = (v - r)**2, (near - r)**2
        loss += weight * max(plain, other) / 2
        moves = near == v
        grad.append(weight * (v - r) if plain >= other or moves else 0.0)
        clipped += other > plain
    assert 0 < clipped < 12
    return [{"values": values.tolist(), "old": old.tolist(),
             "returns": returns.tolist(), "weight": weight, "clip": clip,
             "loss": loss, "grad": grad, "clipped": clipped}]


def main():
    golden = {
        "made_by": f"numpy {np.__version__}",
        "advantages": make_advantages(),
        "token_advantages": make_token_advantages(),
        "whiten": make_whiten(),
        "reinforce_plus_plus_baseline": make_reinforce_plus_plus_baseline(),
        "kl": make_kl(),
        "policy_loss": make_policy_loss(),
        "importance": make_importance(),
        "value_loss": make_value_loss(),
    }
    OUT.write_text(json.dumps(golden, indent=1, allow_nan=False, default=float) + "\n")
    print({k: len(v) for k, v in golden.items() if k != "made_by"})


if __name__ == "__main__":
    main()
