"""Byte-compiles the image's Python modules inside a sandbox, as Debian's maintainer scripts would on a real system.

For each module: one JSON line {"path", "bytes"} on stdout, then that many bytes of the .pyc file.
"""
import importlib.util
import json
import os
import sys
from importlib._bootstrap_external import _code_to_timestamp_pyc

SKIP = {"test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip", "__pycache__", "pydoc_data", "tkinter", "distutils"}


def modules():
    for root in ("/usr/lib/python3.11", "/usr/lib/python3.12", "/usr/lib/python3.13", "/usr/lib/python3/dist-packages"):
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in SKIP)
            for name in sorted(files):
                if name.endswith(".py"):
                    yield os.path.join(folder, name)


def main():
    out = sys.stdout.buffer
    for path in modules():
        with open(path, "rb") as file:
            source = file.read()
        about = os.stat(path)
        try:
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError):
            continue
        data = _code_to_timestamp_pyc(code, int(about.st_mtime), about.st_size & 0xFFFFFFFF)
        header = {"path": importlib.util.cache_from_source(path), "bytes": len(data)}
        out.write(json.dumps(header).encode() + b"\n" + data)
    out.flush()


main()
