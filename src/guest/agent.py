"""Offshoot's agent: the program a Python template is frozen in.

It imports what the template preloads, warms it, and calls os.fork(): that call is the snapshot point. Every sandbox sees
it return as the child, reads one request from the control channel, closes the channel, and runs the user's code as
`python3 FILE` would. The exit status is the process's own: nothing about a result travels over a descriptor.
"""
import atexit
import builtins
import gc
import importlib
import json
import linecache
import os
import sys
import threading
import traceback
import types

CONTROL = 3
SOURCE = "<offshoot>"
CHUNK = 32768


def _preload(names):
    for name in names:
        importlib.import_module(name)


def _warm():
    """Runs what a first user call would otherwise initialise lazily in every sandbox."""
    compile("print(1)", "<warm>", "exec")
    json.loads(json.dumps({"a": [1, 2.5, None, "x"]}))
    "{:>8.3f} {!r} {}".format(1.5, "a", [1]).encode().decode()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        repr(numpy.random.RandomState(1).rand(3) + numpy.arange(3))
        numpy.dot(numpy.ones((4, 4)), numpy.ones((4, 4)))
    try:
        raise ValueError("warm")
    except ValueError:
        traceback.format_exc()


def _global_generator():
    mtrand = sys.modules.get("numpy.random.mtrand")
    return None if mtrand is None else mtrand._rand


def _seeded_on_purpose():
    """True when the program called numpy.random.seed(n): only then the global generator has no SeedSequence."""
    rand = _global_generator()
    return rand is not None and getattr(rand._bit_generator, "_seed_seq", None) is None


def _setup(path):
    with open(path) as file:
        source = file.read()
    exec(compile(source, path, "exec"), {"__name__": "__setup__", "__file__": path})


def _request():
    """A line with two lengths, the request as JSON, the code: one stream, in messages of at most CHUNK bytes."""
    lengths, _, data = os.read(CONTROL, CHUNK).partition(b"\n")
    request_bytes, code_bytes = map(int, lengths.split())
    parts = [data]
    left = request_bytes + code_bytes - len(data)
    while left > 0:
        part = os.read(CONTROL, CHUNK)
        if not part:
            os._exit(127)
        parts.append(part)
        left -= len(part)
    os.close(CONTROL)
    data = b"".join(parts)
    return json.loads(data[:request_bytes]), data[request_bytes:]


def _environment(wanted):
    """Only what differs: each change costs a sandbox pages of its own."""
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _report(error):
    """Prints an uncaught exception as the interpreter does, without the agent's own frames."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == SOURCE:
        frames = frames.tb_next
    error.__traceback__ = frames
    if sys.excepthook is sys.__excepthook__:
        # The interpreter's own hook reads source lines from the file, which may only exist on the host.
        traceback.print_exception(error)
    else:
        sys.excepthook(type(error), error, frames)


def _exit_status(error):
    """What sys.exit(x) means: sys.exit in the library reference."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _execute(source, filename, main):
    try:
        exec(compile(source, filename, "exec", dont_inherit=True), main.__dict__)
        return 0
    except SystemExit as error:
        return _exit_status(error)
    except KeyboardInterrupt as error:
        _report(error)
        return 130
    except BaseException as error:
        _report(error)
        return 1


def _finish(status, main):
    """The visible part of Py_FinalizeEx: join threads, atexit, drop the program's globals, flush."""
    try:
        threading._shutdown()
    except BaseException as error:
        _report(error)
    atexit._run_exitfuncs()
    names = list(main.__dict__)
    for name in [n for n in names if n.startswith("_") and n != "__builtins__"] + [n for n in names if not n.startswith("_")]:
        main.__dict__[name] = None
    gc.collect()
    try:
        sys.stdout.flush()
    except BaseException:
        status = status or 120
    try:
        sys.stderr.flush()
    except BaseException:
        pass
    os._exit(status)


def _run(request, source):
    _environment(request["env"])
    if os.getcwd() != request["cwd"]:
        os.chdir(request["cwd"])
    filename = request["filename"]
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    sys.argv[:] = request["argv"]
    sys.path[0] = request["path0"]
    if filename.startswith("<"):
        main.__dict__.pop("__file__", None)
    else:
        main.__file__ = filename
        text = source.decode("utf-8", "replace")
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    _finish(_execute(source, filename, main), main)


def main():
    options = json.loads(os.read(CONTROL, 2 * CHUNK))
    _preload(options["preload"])
    _warm()
    if options.get("setup"):
        _setup(options["setup"])
        left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        if left:
            sys.exit("the setup left threads running: " + ", ".join(left))
    reseed = not _seeded_on_purpose()
    gc.collect()
    gc.freeze()
    # Lines leave at once, so that output streams although stdout is a pipe.
    sys.stdout.reconfigure(line_buffering=True)
    os.write(CONTROL, b'{"ready": 1}')
    if os.fork() != 0:
        os._exit(125)
    rand = _global_generator()
    if rand is not None and reseed:
        numpy = sys.modules["numpy"]
        rand.set_state(("MT19937", numpy.frombuffer(os.urandom(2496), numpy.uint32), 624))
    _run(*_request())


main()
