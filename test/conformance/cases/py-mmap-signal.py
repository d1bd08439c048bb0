# mmap and signal modules: shared and private maps, resize, flush; handlers, alarms, wakeup descriptors, faulthandler.
import faulthandler
import mmap
import os
import signal
import time

with open('file', 'w+b') as file:
    file.write(b'0123456789' * 1000)
    file.flush()
    with mmap.mmap(file.fileno(), 0) as view:
        print(len(view), view[5:10], view.find(b'901'))
        view[0:4] = b'MMAP'
        view.seek(100)
        view.write(b'written')
        view.flush()
        file.seek(0)
        print(file.read(4), os.pread(file.fileno(), 7, 100))
        os.pwrite(file.fileno(), b'file', 200)
        print(view[200:204])
        view.resize(20000)
        print(len(view), os.fstat(file.fileno()).st_size, view[15000])
        view.move(0, 100, 7)
        print(view[:7])
    with mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_COPY) as view:
        view[0] = 0
        print(os.pread(file.fileno(), 1, 0))
    with mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ) as view:
        try:
            view[0] = 1
        except TypeError as error:
            print(error)
anonymous = mmap.mmap(-1, 8192)
if os.fork() == 0:
    anonymous[0:5] = b'child'
    os._exit(0)
os.wait()
print(anonymous[0:5])

seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
print(seen == [signal.SIGUSR1])
signal.signal(signal.SIGALRM, lambda number, frame: seen.append('alarm'))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
while seen.count('alarm') < 3:
    pass
signal.setitimer(signal.ITIMER_REAL, 0)
print('three alarms')


class Timeout(Exception):
    pass


def raise_timeout(number, frame):
    raise Timeout


signal.signal(signal.SIGALRM, raise_timeout)
for wait in (lambda: time.sleep(10), lambda: [0 for _ in iter(int, 1)], lambda: os.read(os.pipe()[0], 1)):
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        wait()
    except Timeout:
        print('timed out')
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print('interrupted')
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR2)
print(signal.sigpending(), signal.sigwait([signal.SIGUSR2]))
read_end, write_end = os.pipe()
os.set_blocking(write_end, False)
signal.set_wakeup_fd(write_end)
os.kill(os.getpid(), signal.SIGUSR1)
print(os.read(read_end, 10) == bytes([signal.SIGUSR1]))
signal.set_wakeup_fd(-1)
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(33))
    while True:
        time.sleep(1)
time.sleep(0.1)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
pid = os.fork()
if pid == 0:
    os.dup2(os.open('crash', os.O_CREAT | os.O_WRONLY), 2)
    faulthandler.enable()
    os.kill(os.getpid(), signal.SIGSEGV)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(open('crash').readline())
