// Paced output: a program waits for a slow reader, others do not, and nothing is lost.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pythonTemplate, testEngine } from './enginehelp.ts';

const MB = 2 ** 20;

/** Until something has come, and nothing more does for a while. */
async function untilQuiet(count: () => number): Promise<void> {
  for (let quiet = 0, before = 0; quiet < 5; quiet = before > 0 && count() === before ? quiet + 1 : 0) {
    before = count();
    await sleep(100);
  }
}

test('a program whose output nobody takes waits; another of the same worker does not; then all of it comes', async () => {
  const engine = await testEngine();
  await pythonTemplate();
  let got = 0;
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const code = 'import sys\nfor i in range(1024): sys.stdout.write(f"{i:07} " + "x" * 16375 + "\\n")';
  const pieces: Buffer[] = [];
  const slow = engine.run('python', code, {
    paced: true, capture: false,
    onStdout: (bytes) => {
      got += bytes.length;
      pieces.push(Buffer.from(bytes));
      return gate;
    },
  });
  await untilQuiet(() => got);
  assert.equal((await engine.run('python', 'print(6*7)')).stdout.toString(), '42\n');
  assert.ok(got > 0 && got < 3 * MB, `${got} bytes were under way`);
  open();
  const result = await slow;
  assert.deepEqual([result.exitCode, result.limit, got], [0, null, 1024 * 16384]);
  const lines = Buffer.concat(pieces).toString().trimEnd().split('\n');
  assert.ok(lines.every((line, i) => line.startsWith(`${String(i).padStart(7, '0')} x`)));
});

test('so does one that prints byte by byte, to one stream and the other in turn', async () => {
  const engine = await testEngine();
  await pythonTemplate();
  let messages = 0;
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const taken = (): Promise<void> => {
    messages++;
    return gate;
  };
  const code = 'import os\nfor _ in range(5000): os.write(1, b"o"); os.write(2, b"e")';
  const run = engine.run('python', code, { paced: true, onStdout: taken, onStderr: taken });
  await untilQuiet(() => messages);
  assert.ok(messages < 5000, `${messages} messages were under way`);
  open();
  const { stdout, stderr } = await run;
  assert.deepEqual([stdout.toString(), stderr.toString()], ['o'.repeat(5000), 'e'.repeat(5000)]);
});

test('a held-back program is ended by its timeout and by cancellation', async () => {
  const engine = await testEngine();
  await pythonTemplate();
  const never = new Promise<void>(() => {});
  const code = 'while True: print("x" * 10000)';
  const init = { paced: true, capture: false, onStdout: () => never };
  assert.equal((await engine.run('python', code, { ...init, timeoutMs: 400 })).limit, 'timeout');
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 300);
  assert.equal((await engine.run('python', code, { ...init, signal: stop.signal })).limit, 'cancelled');
});
