"""Runs one file of CPython's regression suite under regrtest and reports each test as it ends.

A report is a line "\\x1e[kind, test, detail]" on standard output; the last one has the kind "file".
"""
import fcntl
import json
import os
import sys
import traceback

OUT = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 200)
PID = os.getpid()


def say(kind, name, detail=""):
    if os.getpid() == PID:
        os.write(OUT, b"\n\x1e" + json.dumps([kind, name, detail[-1500:]]).encode() + b"\n")


def text_of(error):
    try:
        return "".join(traceback.format_exception(*error))
    except Exception:
        return repr(error)


def listen(result_class):
    def wrap(method, kind):
        original = getattr(result_class, method)

        def wrapped(self, test, *rest):
            name = getattr(test, "test_case", test).id()
            detail = rest[0] if rest and isinstance(rest[0], str) else text_of(rest[0]) if rest else ""
            say(kind, name, detail)
            return original(self, test, *rest)
        setattr(result_class, method, wrapped)

    for method, kind in (("startTest", "start"), ("addSuccess", "ok"), ("addError", "error"), ("addFailure", "fail"), ("addSkip", "skip"),
                         ("addExpectedFailure", "ok"), ("addUnexpectedSuccess", "fail")):
        wrap(method, kind)
    add_subtest = result_class.addSubTest

    def subtest(self, test, part, error):
        if error is not None:
            say("fail", test.id(), f"{part}\n{text_of(error)}")
        return add_subtest(self, test, part, error)
    result_class.addSubTest = subtest


def main():
    name, timeout, only = sys.argv[1], sys.argv[2], sys.argv[3:]
    from test.libregrtest.main import Regrtest
    from test.support import testresult
    listen(testresult.RegressionTestResult)
    regrtest = Regrtest()
    sys.argv = ["regrtest", "-u", "all,-network,-urlfetch,-gui,-audio", f"--timeout={timeout}"]
    for pattern in only:
        sys.argv += ["-m", pattern]
    sys.argv.append(name)
    status = 0
    try:
        regrtest.main()
    except SystemExit as end:
        status = end.code
    ended = "bad"
    for kind in ("good", "environment_changed", "skipped", "resource_denieds", "run_no_tests"):
        if name in [str(one) for one in getattr(regrtest, kind)]:
            ended = kind
    say("file", ended, str(status))
    sys.stdout.flush()
    os._exit(0 if ended != "bad" else 2)


if __name__ == "__main__":
    main()
