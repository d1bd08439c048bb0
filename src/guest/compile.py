"""Byte-compiles the image's Python modules inside a sandbox, as Debian's maintainer scripts would on a real system.

For each module on sys.path that has no current .pyc file: one JSON line {"path", "bytes"} on stdout, then that many bytes of
the .pyc file.
"""
import importlib.util
import json
import os
import sys
from importlib._bootstrap_external import _code_to_timestamp_pyc

SKIP = {"test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip", "__pycache__", "pydoc_data", "tkinter", "distutils"}


def modules():
    for root in sys.path:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in SKIP)
            if folder != root and folder in sys.path:
                folders.clear()
                continue
            for name in sorted(files):
                if name.endswith(".py"):
                    yield os.path.join(folder, name)


def is_current(path, about):
    """Whether the .pyc file belongs to this source: PEP 552, with a timestamp."""
    try:
        with open(importlib.util.cache_from_source(path), "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    stamp = int(about.st_mtime).to_bytes(4, "little") + (about.st_size & 0xFFFFFFFF).to_bytes(4, "little")
    return head == importlib.util.MAGIC_NUMBER + b"\0\0\0\0" + stamp


def main():
    out = sys.stdout.buffer
    for path in modules():
        try:
            about = os.stat(path)
            if is_current(path, about):
                continue
            with open(path, "rb") as file:
                source = file.read()
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, OSError, RecursionError):
            continue
        data = _code_to_timestamp_pyc(code, int(about.st_mtime), about.st_size & 0xFFFFFFFF)
        header = {"path": importlib.util.cache_from_source(path), "bytes": len(data)}
        out.write(json.dumps(header).encode() + b"\n" + data)
    out.flush()


main()
