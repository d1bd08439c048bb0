# Scheduling of the parent, another user's process outside: its policy may be asked for, not changed.
import errno
import os

parent = os.getppid()
print(os.sched_getscheduler(parent) == os.SCHED_OTHER, os.sched_getparam(parent).sched_priority)
try:
    os.sched_setscheduler(parent, os.SCHED_BATCH, os.sched_param(0))
except OSError as error:
    print(errno.errorcode[error.errno])
