# Python's subprocess: pipes, timeouts, signals, groups, descriptors, sessions, large data, many children.
import asyncio, os, resource, signal, subprocess, sys, threading, time
from subprocess import PIPE, run, Popen, STDOUT, DEVNULL, check_output
sh = lambda text, **more: run(text, shell=True, capture_output=True, text=True, **more)
print(sh('echo out; echo err >&2; exit 3'))
print(run(['cat'], input=b'x' * 5000000, stdout=PIPE).stdout.count(b'x'))
try:
    run(['sleep', '10'], timeout=0.2)
except subprocess.TimeoutExpired as error:
    print(error.cmd)
for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGSEGV):
    child = Popen(['sleep', '10'])
    child.send_signal(number)
    print(child.wait(), child.poll())
try:
    Popen(['/nonexistent'])
except FileNotFoundError as error:
    print(error)
try:
    Popen(['/etc/passwd'])
except PermissionError as error:
    print(error)
try:
    Popen(['true'], cwd='/nowhere')
except FileNotFoundError as error:
    print(error)
print(check_output(['env'], env={'ONLY': 'this'}), check_output('pwd', cwd='/usr'), check_output(['id', '-u']))
r, w = os.pipe()
os.set_inheritable(w, True)
Popen(f'echo through >&{w}', shell=True, pass_fds=[w]).wait()
print(os.read(r, 100))
print(sh('ls /proc/self/fd | wc -l').stdout)
print(run(['sh', '-c', 'ps -o sid=,pid= -p $$ | awk "{print (\\$1 == \\$2)}"'], start_new_session=True, stdout=PIPE).stdout)
print(run(['sh', '-c', 'ps -o pgid=,pid= -p $$ | awk "{print (\\$1 == \\$2)}"'], process_group=0, stdout=PIPE).stdout)
print(run(['sh', '-c', 'umask; ulimit -n'], umask=63, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (33, 33)), stdout=PIPE).stdout)
first = Popen(['seq', '100000'], stdout=PIPE)
second = Popen(['tail', '-1'], stdin=first.stdout, stdout=PIPE)
first.stdout.close()
print(second.communicate(), first.wait())
producer = Popen(['yes'], stdout=PIPE)
print(producer.stdout.read(6))
producer.stdout.close()
print(producer.wait())
both = Popen('for i in 1 2 3; do echo o$i; echo e$i >&2; done', shell=True, stdout=PIPE, stderr=STDOUT, text=True, bufsize=1)
print([line for line in both.stdout])
chatty = Popen([sys.executable, '-u', '-c', 'import sys\nfor line in sys.stdin: print(line.upper(), end="")'], stdin=PIPE, stdout=PIPE, text=True, bufsize=1)
for word in ('ab', 'cd'):
    chatty.stdin.write(word + '\n')
    chatty.stdin.flush()
    print(chatty.stdout.readline(), end='')
print(chatty.communicate('last\n'), chatty.returncode)
print(run([sys.executable, '-c', 'import sys, os; sys.stderr.write("e" * 300000); sys.stdout.write("o" * 300000)'], capture_output=True).stdout[-3:])
children = [Popen([sys.executable, '-S', '-c', f'import sys; sys.exit({i})']) for i in range(15)]
print([child.wait() for child in children])
tree = Popen('sleep 100 & sleep 100 & wait', shell=True, start_new_session=True)
time.sleep(0.1)
os.killpg(tree.pid, signal.SIGTERM)
print(tree.wait())
results = []
threads = [threading.Thread(target=lambda n=n: results.append(int(check_output(f'sleep 0.0{n}; echo {n}', shell=True)))) for n in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sorted(results))

async def main():
    proc = await asyncio.create_subprocess_shell('read x; echo got $x; exit 4', stdin=PIPE, stdout=PIPE)
    print(await proc.communicate(b'hello\n'), proc.returncode)
    many = await asyncio.gather(*(asyncio.create_subprocess_exec('sh', '-c', f'sleep 0.1; exit {i}') for i in range(8)))
    print([await p.wait() for p in many])
    slow = await asyncio.create_subprocess_exec('sleep', '10')
    try:
        await asyncio.wait_for(slow.wait(), 0.2)
    except asyncio.TimeoutError:
        slow.terminate()
        print('terminated', await slow.wait())
asyncio.run(main())
print(os.system('exit 6') >> 8, os.popen('echo popen').read(), os.waitstatus_to_exitcode(os.system('kill -9 $$')))
pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'echo spawned; exit 8'], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 1, 2)], setsigmask=[signal.SIGUSR1], setpgroup=0)
print(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
fd = os.pidfd_open(Popen(['sleep', '100']).pid)
signal.pidfd_send_signal(fd, signal.SIGKILL)
print(os.waitid(os.P_PIDFD, fd, os.WEXITED).si_code)
pid = os.fork()
if pid == 0:
    os.execvp('sh', ['sh', '-c', 'exit 2'])
print(os.wait4(pid, 0)[1] >> 8, subprocess.getstatusoutput('echo status; exit 1'))
