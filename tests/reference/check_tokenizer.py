"""Compares the tokenizer with the tokenizers library.
    check_tokenizer.py --train VOCABULARY [TEXT FILE...]
        training, the files it saves (also opened by transformers' AutoTokenizer), encoding and decoding
    check_tokenizer.py --tokenizer DIR [--strings N] [--texts FOLDER]
        a ready tokenizer: N random strings, every line of the text files of a folder, and the speed of one thread
Needs tokenizers and transformers."""

import argparse
import ctypes
import glob
import json
import os
import random
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import native

P, I64, SIZE, BOOL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t, ctypes.c_bool


class Ids(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_int32)), ("count", I64), ("capacity", I64)]


lib = native.build("src/formats/*token*.c", "src/formats/tables.c", "src/formats/byte_symbols.c", "src/formats/unicode*.c")
lib.gr_tokenizer_train.argtypes = [P, P, I64, I64, P]
lib.gr_tokenizer_save.argtypes = [P, ctypes.c_char_p, ctypes.c_char_p]
lib.gr_tokenizer_load.argtypes = [ctypes.c_char_p, P]
lib.gr_tokenizer_encode.argtypes = [P, ctypes.c_char_p, SIZE, BOOL, P]
lib.gr_tokenizer_decode.argtypes = [P, P, I64, BOOL, P, P]
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
        native.check(lib, lib.gr_tokenizer_save(self.handle, folder.encode(), None))

    def encode(self, text, special):
        raw, ids = text.encode(), Ids()
        native.check(lib, lib.gr_tokenizer_encode(self.handle, raw, len(raw), special, ctypes.byref(ids)))
        out = ids.data[:ids.count]
        lib.gr_ids_fini(ctypes.byref(ids))
        return out

    def count(self, text):
        """Encodes and forgets: for timing."""
        raw, ids = text.encode(), Ids()
        native.check(lib, lib.gr_tokenizer_encode(self.handle, raw, len(raw), False, ctypes.byref(ids)))
        count = ids.count
        lib.gr_ids_fini(ctypes.byref(ids))
        return count

    def decode(self, ids, skip):
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        native.check(lib, lib.gr_tokenizer_decode(self.handle, (ctypes.c_int32 * len(ids))(*ids), len(ids), skip,
                                                  ctypes.byref(text), ctypes.byref(size)))
        out = ctypes.string_at(text, size.value).decode()
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


def random_character(rng):
    """Any code point but surrogates; scripts and combining marks more often than chance has it."""
    low, high = rng.choice([(0, 0x80), (0, 0x80), (0x80, 0x250), (0x250, 0x3000), (0x300, 0x370), (0x300, 0x1000),
                            (0x900, 0xE00), (0x1100, 0x1200), (0x1AB0, 0x1B00), (0x2000, 0x2070), (0x3000, 0xD800),
                            (0xAC00, 0xD7B0), (0xE000, 0x10000), (0x10000, 0x20000), (0x11000, 0x12000), (0x20000, 0x110000)])
    return chr(rng.randrange(low, high))


WORDS = ["'s", "'LL", "'ſ", "\r\n", "\n", "  ", " ", "\t", "<|im_end|>", "<img>", "</img", "<", "ſ", "é", "e\u0301", "12", "ab",
         "\u0301\u0323", "\u094d", "\u1100\u1161\u11a8", "The", " the"]


def random_text(rng):
    return "".join(rng.choice(WORDS) if rng.random() < 0.3 else random_character(rng) for _ in range(rng.randrange(30)))


def compare(name, ours, reference, texts, decode=True):
    """How many texts have other ids, with added tokens looked for and without; or decode to another text. A text with a byte
    that the vocabulary lacks is refused by us and loses the byte in the library: counted apart."""
    count, wrong, first, refused = 0, 0, None, 0
    for text in texts:
        count += 1
        for special in (True, False):
            reference.encode_special_tokens = not special
            want = reference.encode(text, add_special_tokens=False).ids
            try:
                good = ours.encode(text, special) == want
            except ValueError as error:
                good = "for which the vocabulary has no token" in str(error) and \
                    reference.decode(want, skip_special_tokens=False) != text
                refused += good
                if good:
                    break
            if good and decode:
                good = ours.decode(want, False) == reference.decode(want, skip_special_tokens=False)
            if not good:
                wrong += 1
                first = first or text
                break
    print(f"{name}: {count - wrong} of {count} alike" + (f" ({refused} refused)" if refused else "") + (f", first other {first!r}" if wrong else ""), flush=True)
    return wrong


def read_texts(paths):
    out = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            out.append(file.read())
    return out


def check_saved(folder, texts):
    """transformers opens what we saved, with the same ids."""
    from transformers import AutoTokenizer
    auto, ours = AutoTokenizer.from_pretrained(folder), Ours().load(folder)
    wrong = [t for t in texts if auto(t, add_special_tokens=False)["input_ids"] != ours.encode(t, True)]
    print(f"AutoTokenizer ({type(auto).__name__}): {len(texts) - len(wrong)} of {len(texts)} alike", wrong[:1])
    return len(wrong)


def check_training(vocabulary, paths):
    texts = read_texts(paths)
    print(f"{len(texts)} files, {sum(len(t.encode()) for t in texts) / 1e6:.1f} MB, {vocabulary} ids")
    start = time.time()
    ours = Ours().train(texts, vocabulary)
    middle = time.time()
    reference = train_reference(texts, vocabulary - 12)
    print(f"trained in {middle - start:.1f} s; the library took {time.time() - middle:.1f} s")
    rng = random.Random(7)
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    samples = rng.sample(lines, min(3000, len(lines))) + [text[:100000] for text in texts[:20]]
    with tempfile.TemporaryDirectory() as folder:
        ours.save(folder)
        saved = json.load(open(os.path.join(folder, "tokenizer.json"), encoding="utf-8"))
        theirs = json.loads(reference.to_str())
        same = pairs_of(saved["model"]["merges"]) == pairs_of(theirs["model"]["merges"])
        same = saved["model"]["vocab"] == theirs["model"]["vocab"] and same
        print(f"same merges and ids: {same}")
        wrong = check_saved(folder, samples[:500]) + (not same)
        reference = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        again = Ours().load(folder)
        reference.save(os.path.join(folder, "tokenizer.json"))
        theirs = Ours().load(folder)
    for name, tokenizer in (("trained", ours), ("loaded", again), ("loaded from the library's file", theirs)):
        wrong += compare(name + ", lines and files", tokenizer, reference, samples)
        wrong += compare(name + ", random strings", tokenizer, reference, (random_text(rng) for _ in range(5000)))
    return wrong


def pages(text, size=4000):
    """The lines of a text in pieces of about `size` characters."""
    out, page = [], []
    for line in text.splitlines(keepends=True):
        page.append(line)
        if sum(map(len, page)) >= size:
            out.append("".join(page))
            page = []
    return out + ["".join(page)]


def check_pages(ours, reference, text):
    """Pages with other ids, and the seconds that we and the library took for all: page by page in turns, in processor time
    of this thread. The faster one of the library's two calls counts."""
    wrong, mine, theirs, fast, clock = 0, 0.0, 0.0, 0.0, time.thread_time
    for page in pages(text):
        times = [clock()]
        ours.count(page)
        times.append(clock())
        want = reference.encode(page, add_special_tokens=False)
        times.append(clock())
        reference.encode_batch_fast([page], add_special_tokens=False)
        times.append(clock())
        mine, theirs, fast = (total + end - begin for total, begin, end in zip((mine, theirs, fast), times, times[1:]))
        wrong += ours.encode(page, False) != want.ids
    return wrong, mine, min(theirs, fast)


def check_texts(ours, reference, folder):
    """Every file at once, then page by page: different stretches end in different ways."""
    bad, all_mine, all_theirs, all_size = 0, 0.0, 0.0, 0.0
    reference.encode_special_tokens = True
    for path in sorted(glob.glob(os.path.join(folder, "*.txt"))):
        text = open(path, encoding="utf-8").read()
        size = len(text.encode()) / 1e6
        same = ours.encode(text, False) == reference.encode(text, add_special_tokens=False).ids
        wrong, mine, theirs = check_pages(ours, reference, text)
        print(f"{os.path.basename(path)}, {size:.1f} MB: whole {'alike' if same else 'DIFFERENT'}, {wrong} pages differ; "
              f"{size / mine:.1f} MB/s, the library {size / theirs:.1f} MB/s, ratio {theirs / mine:.1f}", flush=True)
        bad += wrong + (not same)
        all_mine, all_theirs, all_size = all_mine + mine, all_theirs + theirs, all_size + size
    print(f"{all_size:.1f} MB: {all_size / all_mine:.1f} MB/s, the library {all_size / all_theirs:.1f} MB/s, "
          f"ratio {all_theirs / all_mine:.2f}")
    return bad


def check_long():
    """Runs of a million bytes: none may take a time in the square of its length."""
    for run in ("a", " ", "\n", "中", "!", "ab", "1", "\u0301", "\u0301\u0323"):
        text = run * (1000000 // len(run.encode()))
        start = time.time()
        print(f"  1 MB of {run!r}: {OURS.count(text)} ids in {time.time() - start:.2f} s")


def check_ready(folder, strings, texts):
    global OURS
    start = time.time()
    OURS = Ours().load(folder)
    middle = time.time()
    reference = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    print(f"loaded in {middle - start:.2f} s; the library took {time.time() - middle:.2f} s")
    rng = random.Random(11)
    wrong = compare("random strings", OURS, reference, (random_text(rng) for _ in range(strings)))
    if texts:
        wrong += check_texts(OURS, reference, texts)
    check_long()
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, metavar="VOCABULARY")
    parser.add_argument("--tokenizer", metavar="DIR")
    parser.add_argument("--strings", type=int, default=100000)
    parser.add_argument("--texts", metavar="FOLDER")
    parser.add_argument("files", nargs="*")
    a = parser.parse_args()
    bad = 0
    if a.tokenizer:
        bad += check_ready(a.tokenizer, a.strings, a.texts)
    if a.train or not a.tokenizer:
        bad += check_training(a.train or 4000, a.files or sorted(glob.glob("/usr/share/common-licenses/*")))
    sys.exit(bool(bad))
