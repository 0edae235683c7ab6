"""Tokenizer files with the rules of real families, and ids for a corpus.

golden/tokenizers/NAME.json       tokenizer.json: a small vocabulary trained on
                                  the corpus, but the real splitting rule,
                                  normalizer and kinds of added tokens
golden/tokenizers/bytes.json      not made here: Ponder's own tokenizer.json
golden/tokenizers/texts.json      the texts, a list of strings
golden/tokenizers/NAME.ids.jsonl  line 1: {"made_by": ...}; then a line for each
                                  text: its ids (add_special_tokens=False), and
                                  if the texts that they decode to differ from
                                  the text, these: [ids, decoded, decoded with
                                  skip_special_tokens]
golden/tokenizers/NAME.decode.jsonl  [random ids, decoded, decoded with
                                  skip_special_tokens]: texts that are cut
                                  within characters

    make_tokenizers.py                     writes them
    make_tokenizers.py --compare N PONDER  ids of N random texts for each of the
                                           golden tokenizers: those of
                                           `ponder tokenize`
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                        normalizers, pre_tokenizers, processors, trainers)

OUT = pathlib.Path(__file__).parent / "golden" / "tokenizers"
VOCABULARY = 1256  # 256 bytes and about 1000 merges.

GPT2_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
PREFIX_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)


def split(*patterns):
    """Splits by each pattern in turn, then byte-level without its own."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(p), "isolated", False) for p in patterns] +
        [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def letters_and(digits):
    return (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" +
            digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def special(*contents):
    return [AddedToken(c, special=True, normalized=False) for c in contents]


def plain(*contents, **flags):
    return [AddedToken(c, special=False, normalized=False, **flags)
            for c in contents]


CHAT = special("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TOOLS = plain("<tool_call>", "</tool_call>")
LLAMA = special("<|begin_of_text|>", "<|end_of_text|>",
                "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
# Every flag, tokens within others, and one that is not its own NFC.
ODD = (plain("<mask>", lstrip=True) + plain("<r>", rstrip=True) +
       plain("<both>", lstrip=True, rstrip=True) +
       plain("word", single_word=True) + plain("wordy") +
       plain("<a>") + plain("<a><a>") + plain("\n\n") + plain("<") +
       [AddedToken("cafe\u0301", normalized=True, special=False)] +
       [AddedToken("A\u030a", normalized=False, special=False)] +
       special("<｜User｜>", "<｜▁pad▁｜>"))

# The letters of DeepSeek-LLM and V2.
LETTERS = (
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-"
    r"ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ"
    r"-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ"
    r"-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+")

# name: (normalizer, pre-tokenizer, ignore_merges, added tokens)
FAMILIES = {
    "gpt2": (None, GPT2_BYTES, False, special("<|endoftext|>")),
    "gpt2_prefix": (None, PREFIX_BYTES, False,
                    special("<s>", "</s>") + plain("<mask>", lstrip=True)),
    "qwen2.5": (normalizers.NFC(), split(letters_and(r"\p{N}")), False,
                CHAT + TOOLS),
    "qwen3": (normalizers.NFC(), split(letters_and(r"\p{N}")), False,
              CHAT + TOOLS + plain("<think>", "</think>")),
    "llama3": (None, split(letters_and(r"\p{N}{1,3}")), True, LLAMA),
    "deepseek": (
        normalizers.Sequence([]),
        split(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
              r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
              r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
              r"\s*[\r\n]+|\s+(?!\S)|\s+"),
        False, special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>") +
        plain("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>")),
    "deepseek-v2": (
        normalizers.Sequence([]),
        pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(p), "isolated", False) for p in (
                r"[\r\n]", LETTERS,
                r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
                r"\s+$", "[一-龥ࠀ-一가-퟿]+")] + [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        False, special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")),
    "odd": (normalizers.NFC(), split(letters_and(r"\p{N}")), False, ODD),
}

# name: (normalizer, pre-tokenizer, added tokens): SentencePiece's spaces, as
# the converters of transformers write them, older and newer.
METASPACE = "\u2581"
SPACES_IN_NORMALIZER = normalizers.Sequence(
    [normalizers.Prepend(METASPACE), normalizers.Replace(" ", METASPACE)])
SENTENCEPIECE = {
    "llama2": (SPACES_IN_NORMALIZER, None,
               special("<unk>", "<s>", "</s>") + plain("<think>", "</think>") +
               plain("<mask>", lstrip=True) + plain("<r>", rstrip=True)),
    # Older files: tokens are looked for in the normalized text.
    "llama2_legacy": (SPACES_IN_NORMALIZER, None, [
        AddedToken(t, special=False, normalized=True)
        for t in ("<unk>", "<s>", "</s>", "a b")]),
    "mistral": (None, pre_tokenizers.Metaspace(
        METASPACE, prepend_scheme="first", split=False),
                special("<unk>", "<s>", "</s>") + plain("[INST]", "[/INST]") +
                plain("word", single_word=True)),
    "metaspace_split": (None, pre_tokenizers.Metaspace(
        METASPACE, prepend_scheme="always", split=True),
                        special("<unk>", "<s>", "</s>", "<|im_end|>")),
    "metaspace_never": (None, pre_tokenizers.Metaspace(
        METASPACE, prepend_scheme="never", split=True),
                        special("<unk>", "<s>", "</s>")),
}

PROSE = """\
Natalia sold clips to 48 of her friends in April, and then she sold half as \
many clips in May. How many clips did Natalia sell altogether in April and May?
We're given x² + 3x − 10 = 0; it's easily factored: (x+5)(x−2) = 0, so x = 2. \
I'll say THEY'RE right, and she'd said they've been, haven't they? He'S I'M.
Der schnelle braune Fuchs springt über den faulen Hund. Größe, Maße, Übung.
Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío, ¿añoraba?
Съешь же ещё этих мягких французских булок, да выпей чаю. Ёлки-палки!
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Οδυσσεύς.
נא להגיש את הטופס עד יום שישי בשעה ארבע. שָׁלוֹם
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر. ١٢٣٤٥٦٧٨٩٠ مُحَمَّد
आपका नाम क्या है? मैं हिन्दी सीख रहा हूँ। १२३४५
สวัสดีชาวโลก นี่คือการทดสอบ ๑๒๓ கணினி தமிழ் వికీపీడియా 
いろはにほへと ちりぬるを。カタカナと漢字が混ざった文章です。ﾊﾝｶｸ
我们先计算每个人的平均数，然后再求总和。答案是四十二。「引号」《书名》
다람쥐 헌 쳇바퀴에 타고파. 한글은 훌륭하다.
Tiếng Việt có nhiều dấu: ắ ằ ẳ ẵ ặ. Đường đời đưa đẩy.
👍 👩‍👩‍👧‍👦 🇩🇪🇫🇷 🏳️‍🌈 👨🏽‍💻 ☕️ 1️⃣ ❤️‍🔥 😀😃😄
∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε; ∑_{i=1}^{n} i = n(n+1)/2, ∫₀^∞ e^{-x²}dx = √π/2
\\boxed{\\frac{1}{2}} and $$\\sqrt{2} \\approx 1.41421356237$$ <think>\\n</think>
"""

CODE = """\
#include <vector>
int main(int argc, char** argv) {
\tstd::vector<int> v{1, 22, 333, 4444};
\tfor (size_t i = 0; i < v.size(); ++i) { v[i] += (i<<2) ^ 0xFF; }
\treturn 0;  // done
}
def solve(n: int) -> list[int]:
    \"\"\"Returns primes below n.\"\"\"
    sieve = [True] * n
    for i in range(2, int(n ** 0.5) + 1):
        if sieve[i]:
            sieve[i*i::i] = [False] * len(sieve[i*i::i])
    return [i for i in range(2, n) if sieve[i]]\r\n\r\n
SELECT * FROM t WHERE a='b''c' AND d<>3;-- comment
<html><body class="x">&amp;</body></html> {"k": [1.5e-10, null, true]}
"""

DIGITS = ["1" * n for n in range(1, 13)] + [
    "0", "007", "3.14159", "-12,345,678.90", "1e10", "²³¹⁄₄½Ⅷ", "٣٤٥٦٧", "１２３４",
    "v1.2.3", "2024-01-31T23:59:59Z", "x1y22z333", "1 000 000", "12345 6789"]

SPACES = [" " * n for n in range(6)] + [
    "\n" * 3, "\r\n\r\n", "\t\t x", "a  b   c    d", "  lead", "trail  ",
    " \n ", "\n \n", "x \n\n y", "x\n  y", "\u00a0\u00a0x", "\u3000x\u3000",
    "a\u2028b\u2029c", "a\u0085b", "\u180e x", "a\u200bb", "\ufeffbom",
    "\x0b\x0c", " \u00a0 ", "\x1c\x1d\x1e\x1f", "\r", "\r\r\n", " \r x"]

CONTROL = ["\x00", "a\x00b", "\x01\x02\x7f", "\x1b[31mred\x1b[0m", "\u0080\u009f",
           "\ufffd", "\uffff", "\U0010ffff", "\U000e0001", "\ue000",
           "a\u0301", "e\u0301\u0323", "\u1112\u1161\u11ab", "Å\u212b\u2126",
           "\ufb01 ﬃ", "İıſK", "'ſ 'S 'ſt 'LL 'Ve", "ǅǆ", "\u0344\u0958",
           "\u09c7\u09be", "q\u0307\u0323", "\U0001d15e", "\u1e9b\u0323",
           "\u0378\u0557", "ᲀᲈ\ua7c1", "𝟘𝟙𝟚 𝒳𝓎", "a\u200db", "〇〡〢"]

TOKENS = ["<|endoftext|>", "<|im_start|>user\nhi<|im_end|>\n", "<think>",
          "</think>", "<think></think>x", " <think> a </think> ", "<|endoftext",
          "|>", "<<|endoftext|>>", "<|endoftext|><|endoftext|>",
          "x<|im_start|>y<|im_end|>z", "<tool_call>{}</tool_call>",
          "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi"
          "<|eot_id|>", "<｜User｜>1+1?<｜Assistant｜><think>\n",
          "<｜begin▁of▁sentence｜>", "a <mask> b", "a  <mask>b", "<mask><mask>",
          "a <r> b", "<r> \n <r>", "a <both> b <both>  c", "<r>\n\n\n x",
          "word", "words", "a word.", "sword", "word_", "word\u0301", "wordyword",
          "wordy word wordy", "é word é", "éword", "ⓐword", "1word", "_word",
          "<a><a><a>", "<a", "<<a>>", "café", "cafe\u0301", "CAFÉ café",
          "A\u030a Å \u212b", "Ba\u0308r A\u030a\u0301", "<｜▁pad▁｜>", "<s>a</s>b",
          "x </s> <s>y", " word\u00a0<both>\u3000\t<both>x", "<r>", "<mask>", "<"]

ALPHABETS = [
    [chr(c) for c in range(32, 127)],
    list("abcABC 019.,'\n\t<|>"),
    list("éèüñçÅøßſıİ' sStT"),
    list("日本語中文字テスト。、 ab1"),
    list("مرحباعليكم٠١٢ שלום"),
    [" ", "\n", "\r", "\t", "\u00a0", "a", "1", "!", "\u3000", "\u0085"],
    list("e\u0301\u0323\u0300ao\u0308\u1100\u1161\u11a8가 "),
    ["👍", "👩", "\u200d", "🏽", "🇩", "🇪", "\ufe0f", "1", "\u20e3", "x", " "],
    ["<", "|", ">", "<|endoftext|>", "<think>", "</think>", "<mask>", "<r>",
     "<both>", "word", "y", "<a>", " ", "\n\n", "<|im_end|>", "<｜User｜>", "a"],
]


def random_text(rng):
    kind = rng.randrange(len(ALPHABETS) + 2)
    length = rng.randint(1, 24)
    if kind < len(ALPHABETS):
        return "".join(rng.choices(ALPHABETS[kind], k=length))
    if kind == len(ALPHABETS):
        # Any character of the two first planes that this Python's Unicode (3.11
        # has 14.0, as PCRE2 10.42) assigns. Letters of later versions are cut
        # differently by different versions of `tokenizers`, too.
        drawn = [chr(rng.randrange(0x20000)) for _ in range(length)]
        return "".join(c for c in drawn
                       if unicodedata.category(c) not in ("Cn", "Cs"))
    start = rng.randrange(len(PROSE + CODE) - 30)
    return (PROSE + CODE)[start:start + length + 6]


def corpus():
    rng = random.Random(7)
    texts = ["", PROSE, CODE] + PROSE.splitlines() + CODE.splitlines()
    texts += DIGITS + SPACES + CONTROL + TOKENS
    texts += ["a" * 300, "ab" * 150, " " * 200 + "x", "word " * 50, "é" * 100]
    return texts + [random_text(rng) for _ in range(2200)]


def train(normalizer, pre_tokenizer, ignore_merges, added):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.train_from_iterator(
        [PROSE, CODE] + DIGITS + SPACES,
        trainers.BpeTrainer(vocab_size=VOCABULARY, show_progress=False,
                            initial_alphabet=sorted(
                                pre_tokenizers.ByteLevel.alphabet())))
    tokenizer.add_tokens(added)
    return tokenizer


def train_sentencepiece(normalizer, pre_tokenizer, added):
    """Trained on words, then with tokens for bytes, as SentencePiece has."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(METASPACE)
    # Two of the scripts only, so that the others need their bytes.
    trained.train_from_iterator(
        [p for p in PROSE.splitlines() if p.isascii() or "ü" in p] + [CODE],
        trainers.BpeTrainer(vocab_size=900, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    tokens = (["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] +
              sorted(model["vocab"], key=model["vocab"].get))
    tokenizer = Tokenizer(models.BPE(
        {token: i for i, token in enumerate(tokens)},
        [tuple(merge) for merge in model["merges"]], unk_token="<unk>",
        fuse_unk=True, byte_fallback=True))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    strip = [] if normalizer is None and not pre_tokenizer.split else [
        decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(METASPACE, " "), decoders.ByteFallback(),
         decoders.Fuse()] + strip)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_tokens(added)
    return tokenizer


def with_unreachable_pieces(file):
    """For ignore_merges: whole pieces in the vocabulary that no merge makes."""
    vocabulary = file["model"]["vocab"]
    by_id = sorted(vocabulary, key=vocabulary.get)
    by_id += [t for t in ("ĠFuchs", "ä¹¦", "1111", "Ġxylophone", "(x", "Ċ")
              if t not in vocabulary]
    file["model"]["vocab"] = {token: i for i, token in enumerate(by_id)}
    for i, token in enumerate(file["added_tokens"]):
        token["id"] = len(by_id) + i
    return file


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_old_spelling(file):
    file["model"]["merges"] = [" ".join(m) for m in file["model"]["merges"]]
    return file


def decoded(tokenizer, ids):
    return [tokenizer.decode(ids, skip_special_tokens=skip)
            for skip in (False, True)]


def write_ids(name, file, texts):
    """What `tokenizers` makes of the texts, and of random ids."""
    made_by = compact({"made_by": f"tokenizers {tokenizers.__version__}"})
    tokenizer = Tokenizer.from_str(compact(file))
    lines = [made_by]
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        back = decoded(tokenizer, ids)
        lines.append(compact([ids] if back == [text, text] else [ids] + back))
    (OUT / f"{name}.ids.jsonl").write_text("\n".join(lines) + "\n")

    rng = random.Random(11)
    lines = [made_by]
    for _ in range(200):
        # A few beyond the vocabulary: they decode to nothing.
        ids = [rng.randrange(tokenizer.get_vocab_size() + 20)
               for _ in range(rng.randint(1, 12))]
        if file["model"]["byte_fallback"]:
            # Bytes that are no text stay bytes here and are U+FFFD there.
            ids = [i for id in ids for i in (
                [3 + b for b in rng.choice("é👍a你").encode()]
                if 3 <= id < 259 else [id])]
        lines.append(compact([ids] + decoded(tokenizer, ids)))
    (OUT / f"{name}.decode.jsonl").write_text("\n".join(lines) + "\n")
    print(name, tokenizer.get_vocab_size(), len(file["model"]["merges"]))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    texts = corpus()
    # Escaped, for control characters and line ends to survive editors.
    (OUT / "texts.json").write_text(
        "[" + ",\n".join(json.dumps(t) for t in texts) + "]\n")
    write_ids("bytes", json.loads((OUT / "bytes.json").read_text()), texts)
    for name, (normalizer, pre_tokenizer, ignore, added) in FAMILIES.items():
        file = json.loads(
            train(normalizer, pre_tokenizer, ignore, added).to_str())
        if ignore:
            file = with_unreachable_pieces(file)
        if name == "gpt2":
            file = as_old_spelling(file)
        (OUT / f"{name}.json").write_text(compact(file) + "\n")
        write_ids(name, file, texts)
    for name, family in SENTENCEPIECE.items():
        file = json.loads(train_sentencepiece(*family).to_str())
        (OUT / f"{name}.json").write_text(compact(file) + "\n")
        write_ids(name, file, texts)


def compare(count, ponder):
    rng = random.Random(count)
    texts = [random_text(rng) for _ in range(count)]
    differ = 0
    for path in sorted(OUT.glob("*.json")):
        if path.name == "texts.json":
            continue
        theirs = Tokenizer.from_file(str(path))
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "config.json").write_text("{}")
            (folder / "tokenizer.json").write_text(path.read_text())
            (folder / "in.jsonl").write_text("".join(
                json.dumps({"text": text}) + "\n" for text in texts))
            ours = subprocess.run(
                [ponder, "tokenize", folder, "--in", folder / "in.jsonl"],
                capture_output=True, text=True, check=True).stdout.split("\n")
        wrong = 0
        for text, line in zip(texts, ours):
            wanted = theirs.encode(text, add_special_tokens=False).ids
            if json.loads(line)["ids"] != wanted:
                wrong += 1
                if wrong <= 3:
                    print(path.stem, json.dumps(text), wanted, line, sep="\n  ")
        print(f"{path.stem}: {len(texts)} texts, {wrong} differ")
        differ += wrong
    raise SystemExit(1 if differ else 0)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--compare":
        compare(int(sys.argv[2]), sys.argv[3])
    else:
        main()
