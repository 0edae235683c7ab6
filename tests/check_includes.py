"""Reads every #include of the rooms and fails on an arrow that the design does
not have. A wrong arrow between libraries does not link; this also finds those
that need no linking, and says which line.

    python3 tests/check_includes.py [REPOSITORY]
"""

import pathlib
import re
import sys

# Folder -> the folders that it may include beside itself. The longest one that
# fits a file counts. docs/architecture.md draws the same.
ARROWS = {
    "base": [],
    "proto": ["base"],
    "policy": ["base"],
    "policy/files": ["base"],
    "policy/gguf": ["base", "policy", "policy/files"],
    "policy/jinja": ["base"],
    "policy/text": ["base", "policy/files"],
    "rollout": ["policy", "proto", "base"],
    "libexec": [],
    "sandbox": ["libexec", "proto", "base"],
    "reward": ["sandbox", "proto", "base"],
    "monitor": ["proto", "base"],
    "rl": ["policy", "proto", "monitor", "base"],
    "rl/data": ["policy/files", "proto", "base"],
    "cli": ["rl", "rollout", "reward", "sandbox", "monitor", "policy", "proto",
            "base"],
}
TORCH_FREE = ["base", "proto", "libexec", "sandbox", "reward", "monitor",
              "policy/files", "policy/gguf", "policy/jinja", "policy/text",
              "rl/data"]
TORCH = ["ATen", "c10", "torch"]

# Files of formulas and parsers know nothing of the wire. base/ is free of gRPC
# but for one file that is a target of its own.
NO_WIRE = ["rl/policy_loss", "rl/advantage", "rl/token_advantage", "rl/kl",
           "rl/aggregation", "rl/importance", "rl/value_loss", "rl/mismatch",
           "rl/packing", "rl/packed_batch", "reward/math/",
           "reward/countdown_", "reward/boxes", "reward/format_",
           "reward/language_share", "reward/length_penalty",
           "reward/repetition_penalty", "reward/response_parts",
           "reward/text_words", "sandbox/output_match"]
NO_GRPC = ["base/"]
MAY_GRPC = ["base/grpc_status"]

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')


def is_under(path, folders):
    return any(path.startswith(folder + "/") for folder in folders)


def starts_with(path, prefixes):
    return any(path.startswith(prefix) for prefix in prefixes)


def room_of(path):
    rooms = [room for room in ARROWS if path.startswith(room + "/")]
    return max(rooms, key=len, default=None)


def fault_of(path, included):
    """Why the file `path` may not include `included`; None if it may."""
    room = room_of(path)
    if is_under(included, TORCH) and is_under(path, TORCH_FREE):
        return f"{room}/ is free of LibTorch"
    is_wire = (included.endswith(".pb.h") or included.startswith("proto/")
               or included.startswith("grpc"))
    if (is_wire and starts_with(path, NO_WIRE)
            and not path.endswith("_test.cc")):
        return "formulas and parsers know nothing of the wire"
    if (included.startswith("grpc") and starts_with(path, NO_GRPC)
            and not starts_with(path, MAY_GRPC)):
        return "base/ is free of gRPC"
    target = room_of(included)
    if target is None or target == room:
        return None
    # A folder that is named stands for the folders in it too.
    if any(target == arrow or target.startswith(arrow + "/")
           for arrow in ARROWS[room]):
        return None
    # Parts of one room: the whole may include its parts.
    if target.startswith(room + "/"):
        return None
    return f"{room}/ may not include {target}/"


def check(root):
    faults = []
    num_files = 0
    for room in sorted({room.split("/")[0] for room in ARROWS}):
        for file in sorted((root / room).rglob("*")):
            if file.suffix not in (".h", ".cc", ".cu", ".cuh"):
                continue
            num_files += 1
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(
                    file.read_text(encoding="utf-8").splitlines(), start=1):
                match = INCLUDE.match(line)
                fault = match and fault_of(path, match[1])
                if fault:
                    faults.append(f'{path}:{number}: includes "{match[1]}"; '
                                  f"{fault}")
    return num_files, faults


def check_itself():
    """The rules find what they are for."""
    for path, included in [
            ("base/file.cc", "proto/config.pb.h"),
            ("base/file.cc", "grpcpp/server.h"),
            ("policy/decoder.cc", "proto/config.pb.h"),
            ("policy/text/bpe.cc", "policy/decoder.h"),
            ("policy/text/bpe.cc", "ATen/ATen.h"),
            ("policy/jinja/parser.cc", "policy/text/tokenizer.h"),
            ("rollout/engine.cc", "rl/learner.h"),
            ("rollout/engine.cc", "reward/scorer.h"),
            ("rl/learner.cc", "rollout/engine.h"),
            ("rl/fleet.cc", "reward/reward_server.h"),
            ("rl/data/data_set.cc", "policy/decoder.h"),
            ("rl/advantage.cc", "proto/reward.pb.h"),
            ("reward/scorer.cc", "rl/run.h"),
            ("reward/scorer.cc", "torch/types.h"),
            ("reward/math/compare.cc", "proto/reward.pb.h"),
            ("sandbox/judge.cc", "reward/scorer.h"),
            ("monitor/cost.cc", "rl/run.h"),
            ("monitor/cost.cc", "c10/core/Device.h")]:
        assert fault_of(path, included), (path, included)
    for path, included in [
            ("base/grpc_status.h", "grpcpp/support/status.h"),
            ("policy/checkpoint.cc", "policy/files/safetensors.h"),
            ("rl/run.cc", "policy/files/safetensors.h"),
            ("rl/run.cc", "rl/data/data_set.h"),
            ("rl/learner.cc", "ATen/ATen.h"),
            ("cli/chat.cc", "rollout/engine.h"),
            ("sandbox/session.h", "libexec/launch_protocol.h"),
            ("rl/run.cc", "absl/status/status.h")]:
        assert not fault_of(path, included), (path, included)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    check_itself()
    num_files, faults = check(root)
    for fault in faults:
        print(fault)
    if num_files == 0:
        sys.exit(f"{root}: has no files of ours")
    if faults:
        sys.exit(f"{len(faults)} includes that the design does not have")
    print(f"{num_files} files include what they may")


if __name__ == "__main__":
    main()
