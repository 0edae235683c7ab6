"""Loads a Hugging Face folder with transformers and compares what it computes.

    check_hf_export.py FOLDER --reference REFERENCE.safetensors
    check_hf_export.py FOLDER --ids 1,2,3
    check_hf_export.py FOLDER --texts TEXTS.jsonl

--reference  holds input_ids [T] and logits [T, V], computed elsewhere; exits
             with 1 if a logit in fp32 differs by more than --tolerance.
--ids        prints the logits of these ids instead, as JSON.
--texts      lines {"text": ..., "ids": [...]}; exits with 1 if the folder's
             tokenizer gives other ids, or does not decode them to the text.
             A line may have "decoded" where that is another text.
"""

import argparse
import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def logits_of(folder, ids):
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager",
        local_files_only=True)
    with torch.no_grad():
        return model.eval()(torch.as_tensor(ids, dtype=torch.long)[None],
                            use_cache=False).logits[0]


def check_logits(folder, reference, tolerance):
    wanted = load_file(reference)
    got = logits_of(folder, wanted["input_ids"])
    if got.shape != wanted["logits"].shape:
        print(f"logits are {list(got.shape)}, the reference's are "
              f"{list(wanted['logits'].shape)}")
        return False
    difference = (got - wanted["logits"].float()).abs().max().item()
    print(json.dumps({"tokens": got.shape[0], "vocabulary": got.shape[1],
                      "max_abs_difference": difference,
                      "tolerance": tolerance}))
    return difference <= tolerance  # False for NaN, too.


def check_texts(folder, path):
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    wrong = count = 0
    with open(path) as lines:
        for line in lines:
            case = json.loads(line)
            ids = tokenizer.encode(case["text"], add_special_tokens=False)
            back = tokenizer.decode(case["ids"])
            count += 1
            if ids != case["ids"] or back != case.get("decoded", case["text"]):
                wrong += 1
                print(json.dumps({"case": case, "ids": ids, "decoded": back}))
    print(json.dumps({"texts": count, "different": wrong}))
    return wrong == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--reference")
    parser.add_argument("--ids")
    parser.add_argument("--texts")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    if not (args.reference or args.ids or args.texts):
        parser.error("nothing to do")
    good = True
    if args.ids:
        ids = [int(i) for i in args.ids.split(",")]
        print(json.dumps(logits_of(args.folder, ids).tolist()))
    if args.reference:
        good &= check_logits(args.folder, args.reference, args.tolerance)
    if args.texts:
        good &= check_texts(args.folder, args.texts)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
