"""Runs one file of numpy's own tests under pytest and reports each test as it ends, as cpython.py does."""
import fcntl
import json
import os
import sys

OUT = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 200)
PID = os.getpid()


def say(kind, name, detail=""):
    if os.getpid() == PID:
        os.write(OUT, b"\n\x1e" + json.dumps([kind, name, detail[-1500:]]).encode() + b"\n")


class Reporter:
    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("numpy/", 1)[-1]
        if report.failed:
            say("error" if report.when != "call" else "fail", name, report.longreprtext)
        elif report.skipped:
            say("ok" if hasattr(report, "wasxfail") else "skip", name, report.longreprtext)
        elif report.when == "call":
            say("ok", name)

    def pytest_collectreport(self, report):
        if report.failed:
            say("error", "collection", report.longreprtext)


def main():
    import pytest
    status = pytest.main(["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir=/", sys.argv[1],
                          *(["-k", sys.argv[3]] if len(sys.argv) > 3 else [])], plugins=[Reporter()])
    ended = {0: "good", 5: "run_no_tests"}.get(int(status), "bad")
    say("file", ended, str(int(status)))
    sys.stdout.flush()
    os._exit(0 if ended != "bad" else 2)


main()
