// Stateful sandboxes against code that wants more than its run: forged results, stolen requests, limits.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { ContextResult, StatefulSandbox } from '../../src/engine/index.ts';
import { pythonTemplate, text } from './enginehelp.ts';
import { using } from './statefulhelp.ts';

/** The context of the attack is lost, and its next run starts a new interpreter. */
async function isLost(box: StatefulSandbox, result: ContextResult): Promise<void> {
  assert.equal(result.contextLost, true, `${result.exitCode} ${result.reason} ${result.stderr}`);
  assert.notEqual(result.exitCode, 0);
  assert.equal(text(await box.run('print("new")')), 'new\n');
}

test('nothing that is written to the descriptor of the interpreter is a result', () => using(async (box) => {
  const forged = ['b"0"', 'b"again " * 20', 'b"x" * 70000', 'b"' + '0'.repeat(32) + ' 0"', 'b"\\n"'];
  for (const bytes of forged) {
    const result = await box.run(`import os, time\ntry: os.write(3, ${bytes})\nexcept OSError: os._exit(9)\ntime.sleep(100)`, { timeoutMs: 60_000 });
    assert.equal(result.limit, null, bytes);
    await isLost(box, result);
  }
  await isLost(box, await box.run('for i in range(100): os.write(3, b"again")\ntime.sleep(100)'.replace(/^/, 'import os, time\n')));
}));

test('a request that is stolen, a descriptor that is closed or is another', () => using(async (box) => {
  await isLost(box, await box.run('import os; os.close(3)'));
  await isLost(box, await box.run('import os; os.dup2(1, 3)'));
  await isLost(box, await box.run('import os; r, w = os.pipe(); os.dup2(r, 3); os.close(w)'));
  const thief = 'import os, threading\ndef steal():\n    try: os.read(3, 32768)\n    except PermissionError: print("denied", flush=True)\n'
    + 'thread = threading.Thread(target=steal)\nthread.start()';
  const [before, after] = [await box.run(thief), await box.run('thread.join()\nprint("not stolen")')];
  assert.equal(text(before) + text(after), 'denied\nnot stolen\n');
}));

test('a child that a run forks is no interpreter', () => using(async (box) => {
  const forked = await box.run([
    'import os, time', 'pid = os.fork()', 'if pid == 0:', '    for call in (lambda: os.write(3, b"0"), lambda: os.read(3, 10)):',
    '        try: call()', '        except PermissionError: print("denied", flush=True)', '    raise SystemExit(5)',
    'print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))'].join('\n'));
  assert.deepEqual([forked.exitCode, forked.contextLost, text(forked)], [0, false, 'denied\ndenied\n5\n']);
  const list = 'import subprocess; print(subprocess.run(["ls", "/proc/self/fd"], capture_output=True, text=True).stdout.split())';
  assert.equal(text(await box.run(list)), "['0', '1', '2', '3']\n");
}));

test('handlers that raise when nobody runs', () => using(async (box) => {
  const ring = 'import signal\ndef ring(*_): raise TimeoutError("late")\nsignal.signal(signal.SIGALRM, ring)\n';
  await box.run(`${ring}signal.setitimer(signal.ITIMER_REAL, 0.2)\nx = 1`);
  await box.exec(['sleep', '0.6']);
  const next = await box.run('print(x)');
  assert.deepEqual([next.exitCode, text(next)], [0, '1\n']);
  assert.match(next.stderr.toString(), /TimeoutError: late\n$/);
}));

test('the process that interpreters come from is out of reach', () => using(async (box) => {
  const code = 'import os, signal\nfound = []\nfor p in os.listdir("/proc"):\n    if p.isdigit() and os.stat("/proc/" + p).st_uid == 0:\n'
    + '        found.append(p)\n        try: os.kill(int(p), 9)\n        except PermissionError: print("denied")\nos.kill(-1, signal.SIGCONT)';
  assert.equal(text(await box.run(code)), 'denied\n');
  assert.match((await box.run('open("/proc/" + found[0] + "/environ", "rb")')).stderr.toString(), /PermissionError/);
  assert.equal((await box.exec(['/bin/sh', '-c', 'kill -9 -1'])).exitCode, 0);
  const next = await box.run('print(1)');
  assert.deepEqual([text(next), next.contextFresh], ['1\n', true]);
}));

test('limits: output and memory end one run, processes and disk fail a call', () => using(async (box) => {
  const loud = await box.run('x = 1\nwhile True: print("x" * 1000)', { outputBytes: 5000 });
  assert.deepEqual([loud.exitCode, loud.limit, loud.stdout.length], [137, 'output', 5000]);
  assert.equal(text(await box.run('print(x)')), '1\n');
  const loudProgram = await box.exec(['yes'], { outputBytes: 100_000 });
  assert.deepEqual([loudProgram.exitCode, loudProgram.limit, loudProgram.stdout.length], [137, 'output', 100_000]);
  const big = await box.run('b = bytearray(1)\nwhile True: b += bytes(1 << 20)');
  assert.ok(big.limit === 'memory' || /MemoryError/.test(big.stderr.toString()), `${big.reason} ${big.stderr}`);
  const greedy = await box.run('l = []\nwhile True: l.append(bytearray(b"x" * (1 << 20)))');
  assert.deepEqual([greedy.exitCode, greedy.limit, greedy.contextLost], [137, 'memory', true]);
  assert.match((await box.run('open("big", "wb").write(bytes(30 << 20))')).stderr.toString(), /No space left/);
  const bomb = await box.run('import os, time\nfor i in range(100):\n    if os.fork() == 0: time.sleep(60); os._exit(0)');
  assert.match(bomb.stderr.toString(), /BlockingIOError/);
  assert.equal((await box.exec(['true'])).exitCode, 126);
}, { processes: 20, diskBytes: 20 << 20, memoryBytes: 256 << 20 }));

test('a closed sandbox ends what runs in it, and says so', async () => {
  const box = await (await pythonTemplate()).fork({ stateful: true, cpuTimeMs: 2000 });
  const running = box.run('import time; print("a", flush=True); time.sleep(100)', { onStdout: () => void box.close() });
  const waiting = box.run('print(1)');
  assert.equal((await running).limit, 'cancelled');
  assert.equal((await waiting).limit, 'cancelled');
  assert.equal(await box.ended, null);
  await assert.rejects(box.run('1'), { code: 'sandbox-ended' });
  await assert.rejects(box.exec(['true']), { code: 'sandbox-ended' });
  const spent = await (await pythonTemplate()).fork({ stateful: true, cpuTimeMs: 300 });
  assert.equal((await spent.run('while True: pass')).limit, 'cpu');
  assert.match(await spent.ended ?? '', /^cpu limit/);
  await assert.rejects(spent.run('1'), { code: 'sandbox-ended', message: /^This sandbox has ended: cpu limit/ });
});
