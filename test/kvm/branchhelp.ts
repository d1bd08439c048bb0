// Running guests that a test talks to and branches: Python that executes what it is told, line by line, in this process.

import { Guest } from '../../src/engine/guest.ts';
import { templatePath } from '../../src/engine/home.ts';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { LoadedTemplate } from '../../src/engine/loaded.ts';
import { RUN_LIMITS, type RunEnd } from '../../src/engine/protocol.ts';
import { provision } from '../../src/engine/provision.ts';
import { ENVIRONMENT } from '../../src/engine/spec.ts';
import { offshootHome } from '../../src/image/home.ts';

/** Executes each line; what it printed ends with a line of its own. */
const LOOP = `
import sys, os, time, threading, signal, mmap, zlib, random
import numpy as np
def crc(array): return zlib.crc32(memoryview(array).cast('B'))
state = globals()
for line in sys.stdin:
  try: exec(line.replace('\\x01', '\\n'), state)
  except Exception as error: print(repr(error))
  print('\\x02', end='', flush=True)
`;
const SLICE_NS = 10_000_000;
const ANSWER_MS_MAX = 60_000;

interface Opened { readonly host: KvmHost; readonly template: LoadedTemplate }

let template: Promise<Opened> | null = null;

/** The Python template in this process. */
export function opened(): Promise<Opened> {
  return (template ??= openTemplate());
}

async function openTemplate(): Promise<Opened> {
  const host = KvmHost.open(offshootHome());
  await provision(host, 'python', false, () => {});
  return { host, template: LoadedTemplate.open(host, templatePath(host.home, 'python')) };
}

const open = new Set<Talker>();

/** A guest and what it said. */
export class Talker {
  guest!: Guest;
  end: RunEnd | null = null;
  private said = '';

  private readonly onEnd = (end: RunEnd): void => {
    this.end = end;
  };

  /** A new one, waiting for its first line. */
  static async start(memoryBytes = 512 << 20, canBranch = true): Promise<Talker> {
    const { host, template: python } = await opened();
    const talker = new Talker();
    const guest = Guest.fork(host, python, memoryBytes);
    if (canBranch) guest.prepareToBranch();
    talker.listen(guest);
    guest.start({
      request: { kind: 'code', code: Buffer.from(LOOP), filename: '<string>', argv: ['-c'], path0: '' },
      env: ENVIRONMENT, cwd: '/home/user', strace: false, countPages: false, limits: { ...RUN_LIMITS, memoryBytes },
    }, talker.onEnd);
    while (guest.step(SLICE_NS).kind === 'more');
    return talker;
  }

  private listen(guest: Guest): void {
    open.add(this);
    this.guest = guest;
    guest.attach({
      output: (_stream, bytes, sent) => {
        this.said += Buffer.from(bytes).toString();
        sent();
      },
      wake: () => {},
    });
  }

  /** Executes Python statements; what they print, without the last newline. */
  do(code: string): string {
    this.guest.stdin(Buffer.from(`${code.replaceAll('\n', '\x01')}\n`));
    return this.answer();
  }

  /** Runs the guest until it has answered or ended. */
  answer(): string {
    const endMs = performance.now() + ANSWER_MS_MAX;
    while (!this.said.includes('\x02')) {
      const state = this.guest.step(SLICE_NS);
      if (state.kind === 'ended') break;
      if (performance.now() > endMs) throw new Error(`no answer, only ${this.said}`);
      if (state.kind === 'blocked' && !this.said.includes('\x02')) pause(Math.min(state.wakeAtMs - performance.now(), 20));
    }
    const [answer, ...rest] = this.said.split('\x02');
    this.said = rest.join('\x02');
    return answer.replace(/\n$/, '');
  }

  /** Runs it without waiting for it. */
  step(times: number): void {
    for (let i = 0; i < times; i++) if (this.guest.step(SLICE_NS).kind === 'blocked') pause(2);
  }

  /** Others that go on from here. */
  branches(count: number): Talker[] {
    const talkers = Array.from({ length: count }, () => new Talker());
    const guests = this.guest.branch(talkers.map((talker) => talker.onEnd));
    talkers.forEach((talker, i) => {
      talker.said = this.said;
      talker.listen(guests[i]);
    });
    return talkers;
  }

  branch(): Talker {
    return this.branches(1)[0];
  }

  close(): void {
    open.delete(this);
    this.guest.destroy();
  }

  /** Those that a failed test has left open. */
  static closeAll(): void {
    for (const talker of open) talker.close();
  }
}

function pause(ms: number): void {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
