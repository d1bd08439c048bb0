// Runs of Python in forked VMs: exact output, exit codes, limits.

import assert from 'node:assert/strict';
import test from 'node:test';
import { py, pythonTemplate, sh, testEngine, text } from './enginehelp.ts';

test('output is exact', async () => {
  assert.equal(text(await py('print(1+1)')), '2\n');
  const both = await py('import sys; sys.stdout.write("out"); sys.stderr.write("err")');
  assert.equal(text(both), 'out');
  assert.equal(both.stderr.toString(), 'err');
});

test('output is binary-safe', async () => {
  const result = await py('import os\nfor i in range(4): os.write(1, bytes(range(256)) * 300)');
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  assert.deepEqual(result.stdout, Buffer.concat(Array.from({ length: 1200 }, () => all)));
});

test('exit codes are the program\'s own', async () => {
  assert.equal((await py('import sys; sys.exit(3)')).exitCode, 3);
  assert.equal((await py('pass')).exitCode, 0);
  assert.equal((await py('raise SystemExit')).exitCode, 0);
  const message = await py('import sys; sys.exit("gone")');
  assert.equal(message.exitCode, 1);
  assert.equal(message.stderr.toString(), 'gone\n');
  assert.equal((await py('import os; os._exit(77)')).exitCode, 77);
});

test('an uncaught exception is a traceback on stderr and 1', async () => {
  const result = await py('def f():\n    raise ValueError("bad")\nf()\n', { filename: '/home/user/my.py' });
  assert.equal(result.exitCode, 1);
  assert.equal(text(result), '');
  assert.equal(result.stderr.toString(), [
    'Traceback (most recent call last):', '  File "/home/user/my.py", line 3, in <module>', '    f()',
    '  File "/home/user/my.py", line 2, in f', '    raise ValueError("bad")', 'ValueError: bad', '',
  ].join('\n'));
});

test('a syntax error is reported as Python does', async () => {
  const result = await py('x = = 1\n');
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr.toString(), /File "<string>", line 1\n {4}x = = 1\n {8}\^\nSyntaxError: invalid syntax\n$/);
});

test('signals are 128+n with a name', async () => {
  const killed = await py('import os, signal; print("before", flush=True); os.kill(os.getpid(), signal.SIGKILL)');
  assert.deepEqual([killed.exitCode, killed.signal, text(killed)], [137, 'SIGKILL', 'before\n']);
  const segv = await py('import ctypes; ctypes.string_at(0)');
  assert.deepEqual([segv.exitCode, segv.signal], [139, 'SIGSEGV']);
  const abort = await py('import os; os.abort()');
  assert.deepEqual([abort.exitCode, abort.signal], [134, 'SIGABRT']);
});

test('code, arguments, environment, working directory, standard input', async () => {
  const result = await py('import sys, os\nprint(sys.argv, os.environ["X"], os.getcwd(), sys.stdin.read())', {
    args: ['a', 'b c'], env: { X: 'é' }, cwd: '/tmp', stdin: 'hello',
  });
  assert.equal(text(result), "['-c', 'a', 'b c'] é /tmp hello\n");
});

test('a large program arrives whole', async () => {
  const result = await py(`x = ${JSON.stringify('y'.repeat(300_000))}\nprint(len(x))`);
  assert.equal(text(result), '300000\n');
});

test('what a program leaves for its end happens: atexit, threads, buffers, globals', async () => {
  const result = await py(`
import atexit, threading, time, sys
class Last:
    def __del__(self): print("del")
last = Last()
atexit.register(lambda: print("atexit"))
threading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()
sys.stdout.write("no newline, ")
`);
  assert.equal(text(result), 'no newline, thread\natexit\ndel\n');
});

test('exec runs programs of the image', async () => {
  assert.equal(text(await sh('echo hi; exit 0')), 'hi\n');
  assert.equal((await sh('exit 9')).exitCode, 9);
  assert.equal(text(await sh('cat; id -un; pwd', { stdin: 'in\n' })), 'in\nuser\n/home/user\n');
  const sandbox = await (await pythonTemplate()).fork();
  const missing = await sandbox.exec(['no-such-program']);
  assert.equal(missing.exitCode, 127);
  await sandbox.close();
});

test('a sandbox runs once, and says so', async () => {
  const sandbox = await (await pythonTemplate()).fork();
  await sandbox.run('pass');
  await assert.rejects(sandbox.run('pass'), /has run its program/);
  await sandbox.close();
  await assert.rejects(sandbox.run('pass'), /closed/);
});

test('an unknown template is refused by name', async () => {
  await assert.rejects((await testEngine()).template('nonesuch'), /Unknown template "nonesuch"/);
});
