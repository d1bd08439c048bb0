# subprocess: pipes, exit codes, signals, input, environment, timeouts, shells, many children at once.
import os
import signal
import subprocess
import sys

print(subprocess.run(['echo', 'hello'], capture_output=True).stdout)
print(subprocess.run(['sh', '-c', 'exit 7']).returncode)
print(subprocess.run(['sh', '-c', 'kill -9 $$']).returncode)
print(subprocess.run(['cat'], input=b'x' * 200000, stdout=subprocess.PIPE).stdout == b'x' * 200000)
print(subprocess.run('echo out; echo err >&2', shell=True, capture_output=True, text=True))
print(subprocess.run(['env'], env={'ONLY': 'this'}, capture_output=True).stdout)
print(subprocess.run(['pwd'], cwd='/usr', capture_output=True).stdout)
try:
    subprocess.run(['sleep', '10'], timeout=0.2)
except subprocess.TimeoutExpired as error:
    print('timeout', round(error.timeout, 1))
try:
    subprocess.run(['/no/such/program'])
except FileNotFoundError as error:
    print(error)
try:
    subprocess.run(['/etc/passwd'])
except PermissionError as error:
    print(error)
try:
    subprocess.check_call(['false'])
except subprocess.CalledProcessError as error:
    print(error)
first = subprocess.Popen(['printf', 'b\\na\\nc\\n'], stdout=subprocess.PIPE)
second = subprocess.Popen(['sort'], stdin=first.stdout, stdout=subprocess.PIPE)
first.stdout.close()
print(second.communicate(), first.wait())
children = [subprocess.Popen([sys.executable, '-S', '-c', f'print({n} ** 2)'], stdout=subprocess.PIPE) for n in range(6)]
print([int(child.communicate()[0]) for child in children])
child = subprocess.Popen(['sleep', '100'])
print(child.poll())
child.send_signal(signal.SIGTERM)
print(child.wait())
child = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
for word in (b'one', b'two', b'three'):
    child.stdin.write(word)
    print(child.stdout.read(len(word)))
child.stdin.close()
print(child.wait())
read_end, write_end = os.pipe()
child = subprocess.Popen(['sh', '-c', f'echo passed >&{write_end}'], pass_fds=[write_end])
child.wait()
print(os.read(read_end, 100))
print(subprocess.getoutput('echo $((1+2)); false'), subprocess.getstatusoutput('exit 3'))
child = subprocess.Popen(['sh', '-c', 'echo $0; ps >/dev/null 2>&1; exit 0'], start_new_session=True, stdout=subprocess.DEVNULL)
print(child.wait())
print(os.popen('uname -s').read(), os.system('exit 5') >> 8)
