// Stateful sandboxes: many runs in one VM, in persistent interpreters, and programs beside them.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { ContextResult, RunInit, StatefulSandbox } from '../../src/engine/index.ts';
import { SLOW, text } from './enginehelp.ts';
import { using } from './statefulhelp.ts';

/** What a run that must succeed prints. */
async function prints(box: StatefulSandbox, code: string, init: RunInit = {}): Promise<string> {
  const result = await box.run(code, init);
  assert.equal(result.exitCode, 0, `${text(result)}${result.stderr}`);
  return text(result);
}

/** How a run ended. */
function end({ exitCode, signal, limit, contextLost }: ContextResult): unknown[] {
  return [exitCode, signal, limit, contextLost];
}

test('variables, modules, functions and files stay', () => using(async (box) => {
  const first = await box.run('import json\nx = [1]\ndef f():\n    return 1 / len(x)\nopen("left", "w").write("file")');
  assert.deepEqual([...end(first), first.contextFresh], [0, null, null, false, true]);
  const second = await box.run('x.append(2)\nprint(json.dumps(x), f(), open("left").read())');
  assert.equal(text(second), '[1, 2] 0.5 file\n');
  assert.equal(second.contextFresh, false);
  assert.equal(await prints(box, 'import os, sys\nos.chdir("/tmp")\nprint(os.getppid(), os.getuid(), sys.argv, __name__)'), "1 1000 ['-c'] __main__\n");
  assert.equal(await prints(box, 'print(os.getcwd())'), '/tmp\n');
}));

test('each run has its own exit status, and the interpreter goes on', () => using(async (box) => {
  await box.run('x = 5');
  const failed = await box.run('def g():\n    raise ValueError("no")\ng()', { filename: '/home/user/cell.py' });
  assert.deepEqual(end(failed), [1, null, null, false]);
  assert.equal(failed.stderr.toString().replace(/^ *[~^]+\n/gm, ''), [
    'Traceback (most recent call last):', '  File "/home/user/cell.py", line 3, in <module>', '    g()',
    '  File "/home/user/cell.py", line 2, in g', '    raise ValueError("no")', 'ValueError: no', ''].join('\n'));
  assert.deepEqual(end(await box.run('import sys; sys.exit(3)')), [3, null, null, false]);
  assert.deepEqual(end(await box.run('sys.exit("why")')), [1, null, null, false]);
  assert.deepEqual(end(await box.run('raise KeyboardInterrupt')), [130, null, null, false]);
  assert.deepEqual(end(await box.run('this is no Python')), [1, null, null, false]);
  assert.equal(await prints(box, 'print(x)'), '5\n');
}));

test('an interpreter that ends takes its variables with it, and nothing else', () => using(async (box) => {
  const ends: [string, unknown[]][] = [
    ['os._exit(7)', [7, null, null, true]], ['os.kill(os.getpid(), 9)', [137, 'SIGKILL', null, true]],
    ['import ctypes; ctypes.string_at(0)', [139, 'SIGSEGV', null, true]], ['os.abort()', [134, 'SIGABRT', null, true]],
  ];
  for (const [code, expected] of ends) {
    await box.run('x = 1; open("kept", "w").write("kept")');
    const result = await box.run(`import os; print("before", flush=True); ${code}`);
    assert.deepEqual(end(result), expected, code);
    assert.equal(text(result), 'before\n');
    assert.match(result.reason ?? '', /the next run of this context starts a new one\.$/);
    const next = await box.run('print("x" in globals(), open("kept").read())');
    assert.deepEqual([text(next), next.contextFresh], ['False kept\n', true]);
  }
}));

test('a time-out interrupts; who does not stop is killed', () => using(async (box) => {
  const interrupted = await box.run('x = 1\nprint("so far")\nwhile True: pass', { timeoutMs: 1500 * SLOW });
  assert.deepEqual(end(interrupted), [124, null, 'timeout', false]);
  assert.equal(interrupted.timedOut, true);
  assert.equal(text(interrupted), 'so far\n');
  assert.match(interrupted.stderr.toString(), /KeyboardInterrupt\n$/);
  assert.deepEqual(end(await box.run('import time; time.sleep(100)', { timeoutMs: 1000 * SLOW })), [124, null, 'timeout', false]);
  await box.run('import subprocess; subprocess.run(["true"])'); // read once: a second is little for that on a busy machine
  assert.deepEqual(end(await box.run('subprocess.run(["sleep", "100"])', { timeoutMs: 1500 * SLOW })), [124, null, 'timeout', false]);
  const stubborn = await box.run('print(x)\nwhile True:\n    try: time.sleep(100)\n    except KeyboardInterrupt: print("no")', { timeoutMs: 1000 * SLOW });
  assert.deepEqual(end(stubborn), [124, 'SIGKILL', 'timeout', true]);
  assert.equal(text(stubborn), '1\nno\n');
  assert.equal(await prints(box, 'print("x" in globals())'), 'False\n');
}));

test('an interrupt that its run had blocked does not meet a later one', () => using(async (box) => {
  const mask = (how: string): string => `import signal, time\nsignal.pthread_sigmask(signal.SIG_${how}, [signal.SIGINT])`;
  const untilItComes = `${mask('BLOCK')}\nwhile not signal.sigpending(): time.sleep(0.01)`;
  assert.deepEqual(end(await box.run(untilItComes, { timeoutMs: 800 * SLOW })), [124, null, 'timeout', false]);
  assert.equal(await prints(box, `${mask('UNBLOCK')}\nprint("on")`), 'on\n');
}));

test('AbortSignal: a run that runs, and one that waits', () => using(async (box) => {
  const [first, second] = [new AbortController(), new AbortController()];
  const running = box.run('import time\nprint("a", flush=True)\ntime.sleep(100)', { signal: first.signal, onStdout: () => second.abort() });
  const waiting = box.run('print("never")', { signal: second.signal });
  const waited = await waiting;
  assert.deepEqual([...end(waited), text(waited)], [130, null, 'cancelled', false, '']);
  first.abort();
  assert.deepEqual(end(await running), [130, null, 'cancelled', false]);
  assert.equal(await prints(box, 'print("on")', { signal: new AbortController().signal }), 'on\n');
  assert.deepEqual(end(await box.run('while True: pass', { signal: AbortSignal.abort() })), [130, null, 'cancelled', false]);
}));

test('runs of one context are one after the other; programs run beside them', () => using(async (box) => {
  const slow = box.run('import time; time.sleep(1); order = ["slow"]');
  const quick = box.run('order.append("quick"); print(order)');
  const beside = await box.exec(['/bin/sh', '-c', 'echo beside; exit 4']);
  assert.deepEqual([beside.exitCode, text(beside)], [4, 'beside\n']);
  const both = await Promise.all([box.exec(['sleep', '0.2']), box.exec(['cat'], { stdin: 'given' })]);
  assert.equal(text(both[1]), 'given');
  await slow;
  assert.equal(text(await quick), "['slow', 'quick']\n");
}));

test('programs: environment, directory, time-out, what is not there', () => using(async (box) => {
  const shell = await box.exec(['/bin/sh', '-c', 'echo $A $B $PWD $$ $PPID; id -u'], { env: { B: '2' }, cwd: '/tmp' });
  assert.match(text(shell), /^1 2 \/tmp \d+ 1\n1000\n$/);
  const missing = await box.exec(['nosuch']);
  assert.deepEqual([missing.exitCode, missing.stderr.toString()], [127, 'offshoot: nosuch: command not found\n']);
  const nowhere = await box.exec(['true'], { cwd: '/nosuch' });
  assert.deepEqual([nowhere.exitCode, nowhere.stderr.toString()], [126, 'offshoot: /nosuch: no such directory\n']);
  const late = await box.exec(['/bin/sh', '-c', 'echo so far; sleep 100 & wait'], { timeoutMs: 1500 * SLOW });
  assert.deepEqual([late.exitCode, late.limit, text(late)], [124, 'timeout', 'so far\n']);
  assert.equal(text(await box.exec(['/bin/sh', '-c', 'cat /proc/[0-9]*/comm | grep -c sleep'])), '0\n');
  await assert.rejects(box.exec([]), { code: 'bad-argument' });
  await assert.rejects(box.exec(['a\0b']), { code: 'bad-argument' });
  await assert.rejects(box.run('1', { memoryBytes: 1 << 26 }), { code: 'bad-argument' });
}, { env: { A: '1' } }));

test('environment, directory, arguments and input of a run are its own', () => using(async (box) => {
  const look = 'import os, sys\nprint(os.environ.get("A"), os.getcwd(), sys.argv)';
  assert.equal(await prints(box, look, { env: { A: '2' }, cwd: '/tmp', args: ['x'] }), "2 /tmp ['-c', 'x']\n");
  assert.equal(await prints(box, look, { args: [] }), "1 /home/user ['-c']\n");
  assert.equal((await box.run('1', { cwd: '/nosuch' })).exitCode, 1);
  assert.equal(await prints(box, 'print(input())', { stdin: 'one\ntwo\n' }), 'one\n');
  assert.equal(await prints(box, 'print(sys.stdin.read())', { stdin: 'three' }), 'three\n');
  assert.match((await box.run('input()')).stderr.toString(), /EOFError/);
}, { env: { A: '1' } }));

test('what threads print between runs comes with the next one', () => using(async (box) => {
  await box.run('import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.3), print("late", flush=True))).start()\nprint("now")');
  await box.exec(['sleep', '0.8']);
  assert.equal(await prints(box, 'print("next")'), 'late\nnext\n');
  await box.run('def flood():\n    for i in range(3000): print("x" * 999)\nthreading.Thread(target=flood).start()');
  const flooded = await box.run('threading.enumerate()[-1] is threading.main_thread() or threading.enumerate()[-1].join()\nprint("end")');
  assert.ok(flooded.stdout.toString().endsWith('end\n'));
}));
