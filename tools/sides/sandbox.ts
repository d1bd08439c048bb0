// Runs a program in a sandbox: a fresh VM with nothing preloaded, in a process of its own, so that whatever happens to it stays there.
//
// Interface: runInSandbox. As a program (node tools/sides/sandbox.ts PROGRAM, JSON) it is that process: the guest's output is its
// own, its last line on standard error, `\x1f` and JSON, says how the guest ended. SIDES_STRACE=FILE writes a trace.

import { spawn } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { bootGuestKernel } from '../../src/engine/guestkernel.ts';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { describeEnd, exitCodeOf, type EndReason } from '../../src/kernel/end.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { runSlice } from '../../src/kernel/run.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import { ENVIRONMENT } from '../../src/engine/spec.ts';
import type { OnOutput, Program } from './program.ts';

interface GuestProgram extends Program { readonly home: string; readonly imageId: string }

/** How a program ended in a sandbox. */
export interface SandboxEnd {
  /** Exit code, 128 + signal; null when its time was up. */
  readonly exitCode: number | null;
  readonly timeMs: number;
  /** The sandbox's own words, where it ended in another way than by exit. */
  readonly reason: string | null;
  readonly unimplemented: Readonly<Record<string, number>>;
}
type Ending = Omit<SandboxEnd, 'timeMs'>;

const LOST: Ending = { exitCode: null, reason: 'the sandbox\'s process was lost', unimplemented: {} };

const SLICE_NS = 50_000_000;
const UID = 1000;
/** How long after its time limit a sandbox's process may still live. */
const GRACE_MS = 30_000;

/** Runs the program to its end or its time limit. */
export function runInSandbox(home: string, imageId: string, program: Program, onOutput: OnOutput): Promise<SandboxEnd> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const argument = JSON.stringify({ ...program, home, imageId } satisfies GuestProgram);
    const child = spawn(process.execPath, [import.meta.filename, argument], { stdio: ['ignore', 'pipe', 'pipe'] });
    let ending = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => onOutput(1, text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const at = ending === '' ? text.indexOf('\x1f') : 0;
      if (at >= 0) ending += text.slice(at);
      if (at !== 0) onOutput(2, at > 0 ? text.slice(0, at) : text);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), program.timeoutMs + GRACE_MS);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      resolve({ ...(ending === '' ? LOST : JSON.parse(ending.slice(1)) as Ending), timeMs: performance.now() - start });
    });
  });
}

/** The guest to its end; null when its time is up. */
function runGuest(host: KvmHost, kernel: Kernel, timeoutMs: number): EndReason | 'stuck' | null {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const endMs = performance.now() + timeoutMs;
  while (performance.now() < endMs) {
    host.refreshClock();
    const state = runSlice(kernel, SLICE_NS);
    if (state.kind === 'exited') return state.reason;
    if (state.kind === 'failed' || state.kind === 'snapshot') return 'stuck';
    if (state.kind !== 'blocked') continue;
    if (state.wakeAtNs === Infinity) return 'stuck';
    Atomics.wait(pause, 0, 0, Math.min((state.wakeAtNs - kernel.clock.monotonicNs()) / 1e6, 400, Math.max(0, endMs - performance.now())));
  }
  return null;
}

function main(program: GuestProgram): void {
  const host = KvmHost.open(program.home);
  const machine = createMachine(host.kvm, { fd: null }, program.memoryBytes);
  const output = (stream: number, bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length;) at += writeSync(stream, bytes, at);
  };
  const kernel = bootGuestKernel(host, program.imageId, machine, output, {
    argv: program.argv, uid: UID, gid: UID, cwd: ENVIRONMENT['HOME'], control: false, limits: {},
  });
  kernel.streams.stdin.close();
  const strace = process.env['SIDES_STRACE'];
  if (strace !== undefined) {
    const file = openSync(strace, 'w');
    kernel.traceTo((text) => void writeSync(file, text.endsWith('\n') ? text : `${text}\n`));
  }
  const end = runGuest(host, kernel, program.timeoutMs);
  const reason = end === 'stuck' ? 'everything waits for something that cannot come'
    : end === null || end.kind === 'exit' ? null : describeEnd(end) + (end.kind === 'bug' ? `\n${end.detail}` : '');
  const exitCode = end === null || end === 'stuck' ? null : exitCodeOf(end);
  writeSync(2, `\x1f${JSON.stringify({ exitCode, reason, unimplemented: Object.fromEntries(kernel.unimplemented) } satisfies Ending)}\n`);
  process.exit(0);
}

if (process.argv[1] === import.meta.filename) main(JSON.parse(process.argv[2]) as GuestProgram);
