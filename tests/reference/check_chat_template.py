#!/usr/bin/env python3
"""Renders gr_chat_jinja of every template with transformers and compares its tokens with those of gr_chat_encode and
gr_chat_prompt. Not run by CI. Needs transformers, jinja2.
Usage: check_chat_template.py"""

import ctypes
import itertools
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

import native

P, I64, SIZE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t
TURNS = [
    [("user", "What is it?"), ("assistant", "A cat.")],
    [("system", "Be brief, it's \\ late."), ("user", "One\nline"), ("assistant", "Two"), ("user", "and?"), ("assistant", "")],
    [("user", "{{ odd }} {% text %} \u4f60\u597d"), ("assistant", " spaces ")],
]


class Turn(ctypes.Structure):
    _fields_ = [("assistant", ctypes.c_bool), ("system", ctypes.c_bool), ("text", ctypes.c_char_p), ("size", SIZE)]


class Options(ctypes.Structure):
    _fields_ = [("template", P), ("system", ctypes.c_char_p), ("all_text", ctypes.c_bool), ("image_tokens", I64)]


class Ids(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_int32)), ("count", I64), ("capacity", I64)]


class Sample(ctypes.Structure):
    _fields_ = [("ids", Ids), ("targets", Ids), ("image_rows", Ids)]


lib = native.build("src/formats/*token*.c", "src/formats/tables.c", "src/formats/byte_symbols.c", "src/formats/unicode*.c",
                   "src/formats/chat*.c")
lib.gr_chat_template_find.restype = P


def tokenizer():
    """Bytes alone, with the two tokens of a thought."""
    import json
    import tempfile
    handle = P()
    native.check(lib, lib.gr_tokenizer_train(None, None, I64(0), I64(268), ctypes.byref(handle)))
    with tempfile.TemporaryDirectory() as folder:
        native.check(lib, lib.gr_tokenizer_save(handle, folder.encode(), None))
        with open(folder + "/tokenizer.json") as f:
            content = json.load(f)
        for n, text in enumerate(("<think>", "</think>")):
            content["added_tokens"].append(dict(content["added_tokens"][0], id=268 + n, content=text, special=False))
        with open(folder + "/tokenizer.json", "w") as f:
            json.dump(content, f)
        native.check(lib, lib.gr_tokenizer_load(folder.encode(), ctypes.byref(handle)))
    return handle


def main():
    names = ctypes.c_char_p.in_dll(lib, "gr_chat_template_names").value.decode().split(", ")
    handle, compared = tokenizer(), 0
    for name, system, turns, prompt in itertools.product(names, (None, "", "It's\n\\own"), TURNS, (False, True)):
        options = Options(lib.gr_chat_template_find(name.encode()), system.encode() if system is not None else None, False, 0)
        jinja, sample, ids = P(), Sample(), Ids()
        native.check(lib, lib.gr_chat_jinja(ctypes.byref(options), ctypes.byref(jinja)))
        turns = turns[:-1] if prompt else turns
        messages = [{"role": r, "content": c} for r, c in turns]
        text = _compile_jinja_template(ctypes.string_at(jinja).decode()).render(messages=messages, add_generation_prompt=prompt)
        native.check(lib, lib.gr_tokenizer_encode(handle, text.encode(), SIZE(len(text.encode())), ctypes.c_bool(True),
                                                  ctypes.byref(ids)))
        raw = [c.encode() for _, c in turns]
        ours = (Turn * len(turns))(*[Turn(r == "assistant", r == "system", c, len(c)) for (r, _), c in zip(turns, raw)])
        make = lib.gr_chat_prompt if prompt else lib.gr_chat_encode
        native.check(lib, make(handle, ctypes.byref(options), ours, I64(len(turns)), I64(0), None, ctypes.byref(sample)))
        got, want = ids.data[:ids.count], sample.ids.data[:sample.ids.count]
        if got != want:
            sys.exit("%s, system %r, prompt %s: %r gives %s, expected %s" % (name, system, prompt, text, got, want))
        compared += 1
    print("%d conversations in %d templates: the same tokens" % (compared, len(names)))


main()
