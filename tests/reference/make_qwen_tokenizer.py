"""Writes Qwen2.5's tokenizer (tokenizer.json as the tokenizers library saves it) from its ranks in tiktoken's form, which
the Python package dashscope carries (dashscope/resources/qwen.tiktoken): a token's merge is the pair that the
merges before it leave of its bytes. Usage: make_qwen_tokenizer.py QWEN.tiktoken OUTDIR. Needs tokenizers."""

import base64
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
           "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
           "<|image_pad|>", "<|video_pad|>"]
PLAIN = ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
         "<|file_sep|>"]
IMAGE = ["<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]


def symbols():
    """Characters of the 256 bytes, as GPT-2 has them."""
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    rest = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}


def parts_of(token, ranks):
    """What the merges of lower rank leave of a token."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while True:
        found = [(ranks.get(parts[i] + parts[i + 1], ranks[token]), i) for i in range(len(parts) - 1)]
        rank, i = min(found)
        if rank >= ranks[token]:
            return parts
        parts[i:i + 2] = [parts[i] + parts[i + 1]]


def build(path):
    ranks = {}
    with open(path, "rb") as file:
        for line in file:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    names = symbols()
    name = {token: "".join(names[b] for b in token) for token in ranks}
    merges = []
    for token in sorted(ranks, key=ranks.get):
        if len(token) > 1:
            parts = parts_of(token, ranks)
            assert len(parts) == 2, (token, parts)
            merges.append((name[parts[0]], name[parts[1]]))
    assert len(ranks) == 151643 and len(merges) == 151387
    tokenizer = Tokenizer(models.BPE({name[token]: rank for token, rank in ranks.items()}, merges, fuse_unk=False,
                                     continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN])
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in IMAGE])
    return tokenizer


def main(path, folder):
    tokenizer = build(path)
    # Ids that are known of the published tokenizer.
    known = {"Hello world": [9707, 1879], " Hello world": [21927, 1879], "\n": [198], "system": [8948], "user": [872],
             "assistant": [77091], "You are a helpful assistant.": [2610, 525, 264, 10950, 17847, 13], "<|im_end|>": [151645],
             "<IMG_CONTEXT>": [151667], "</box>": [151673]}
    for text, ids in known.items():
        assert tokenizer.encode(text).ids == ids, (text, tokenizer.encode(text).ids)
    os.makedirs(folder, exist_ok=True)
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    print(tokenizer.get_vocab_size(), "ids in", folder)


main(*sys.argv[1:])
