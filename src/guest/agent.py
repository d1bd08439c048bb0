"""Offshoot's agent: the program a Python template is frozen in.

It imports what the template preloads, warms it, and calls os.fork(): that call is the snapshot point. Every sandbox sees
it return as the child, reads one request from the control channel, closes the channel, and runs the user's code as
`python3 FILE` would. The exit status is the process's own: nothing about a result travels over a descriptor.

In a stateful sandbox the request is empty. The agent then stands in os.fork() for good; each child that the kernel makes of it is an
interpreter that runs one piece of code after the other (_serve), and says how each ended on a control channel of its own.
"""
import _random
import atexit
import builtins
import gc
import importlib
import io
import json
import linecache
import os
import sys
import threading
import time
import traceback
import types

CONTROL = 3
SOURCE = "<offshoot>"
CHUNK = 32768
STRIKES_MAX = 3
WARM_RUNS = 20
KEY_BYTES = 2496
# struct RandomObject of CPython: PyObject_HEAD, int index, uint32_t state[624].
RANDOM_BYTES = 2520
RANDOM_KEY_AT = 20
FUNCTIONS = []
BRANCH_FUNCTIONS = []
generation = 0
at_snapshot = False


def _import_random():
    """
    random, but for its handler behind os.fork(): each fork of the template would ask for randomness, and spread it, where the engine
    can just fill it in (_random_memory). In all other forks it is seeded as ever.
    """
    register = os.register_at_fork
    handlers = []
    os.register_at_fork = lambda **functions: handlers.append(functions)
    try:
        module = importlib.import_module("random")
    finally:
        os.register_at_fork = register
    for functions in handlers:
        if getattr(functions.get("after_in_child"), "__self__", None) is module._inst:
            functions = {"after_in_child": lambda: None if at_snapshot else module.seed()}
        register(**functions)
    return module


random = _import_random()


def _preload(usual, names):
    """Imports what there is of `usual` and all of `names`; returns the milliseconds each took."""
    times = {}
    for name in [*usual, *names]:
        start = time.perf_counter()
        try:
            importlib.import_module(name)
        except ImportError:
            if name in names:
                raise
            continue
        times[name] = round(1000 * (time.perf_counter() - start), 2)
    return times


def after_fork(function):
    """Calls function() in every fork of the template, before its program starts. Returns function: also a decorator."""
    FUNCTIONS.append(function)
    return function


def after_branch(function):
    """Calls function() in an interpreter of a branch of a running sandbox, before its next run. Returns function: also a decorator."""
    BRANCH_FUNCTIONS.append(function)
    return function


def _leave_twin(now):
    """
    In a branch of a running sandbox everything random that was made before is there twice. What Python makes new after os.fork() is made
    new here too, numpy's global generator unless it was seeded on purpose, and OpenSSL's, which would notice nothing.
    """
    global generation
    generation = now
    random.seed()
    rand = _global_generator()
    if rand is not None and not _seeded_on_purpose():
        key = sys.modules["numpy"].frombuffer(os.urandom(KEY_BYTES), dtype="uint32")
        rand.set_state(("MT19937", key, KEY_BYTES // 4))
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(64), 64.0)
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None
    for function in BRANCH_FUNCTIONS:
        function()


def _offer_module():
    """The module `offshoot`: what a template's setup, or a module it loads, can ask of us."""
    module = types.ModuleType("offshoot", "Offshoot, seen from inside.")
    module.after_fork = after_fork
    module.after_branch = after_branch
    sys.modules["offshoot"] = module


def _warm(main):
    """
    Runs what every sandbox would otherwise do for the first time: lazily made state is made once, and bytecode that has run
    often enough is specialised and no longer written to, which would cost each fork a copy of its page.
    """
    stdout = sys.stdout
    sys.stdout = io.TextIOWrapper(open(os.devnull, "wb"), line_buffering=True)
    for _ in range(WARM_RUNS):
        _leave_twin(generation)
        threading._after_fork()
        if "logging" in sys.modules:
            sys.modules["logging"]._after_at_fork_child_reinit_locks()
        request, source = _parse(b"<string>\0\0\0001\0-c", b"print(1+1, 'a', 2.5, [None])")
        _prepare(request, source, main)
        _execute(source, "<string>", main)
        _run_cell({"filename": "<string>", "argv": None, "cwd": None, "env": {}, "stdin": False, "generation": 0}, source, main)
        json.loads('{"a": [1, null, true, "b"]}')
        _clear(main)
    sys.stdout.close()
    sys.stdout = stdout
    compile("print(1)", "<warm>", "exec")
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


def _setup(filename, source):
    text = source.decode("utf-8", "replace")
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(source, filename, "exec", dont_inherit=True), {"__name__": "__setup__", "__file__": filename})


def _receive():
    """A line with two lengths, a header, the code: one stream, in messages of at most CHUNK bytes."""
    lengths, _, data = os.read(CONTROL, CHUNK).partition(b"\n")
    request_bytes, code_bytes = map(int, lengths.split())
    left = request_bytes + code_bytes - len(data)
    if left > 0:
        parts = [data]
        while left > 0:
            part = os.read(CONTROL, CHUNK)
            if not part:
                os._exit(127)
            parts.append(part)
            left -= len(part)
        data = b"".join(parts)
    return data[:request_bytes], data[request_bytes:]


def _parse(request, source):
    """request.ts: file name, sys.path[0], directory, number of arguments, arguments, changes of the environment."""
    fields = request.decode("utf-8", "surrogateescape").split("\0")
    end = 4 + int(fields[3])
    return (fields[0], fields[1], fields[2], fields[4:end], fields[end:]), source


def _prepare(request, source, main):
    """Only what differs from what is there: each change costs a sandbox pages of its own."""
    filename, path0, directory, argv, environment = request
    for change in environment:
        name, is_set, value = change.partition("=")
        if is_set:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    if directory:
        os.chdir(directory)
    if sys.argv != argv:
        sys.argv[:] = argv
    if sys.path[0] != path0:
        sys.path[0] = path0
    if not filename.startswith("<"):
        main.__file__ = filename
        text = source.decode("utf-8", "replace")
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)


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


def _execute(source, filename, main, before=()):
    try:
        for function in before:
            function()
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


def _clear(main):
    """Drops the program's globals as _PyModule_ClearDict does: names with one underscore first."""
    names = main.__dict__
    for name in [n for n in names if n[0:1] == "_" and n[1:2] != "_"] + [n for n in names if n != "__builtins__"]:
        names[name] = None


def _finish(status, main):
    """The visible part of Py_FinalizeEx: join threads, atexit, drop the program's globals, flush."""
    try:
        threading._shutdown()
    except BaseException as error:
        _report(error)
    atexit._run_exitfuncs()
    _clear(main)
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


def _change(names):
    """Sets environment variables, or removes those that are None; returns what undoes it."""
    before = {name: os.environ.get(name) for name in names}
    for name, value in names.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return before


def _renew_stdin():
    """What an earlier run left unread in the buffers is gone."""
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(open(0, "rb", closefd=False), encoding="utf-8", errors=sys.__stdin__.errors)


def _run_cell(request, source, main, before=()):
    """One run of a persistent interpreter: its exit status. What the request changes for this run is undone; what the code changes stays."""
    undo = {}
    directory = None
    filename = request["filename"]

    def enter():
        if request["generation"] != generation:
            _leave_twin(request["generation"])
        if request["stdin"]:
            _renew_stdin()
        undo.update(_change(request["env"]))
        if request["cwd"]:
            nonlocal directory
            directory = os.getcwd()
            os.chdir(request["cwd"])
        if request["argv"]:
            sys.argv[:] = request["argv"]
        if not filename.startswith("<"):
            text = source.decode("utf-8", "replace")
            linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)

    try:
        status = _execute(source, filename, main, (*before, enter))
    finally:
        _change(undo)
        if directory:
            os.chdir(directory)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            status = status or 120
    return status


def _serve(main):
    """
    Runs what the engine sends, until it ends this process. SIGINT may come at any time and raises KeyboardInterrupt wherever we are: then
    the run is over, or what was being received is asked for again. An answer that is sent twice is harmless.
    """
    interpreter = os.getpid()
    answer = b""
    strikes = 0
    while True:
        try:
            os.write(CONTROL, answer)
            answer = b"again"
            header, source = _receive()
            request = json.loads(header)
            token = request["token"].encode()
            answer = token + b" 130"
            base = request["base"]
            if base:
                status = _run_cell(request, source, main, (lambda: _change(base["env"]), lambda: os.chdir(base["cwd"]), *FUNCTIONS))
            else:
                status = _run_cell(request, source, main)
            if os.getpid() != interpreter:
                _finish(status, main)
            answer = token + b" %d" % status
            strikes = 0
        except BaseException as error:
            if os.getpid() != interpreter:
                os._exit(1)
            # The channel may be closed, or be something else: that is the end of this interpreter.
            if not isinstance(error, KeyboardInterrupt):
                strikes += 1
                if strikes > STRIKES_MAX:
                    os._exit(127)
                _report(error)


def _new_main():
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    return main


def _random_memory():
    """
    Memory the engine fills with random bytes in each fork, as [address, bytes]: the keys of random's and of numpy's global generator, the
    latter unless it was seeded on purpose. Both are used up: the next draw starts from the new key.
    """
    global at_snapshot
    found = []
    if sys.implementation.name == "cpython" and _random.Random.__basicsize__ == RANDOM_BYTES:
        random._inst.setstate((3, (*random._inst.getstate()[1][:-1], KEY_BYTES // 4), None))
        found.append([id(random._inst) + RANDOM_KEY_AT, KEY_BYTES])
        at_snapshot = True
    rand = _global_generator()
    if rand is not None and not _seeded_on_purpose():
        rand.set_state(("MT19937", rand.get_state()[1], KEY_BYTES // 4))
        found.append([rand._bit_generator.ctypes.state_address, KEY_BYTES])
    return found


def main():
    global at_snapshot
    os.environ.pop("LD_BIND_NOW", None)
    options, setup = _receive()
    options = json.loads(options)
    _offer_module()
    times = _preload(options["usual"], options["preload"])
    sys.argv[:] = ["-c"]
    sys.path[0] = ""
    _warm(_new_main())
    if options["setup"]:
        _setup(options["setup"], setup)
        left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        if left:
            sys.exit("the setup left threads running: " + ", ".join(left))
    program = sys.modules["__main__"] = _new_main()
    names = sorted({name.partition(".")[0] for name in sys.modules if not name.startswith("_")})
    ready = json.dumps({"random": _random_memory(), "import_ms": times, "modules": names[:300]}).encode()
    del names, times, options, setup
    gc.collect()
    gc.freeze()
    # Lines leave at once, so that output streams although stdout is a pipe.
    sys.stdout.reconfigure(line_buffering=True)
    os.write(CONTROL, ready)
    if os.fork() != 0:
        os._exit(125)
    at_snapshot = False
    request, source = _receive()
    if not request:
        while os.fork() != 0:
            pass
        _serve(program)
    # CONTROL is closed: the kernel does that when it gives out the last piece (kernel/fs/control.ts).
    request, source = _parse(request, source)
    _prepare(request, source, program)
    _finish(_execute(source, request[0], program, FUNCTIONS), program)


main()
