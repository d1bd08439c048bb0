// A branch of a stateful sandbox has its contexts and programs once more, and each side goes on alone. In this process, as
// branch.test.ts does: sessions are stepped by hand.

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { Guest } from '../../src/engine/guest.ts';
import { templatePath } from '../../src/engine/home.ts';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { LoadedTemplate } from '../../src/engine/loaded.ts';
import { RUN_LIMITS, type ProgramOptions, type RunEnd } from '../../src/engine/protocol.ts';
import { provision } from '../../src/engine/provision.ts';
import type { SessionEvents } from '../../src/engine/session.ts';
import { ENVIRONMENT } from '../../src/engine/spec.ts';
import { offshootHome } from '../../src/image/home.ts';

const SLICE_NS = 10_000_000;
let nextNumber = 1;
const open: Guest[] = [];
after(() => open.forEach((guest) => guest.destroy()));

/** A session and what its runs print, by number. */
class Side {
  readonly guest: Guest;
  readonly printed = new Map<number, string>();
  readonly events: SessionEvents = {
    output: (number, _stream, bytes, sent) => {
      this.printed.set(number, (this.printed.get(number) ?? '') + Buffer.from(bytes).toString());
      sent();
    },
    wake: () => {},
  };

  constructor(guest: Guest) {
    this.guest = guest;
    open.push(guest);
  }

  static async start(): Promise<Side> {
    const host = KvmHost.open(offshootHome());
    await provision(host, 'python', false, () => {});
    const side = new Side(Guest.fork(host, LoadedTemplate.open(host, templatePath(host.home, 'python')), 512 << 20));
    side.guest.prepareToBranch();
    side.guest.open({ limits: RUN_LIMITS, env: ENVIRONMENT }, side.events, () => {});
    return side;
  }

  add(request: ProgramOptions['request'], code = ''): number {
    const number = nextNumber++;
    const options = { request, env: request.kind === 'exec' ? ENVIRONMENT : {}, cwd: null, timeoutMs: 0, outputBytes: 1 << 20, hasStdin: false };
    this.guest.session?.add(number, options, Buffer.from(code)).whenOver((end) => this.ends.set(number, end));
    return number;
  }

  readonly ends = new Map<number, RunEnd>();

  /** Steps until it holds. */
  until(holds: () => boolean): void {
    const endMs = performance.now() + 60_000;
    while (!holds()) {
      if (performance.now() > endMs) throw new Error('it does not come to that');
      if (this.guest.step(SLICE_NS).kind === 'blocked' && !holds()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }

  run(code: string, context = 'default'): string {
    const number = this.add({ kind: 'cell', context, filename: '<string>', argv: null }, code);
    this.until(() => this.ends.has(number));
    return this.printed.get(number) ?? '';
  }

  branch(): Side {
    const side = new Side(this.guest.branch([() => {}])[0]);
    side.guest.session?.listen(side.events);
    return side;
  }
}

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
