"""Compiles parts of the sources into a shared library for ctypes. Used by the scripts beside it, never by CI."""

import ctypes
import glob
import os
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = ["jansson", "yaml-0.1", "libxxhash", "libwebp", "libjpeg", "libpng", "libpcre2-8", "libutf8proc"]


def build(*patterns):
    """A library of src/base and of the source files that match."""
    sources = sum((sorted(glob.glob(os.path.join(ROOT, p))) for p in ("src/base/*.c",) + patterns), [])
    flags = subprocess.run(["pkg-config", "--cflags", "--libs"] + PACKAGES, check=True, capture_output=True, text=True)
    path = os.path.join(tempfile.mkdtemp(), "gradus.so")
    command = ["cc", "-std=c17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-D_GNU_SOURCE", "-shared", "-fPIC", "-I" + ROOT]
    subprocess.run(command + sources + ["-o", path] + flags.stdout.split() + ["-lm", "-lpthread"], check=True)
    library = ctypes.CDLL(path, mode=os.RTLD_LAZY)
    library.gr_err_message.restype = ctypes.c_char_p
    library.gr_mem_free.argtypes = [ctypes.c_void_p]
    return library


def check(library, status):
    if status != 0:
        raise ValueError(library.gr_err_message().decode("utf-8", "replace"))
