"""Writes src/formats/unicode_ranges.h: which code points the tokenizers library takes for letters, numbers, digits and white
space, and which its NFC can change. Asked of the library itself, one code point at a time, because it follows three
versions of Unicode at once. Needs tokenizers and clang-format."""

import os
import subprocess
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

OUT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "src", "formats",
                   "unicode_ranges.h")
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NFC, NFD = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str


def matches(expression):
    split = pre_tokenizers.Split(Regex(expression), "removed")
    return {c for c in POINTS if not split.pre_tokenize_str(chr(c))}


def digits():
    split = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in POINTS if len(split.pre_tokenize_str("!" + chr(c))) == 2}


def hangul(first, second):
    return (0x1100 <= first < 0x1113 and 0x1161 <= second < 0x1176) or \
           (0xAC00 <= first < 0xD7A4 and (first - 0xAC00) % 28 == 0 and 0x11A8 <= second < 0x11C3)


def compositions():
    """Pairs that the library composes."""
    pairs = set()
    for c in POINTS:
        parts = [int(p, 16) for p in unicodedata.decomposition(chr(c)).split() if not p.startswith("<")]
        if len(parts) == 2 and not unicodedata.decomposition(chr(c)).startswith("<"):
            pairs.add(tuple(parts))
    firsts = list(range(0x1100, 0x1113)) + list(range(0xAC00, 0xD7A4, 28))
    seconds = list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3))
    pairs |= {(a, b) for a in firsts for b in seconds if hangul(a, b)}
    return {(a, b) for a, b in pairs if len(NFC(chr(a) + chr(b))) == 1}


def reordered(c):
    """Has a combining class other than 0: moves before U+0345 (class 240), or lets U+0334 (class 1) pass."""
    return NFC("\u0345" + chr(c)) != "\u0345" + NFC(chr(c)) or NFC(chr(c) + "\u0334") != NFC(chr(c)) + "\u0334" \
        or c in (0x0345, 0x0334)


def ranges(points):
    out = []
    for c in sorted(points):
        # Surrogates are no characters; a range may pass over them.
        if out and (c == out[-1][1] + 1 or (out[-1][1] == 0xD7FF and c == 0xE000)):
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(name, comment, points):
    found = ranges(points)
    body = ", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in found)
    return f"/// {comment}\nstatic const gri_range {name}[] = {{{body}}};\n\n"


def main():
    letters, numbers, spaces = matches(r"\p{L}"), matches(r"\p{N}"), matches(r"\s")
    pairs = compositions()
    movable = {c for c in POINTS if NFC(chr(c)) != chr(c) or reordered(c)} | {b for _, b in pairs}
    text = (
        "#ifndef SRC_FORMATS_UNICODE_RANGES_H\n#define SRC_FORMATS_UNICODE_RANGES_H\n\n"
        "/// Made by tests/reference/make_unicode_ranges.py from the behaviour of the tokenizers library "
        f"{tokenizers.__version__}: first and\n/// last code point of every range. Do not edit.\n\n"
        "#include <stdint.h>\n\ntypedef struct gri_range {\n    uint32_t first, last;\n} gri_range;\n\n"
        + table("gri_letters", r"\\p{L} of its expressions (Unicode 16).".replace("\\\\", "\\"), letters)
        + table("gri_numbers", r"\p{N} of its expressions (Unicode 16).", numbers)
        + table("gri_more_digits", "What its step Digits takes besides (Unicode 17).", digits() - numbers)
        + table("gri_spaces", r"\s of its expressions.", spaces)
        + table("gri_nfc_movable", "What its NFC (Unicode 9) may replace, move, or compose with a character before.", movable)
        + table("gri_nfc_first", "What a movable character behind it may change: it composes, or is composed.",
                ({a for a, _ in pairs} | {c for c in POINTS if NFD(chr(c)) != chr(c)}) - movable)
        + "#endif\n")
    assert numbers <= digits()
    with open(OUT, "w", encoding="utf-8") as out:
        out.write(text)
    subprocess.run(["clang-format", "-i", OUT], check=True)
    print(len(letters), "letters,", len(numbers), "numbers,", len(spaces), "spaces,", len(movable), "movable,", len(pairs), "pairs")


main()
