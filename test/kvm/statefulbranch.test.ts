// A branch of a stateful sandbox has its contexts and programs once more, and each side goes on alone. In this process, as
// branch.test.ts does: sessions are stepped by hand.

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import type { RunEnd } from '../../src/engine/protocol.ts';
import { ENVIRONMENT } from '../../src/engine/spec.ts';
import { Side } from './sidehelp.ts';

after(() => Side.closeAll());

test('variables of each context, background programs and their output are there once more', async () => {
  const source = await Side.start();
  source.guest.session?.changeContext('second', { env: { ...ENVIRONMENT, A: '1' }, cwd: '/tmp' });
  source.run('x = 1');
  source.run('x = 2', 'second');
  const program = source.add({ kind: 'exec', argv: ['sh', '-c', 'echo ready; while read line; do echo got $line; done'], isBackground: true });
  const kept = (side: Side): string => {
    const piece = side.guest.session?.background(program).log?.after({ stdout: 0, stderr: 0 });
    return Buffer.from(piece?.bytes ?? []).toString();
  };
  source.until(() => kept(source) === 'ready\n');
  const branch = source.branch();
  source.run('x = 10');
  source.guest.session?.stdin(program, Buffer.from('source\n'), false, () => {});
  branch.guest.session?.stdin(program, Buffer.from('branch\n'), false, () => {});
  assert.equal(branch.run('print(x)'), '1\n');
  assert.equal(branch.run('import os; print(x, os.environ["A"], os.getcwd())', 'second'), '2 1 /tmp\n');
  assert.equal(source.run('print(x)'), '10\n');
  source.until(() => kept(source) === 'ready\ngot source\n');
  branch.until(() => kept(branch) === 'ready\ngot branch\n');
  branch.guest.session?.stdin(program, Buffer.alloc(0), true, () => {});
  let ended: RunEnd | null = null;
  branch.guest.session?.background(program).whenOver((end) => ended = end);
  branch.until(() => ended !== null);
  assert.equal(source.guest.session?.signal(program, 0), true);
  assert.equal(branch.run('os._exit(3)', 'second'), '');
  assert.equal(branch.run('print("x" in globals())', 'second'), 'False\n');
  assert.equal(source.run('print(x)', 'second'), '2\n');
});

test('a run under way goes on in both; those that wait for it wait where they were asked for', async () => {
  const source = await Side.start();
  const cell = { kind: 'cell', context: 'default', filename: '<string>', argv: null } as const;
  const going = source.add(cell, 'import time\nprint("on", flush=True)\ntime.sleep(0.5)\ny = 5');
  const waiting = source.add(cell, 'y += 1');
  source.until(() => source.printed.get(going) === 'on\n');
  const branch = source.branch();
  assert.equal(branch.run('print(y)'), '5\n');
  source.until(() => source.ends.has(waiting));
  assert.equal(source.ends.get(going)?.exitCode, 0);
  assert.equal(source.run('print(y)'), '6\n');
  assert.equal(branch.printed.has(going), false);
});
