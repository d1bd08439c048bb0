"""What `offshoot bench exec` compares with: the same preloaded Python, natively, os.fork() + run + wait for each sample.

argv[1]: JSON list of modules to preload. For each line of stdin (JSON: the code): one sample; JSON {ns, output} on stdout.
"""
import gc
import importlib
import json
import os
import sys
import time

for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        sys.exit(3)
print(json.dumps({"ready": True}), flush=True)
gc.collect()
gc.freeze()
for line in sys.stdin:
    code = json.loads(line)
    start = time.monotonic_ns()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    output = b""
    while True:
        piece = os.read(reader, 65536)
        if not piece:
            break
        output += piece
    os.close(reader)
    os.waitpid(pid, 0)
    ns = time.monotonic_ns() - start
    print(json.dumps({"ns": ns, "output": output.decode()}), flush=True)
