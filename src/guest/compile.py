"""Byte-compiles the image's Python modules inside a sandbox, as Debian's maintainer scripts would on a real system.

For each file to add, the .pyc files of modules on sys.path that have no current one, and the module `offshoot`: one JSON line
{"path", "bytes"} on stdout, then that many bytes.
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


OFFSHOOT = b'''"""Offshoot, seen from inside. The program of a template has this module from the agent instead."""


def after_fork(function):
    """Calls function() in every fork of the template. Returns function. This process is no template: there is nothing to do."""
    return function
'''


def send(path, data):
    header = {"path": path, "bytes": len(data)}
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + data)


def main():
    for path in sys.path:
        if os.path.basename(path) in ("site-packages", "dist-packages"):
            send(os.path.join(path, "offshoot.py"), OFFSHOOT)
            break
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
        send(importlib.util.cache_from_source(path), data)
    sys.stdout.flush()


main()
