"""Compares the tokenizer with the tokenizers library: training, the file it saves, encoding and decoding.
Usage: check_tokenizer.py [VOCABULARY] [TEXT FILE...]. Needs tokenizers."""

import ctypes
import glob
import json
import os
import random
import sys
import tempfile
import time
import unicodedata

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import native

P, I64, SIZE, BOOL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t, ctypes.c_bool


class Ids(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_int32)), ("count", I64), ("capacity", I64)]


lib = native.build("src/formats/*token*.c", "src/formats/tables.c", "src/formats/byte_symbols.c")
lib.gr_tokenizer_train.argtypes = [P, P, I64, I64, P]
lib.gr_tokenizer_save.argtypes = [P, ctypes.c_char_p]
lib.gr_tokenizer_load.argtypes = [ctypes.c_char_p, P]
lib.gr_tokenizer_encode.argtypes = [P, ctypes.c_char_p, SIZE, BOOL, P]
lib.gr_tokenizer_decode.argtypes = [P, P, I64, BOOL, P]
lib.gr_tokenizer_destroy.argtypes = [P]


class Ours:
    def __init__(self):
        self.handle = P()

    def train(self, texts, vocabulary):
        raw = [text.encode() for text in texts]
        pointers = (ctypes.c_char_p * len(raw))(*raw)
        sizes = (SIZE * len(raw))(*map(len, raw))
        native.check(lib, lib.gr_tokenizer_train(pointers, sizes, len(raw), vocabulary, ctypes.byref(self.handle)))
        return self

    def load(self, folder):
        native.check(lib, lib.gr_tokenizer_load(folder.encode(), ctypes.byref(self.handle)))
        return self

    def save(self, folder):
        native.check(lib, lib.gr_tokenizer_save(self.handle, folder.encode()))

    def encode(self, text, special):
        raw, ids = text.encode(), Ids()
        native.check(lib, lib.gr_tokenizer_encode(self.handle, raw, len(raw), special, ctypes.byref(ids)))
        out = ids.data[:ids.count]
        lib.gr_ids_fini(ctypes.byref(ids))
        return out

    def decode(self, ids, skip):
        text = ctypes.c_void_p()
        native.check(lib, lib.gr_tokenizer_decode(self.handle, (ctypes.c_int32 * len(ids))(*ids), len(ids), skip,
                                                  ctypes.byref(text)))
        out = ctypes.string_at(text).decode()
        lib.gr_mem_free(text)
        return out


def train_reference(texts, vocabulary):
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
               r"|\s+(?!\S)|\s+")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return tokenizer


def pairs_of(merges):
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]


def random_character(rng, known):
    while True:
        low, high = rng.choice([(0, 0x80), (0, 0x80), (0x80, 0x250), (0x250, 0x3000), (0x300, 0x370), (0x2000, 0x2070),
                                (0x3000, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000), (0x20000, 0x110000)])
        c = chr(rng.randrange(low, high))
        if not known or unicodedata.category(c) != "Cn":
            return c


def random_text(rng, known):
    words = ["'s", "'LL", "\r\n", "\n", "  ", " ", "\t", "<|im_end|>", "<img>", "</img", "<", "ſ", "é", "e\u0301", "12", "ab"]
    return "".join(rng.choice(words) if rng.random() < 0.3 else random_character(rng, known)
                   for _ in range(rng.randrange(30)))


def compare(name, ours, reference, texts):
    wrong = []
    for text in texts:
        for special in (True, False):
            reference.encode_special_tokens = not special
            want = reference.encode(text, add_special_tokens=False).ids
            got = ours.encode(text, special)
            back = reference.decode(want, skip_special_tokens=False)
            # A text with NUL ends there in C.
            if got != want or ours.decode(want, False) != back.split("\0")[0]:
                wrong.append(text)
                break
    print(f"{name}: {len(texts) - len(wrong)} of {len(texts)} texts alike" + (f", first other {wrong[0]!r}" if wrong else ""))
    return wrong


def read_texts(paths):
    out = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            out.append(file.read())
    return out


def main(vocabulary, paths):
    texts = read_texts(paths)
    print(f"{len(texts)} files, {sum(map(len, texts))} characters, {vocabulary} ids")
    start = time.time()
    ours = Ours().train(texts, vocabulary)
    middle = time.time()
    reference = train_reference(texts, vocabulary - 12)
    print(f"trained in {middle - start:.1f} s; the library took {time.time() - middle:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        ours.save(folder)
        saved = json.load(open(os.path.join(folder, "tokenizer.json"), encoding="utf-8"))
        theirs = json.loads(reference.to_str())
        same_merges = pairs_of(saved["model"]["merges"]) == pairs_of(theirs["model"]["merges"])
        same_ids = saved["model"]["vocab"] == theirs["model"]["vocab"]
        print(f"same merges: {same_merges}, same ids: {same_ids}")
        reference = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        start = time.time()
        again = Ours().load(folder)
        print(f"loaded in {time.time() - start:.2f} s")
        reference.save(os.path.join(folder, "tokenizer.json"))
        theirs = Ours().load(folder)
    rng = random.Random(7)
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    samples = rng.sample(lines, min(3000, len(lines))) + texts[:20]
    known = [random_text(rng, True) for _ in range(5000)]
    other = [random_text(rng, False) for _ in range(5000)]
    wrong = []
    for name, tokenizer in (("trained", ours), ("loaded", again), ("loaded from the library's file", theirs)):
        wrong += compare(name + ", lines and files", tokenizer, reference, samples)
        wrong += compare(name + ", random characters of Unicode 14", tokenizer, reference, known)
        compare(name + ", any code points", tokenizer, reference, other)
    start = time.time()
    size = sum(len(ours.encode(text, False)) * 0 + len(text.encode()) for text in texts)
    print(f"encodes {size / (time.time() - start) / 1e6:.1f} MB/s")
    for run in ("a", " ", "\n", "中", "!", "ab", "1", "\u0301"):
        text = run * (1000000 // len(run.encode()))
        start = time.time()
        ids = ours.encode(text, False)
        print(f"1 MB of {run!r}: {len(ids)} ids in {time.time() - start:.2f} s")
    sys.exit(bool(wrong) or not same_merges or not same_ids)


if __name__ == "__main__":
    files = sys.argv[2:] or sorted(glob.glob("/usr/share/common-licenses/*"))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000, files)
