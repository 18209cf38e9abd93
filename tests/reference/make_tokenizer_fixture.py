"""Makes tests/fixtures/tokenizer and tokenizer_smollm2: small tokenizer.json files trained and written by the tokenizers
library in Qwen2's and in SmolLM2's form, and expected.json with what the library makes of a list of texts. Needs
tokenizers."""

import json
import os

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, "tests", "fixtures")
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>",
         "<ref>", "</ref>", "<box>", "</box>"]
PROSE = """
The quick brown fox doesn't jump over the lazy dog; it's asleep. I'm sure they'll say we've seen 12 of 345 foxes.
图像中有一只狐狸和一条狗。这张图片里有两个红色的圆形和一个蓝色的方块。
La façade du café était déjà fermée; l'été, on y mange très bien. Où êtes-vous allés?
Лиса прыгает через ленивую собаку. Сколько красных кругов на картинке?
What is in the image? A red circle above a blue square. How many shapes are there? There are three shapes.
def area(radius):\n    return 3.14159 * radius ** 2\n\nfor i in range(10):\n\tprint(area(i))\n
"""
TEXTS = [
    "", "Hello world", " Hello world", "I'm  fine,\n\n  ok 123!", "DON'T you'll", "你好，世界 2024年", "a\t b   c  ",
    "x=1;\n\ty", "foo_bar(baz)...\r\n\r\nend", "  \n lead", "Ⅷ½ ٣", "e\u0301te\u0301", "The red circle", "the THE The",
    "图像中有一只狐狸", "Где красный круг?", "naïve façade", "👩‍👩‍👧‍👦 family 🇫🇷", "\u0000\u0001\u007f", "a\u0085b\u00a0c\u180ed\u2003e\u3000f",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "   ", "\n\n\n", "\r\n", " \r\n \n x", "it'S we'Re I'LL 'ſ", "한국어 \u1112\u1161\u11ab",
    "<|im_start|>user\nHi<|im_end|>\n", "<img><IMG_CONTEXT><IMG_CONTEXT></img>\nWhat?", "a<box>[[1, 2]]</box>b", "<|im_end", "<<img>>",
    "<|endoftext|><|endoftext|>", "\u0338<img>\u0338", "\u2126\u212b\ufb01", "a\u0323\u0307\u0301", "∑∫√ ≠ ≤", "https://example.org/a?b=c&d=1#e",
    "for i in range(10):\n\tprint(area(i))", "1234567890", "\uffff\U0010ffff\ue000", "'", "''s", "can't've", "é\u0323", "a\u0898\u0323", "\u1100\u1161\u11a8 \uac00\u11a8", "x  12 345\n\n y", "\u0301\u0323\u094d\u093c",
    "\U00011935\U00011930", "\u1c89\U00016ff4 \U00011de0",
]


def make_qwen2():
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    train(tokenizer, 900)
    return tokenizer


def make_smollm2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    train(tokenizer, 600)
    return tokenizer


def train(tokenizer, vocabulary):
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    license_text = open(os.path.join(ROOT, "LICENSE"), encoding="utf-8").read()
    tokenizer.train_from_iterator([PROSE] * 20 + [license_text], trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ADDED])


def expectation(tokenizer, text, special):
    tokenizer.encode_special_tokens = not special
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return {"text": text, "special": special, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}


def main():
    for name, make in (("tokenizer", make_qwen2), ("tokenizer_smollm2", make_smollm2)):
        folder = os.path.join(OUT, name)
        os.makedirs(folder, exist_ok=True)
        tokenizer = make()
        tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
        expected = [expectation(tokenizer, text, special) for text in TEXTS for special in (True, False)
                    if special or "<" in text]
        with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as out:
            json.dump(expected, out, ensure_ascii=False, indent=0)
            out.write("\n")
        print(name, len(expected), "expectations,", tokenizer.get_vocab_size(), "ids")


main()
