#!/usr/bin/env python3
"""Turns the packages that fetch-data.sh downloaded into captioned pictures and text in LLaVA form.

captions.py says how captions are made. A tenth of the pictures, chosen by the digest of their files, is
held out: nothing that learns ever sees them or their captions.

usage: convert-data.py OUTDIR     (OUTDIR/packages holds the .deb files)
"""

import collections
import glob
import gzip
import hashlib
import html
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET

from captions import DRAWING_KINDS, STAMP_KINDS, Words, caption, drawing_name, kind_of, squeeze, stamp_name

QUESTION = "What is in this picture?"
HELD_OUT = 26              # of 256 values of the first byte of a digest
MIN_SIDE, MAX_SIDE, MAX_ASPECT = 24, 2048, 5
MAX_ICONS = 150
TEXT_WORDS = (5, 120)      # of one piece of text

# ---------------------------------------------------------------------------------------------------------------------
# Packages


def package_file(out, package):
    return max(glob.glob(os.path.join(out, "packages", package + "_*.deb")))


def archive_stream(path):
    """The data archive of a .deb: through dpkg-deb, which knows all compressions, or by ourselves."""
    if shutil.which("dpkg-deb"):
        return subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE).stdout
    with open(path, "rb") as f:      # ar: a magic line, then members with a 60-byte header, padded to even sizes
        f.seek(8)
        while header := f.read(60):
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                return io.BytesIO(f.read(size))
            f.seek(size + size % 2, 1)
    sys.exit("convert-data.py: %s holds no data archive" % path)


def files_of(out, package, pattern):
    """Name (below /usr/share) and bytes of the package's regular files that match."""
    path = package_file(out, package)
    print("convert-data.py: reading %s" % os.path.basename(path), flush=True)
    with tarfile.open(fileobj=archive_stream(path), mode="r|*") as tar:
        for member in tar:
            name = member.name.split("usr/share/", 1)[-1]
            if member.isfile() and re.fullmatch(pattern, name):
                yield name, tar.extractfile(member).read()


# ---------------------------------------------------------------------------------------------------------------------
# Stamps: a sentence each


def stamps(out, words):
    sentences, pictures = {}, {}
    for name, data in files_of(out, "tuxpaint-stamps-default", r"tuxpaint/stamps/.*\.(txt|png)"):
        base = name[len("tuxpaint/stamps/"):-4]
        if name.endswith(".txt"):
            sentences[base] = squeeze(data.decode("utf-8", "replace").split("\n")[0])
        else:
            pictures[base] = data
    for base in sorted(pictures):
        kind = kind_of(base, STAMP_KINDS)
        if kind and sentences.get(base):
            name = stamp_name(base + ".png", sentences[base], kind, words)
            if name:
                yield "stamps/" + base + ".png", kind, name, pictures[base]


# ---------------------------------------------------------------------------------------------------------------------
# Drawings: title, keywords and file name


def drawing_details(data):
    """Title and keywords in an SVG file's metadata."""
    dc = "{http://purl.org/dc/elements/1.1/}"
    try:
        work = next((e for e in ET.fromstring(data).iter() if e.tag.endswith("}Work")), None)
    except ET.ParseError:
        return "", []
    if work is None:
        return "", []
    keywords = [squeeze(e.text) for e in work.iter() if e.tag.endswith("}li")]
    return squeeze(work.findtext(dc + "title")), [k for k in dict.fromkeys(keywords) if k]


def drawings(out, words):
    details = {}
    for name, data in files_of(out, "openclipart-svg", r"openclipart/svg/.*\.svg"):
        details[name[len("openclipart/svg/"):-4]] = drawing_details(data)
    common = collections.Counter(title.lower() for title, _ in details.values())
    common.update("keyword " + k for _, keywords in details.values() for k in keywords)
    named = {}
    for base in sorted(details):
        kind = kind_of(base, DRAWING_KINDS)
        name = drawing_name(base, *details[base], kind, words, common) if kind else None
        if name is not None:
            named[base] = (kind, name)
    icons = sorted((b for b in named if named[b][0] == "icon"), key=lambda b: hashlib.sha256(b.encode()).digest())
    for base in icons[MAX_ICONS:]:
        del named[base]
    for name, data in files_of(out, "openclipart-png", r"openclipart/png/.*\.png"):
        base = name[len("openclipart/png/"):-4]
        if base in named:
            yield "drawings/" + base + ".png", *named[base], data


# ---------------------------------------------------------------------------------------------------------------------
# Text


def text_pieces(title, paragraphs):
    """Paragraphs under their title, in pieces of at most TEXT_WORDS[1] words."""
    piece, words = [], 0
    for paragraph in paragraphs + [None]:
        n = len(paragraph.split()) if paragraph else 0
        if piece and (paragraph is None or words + n > TEXT_WORDS[1]):
            if words >= TEXT_WORDS[0]:
                yield title, "\n".join(piece)
            piece, words = [], 0
        if paragraph and n <= TEXT_WORDS[1]:
            piece.append(paragraph)
            words += n


def help_pages(out):
    m = "{http://projectmallard.org/1.0/}"
    for name, data in files_of(out, "gnome-user-docs", r"help/C/(gnome-help|system-admin-guide)/.*\.page"):
        root = ET.fromstring(data)
        title = root.find(m + "title")
        paragraphs = [squeeze("".join(e.itertext())) for e in root.iter(m + "p")]
        if title is not None:
            yield from text_pieces(squeeze("".join(title.itertext())), [p for p in paragraphs if p])


def dictionary_entries(out):
    """dictd form: an index of word, offset and length (base 64) into a compressed text."""
    digits = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}

    def number(text):
        value = 0
        for c in text:
            value = value * 64 + digits[c]
        return value

    files = dict(files_of(out, "dict-foldoc", r"dictd/foldoc\.(index|dict\.dz)"))
    text = gzip.decompress(files["dictd/foldoc.dict.dz"])
    places = {}
    for line in files["dictd/foldoc.index"].decode().splitlines():
        word, start, length = line.split("\t")[:3]
        if not word.startswith("00"):
            places[number(start)] = number(length)
    for start, length in sorted(places.items()):
        head, _, body = text[start:start + length].decode("utf-8", "replace").partition("\n\n")
        body = re.sub(r"\(\d{4}-\d\d-\d\d\)|[{}]|<[^>]*>|\[[^]]*\]", "", html.unescape(body))
        paragraphs = [squeeze(p) for p in re.split(r"\n\s*\n", body)]
        yield from list(text_pieces(squeeze(head.split("\n")[0]), [p for p in paragraphs if p]))[:1]


# ---------------------------------------------------------------------------------------------------------------------
# Output


def size_of_png(data):
    return struct.unpack(">II", data[16:24]) if data[:8] == b"\x89PNG\r\n\x1a\n" else (0, 0)


def good_size(data):
    low, high = sorted(size_of_png(data))
    return MIN_SIDE <= low and high <= MAX_SIDE and high <= MAX_ASPECT * low


def conversation(human, gpt):
    return [{"from": "human", "value": human}, {"from": "gpt", "value": gpt}]


def write_json(path, entries):
    """By renaming: a file of this name is whole."""
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump(entries, f, ensure_ascii=False, indent=1)
    os.rename(path + ".part", path)


def make_pictures(out, words):
    """Writes the pictures and returns the entries to train on, the held-out ones, and the kinds."""
    folder = os.path.join(out, "images")
    shutil.rmtree(folder, ignore_errors=True)
    train, held_out, seen, kinds = [], [], set(), collections.Counter()
    for source in (stamps(out, words), drawings(out, words)):
        for path, kind, name, data in source:
            digest = hashlib.sha256(data).digest()
            if digest in seen or not good_size(data):
                continue
            seen.add(digest)
            target = os.path.join(folder, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as f:
                f.write(data)
            kinds[kind] += 1
            entries = held_out if digest[0] < HELD_OUT else train
            entries.append({"id": path[:-4], "image": path,
                            "conversations": conversation("<image>\n" + QUESTION, caption(kind, name))})
    return train, held_out, kinds


def captions_alone(entries):
    """The captions with words in the pictures' place, three times each: all of their words, the kind alone,
    the name alone. A language model that has read them looks at what stands before a question; the
    connector then has something to learn: to put a picture there."""
    alone = []
    for entry in entries:
        said = entry["conversations"][1]["value"]
        kind, _, name = said.rstrip(".").partition(": ")
        kind = re.sub("^(An?|Some) ", "", kind)
        for hint in (kind + " " + name, kind, name or kind):
            alone.append({"id": "%s.%d" % (entry["id"], len(alone)),
                          "conversations": conversation(hint + "\n" + QUESTION, said)})
    return alone


def make_text(out, words):
    entries, seen = [], set()
    for source, pieces in (("help", help_pages(out)), ("foldoc", dictionary_entries(out)),
                           ("wordnet", words.explanations())):
        for title, body in pieces:
            if (body.isascii() and title.isascii() and (title, body) not in seen
                    and TEXT_WORDS[0] <= len(body.split()) and len(body) <= 8 * TEXT_WORDS[1]):
                seen.add((title, body))
                entries.append({"id": "%s.%d" % (source, len(entries)), "conversations": conversation(title + "\n", body)})
    return entries


def report(pictures, kinds, text):
    captions = [e["conversations"][1]["value"] for e in pictures]
    vocabulary = collections.Counter(w for c in captions for w in re.findall(r"[\w']+", c.lower()))
    uses = sum(vocabulary.values())
    often = [n for n in vocabulary.values() if n >= 5]
    print("pictures: %d of %d kinds; captions: %d different, %.1f words on average" %
          (len(pictures), len(kinds), len(set(captions)), uses / len(captions)))
    print("caption words: %d different; the %d that occur 5 times or more make %.0f %% of all" %
          (len(vocabulary), len(often), 100 * sum(often) / uses))
    print("kinds: " + ", ".join("%s %d" % k for k in kinds.most_common()))
    for i in range(10):
        entry = pictures[(2 * i + 1) * len(pictures) // 20]
        print("  %-60s %s" % (entry["image"][-60:], entry["conversations"][1]["value"]))
    words = collections.Counter()
    for entry in text:
        words[entry["id"].split(".")[0]] += sum(len(c["value"].split()) for c in entry["conversations"])
    print("text: %d pieces, words: %s" % (len(text), ", ".join("%s %d" % w for w in words.items())))
    for i in range(3):
        piece = text[(2 * i + 1) * len(text) // 6]["conversations"]
        print("  %s: %.90s" % (piece[0]["value"].strip(), piece[1]["value"].replace("\n", " ")))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    out = sys.argv[1]
    words = Words(files_of(out, "wordnet-base", r"wordnet/(index\.(noun|adj|verb)|data\.noun|noun\.exc)"))
    text = make_text(out, words)
    train, held_out, kinds = make_pictures(out, words)
    write_json(os.path.join(out, "text.json"), text)
    write_json(os.path.join(out, "captions.json"), captions_alone(train))
    write_json(os.path.join(out, "held-out.json"), held_out)
    write_json(os.path.join(out, "pictures.json"), train)  # the last one: says that all is there
    report(train + held_out, kinds, text)
    print("held out: %d pictures" % len(held_out))


if __name__ == "__main__":
    main()
