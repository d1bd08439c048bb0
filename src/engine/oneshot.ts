// Runs one program of an image to its end on the calling thread, in a fresh VM with nothing preloaded. Only the builder
// does this, while building images; sandboxes of users go through Guest and the scheduler.

import { exitCodeOf } from '../kernel/end.ts';
import { runSlice } from '../kernel/run.ts';
import { createMachine } from '../vmm/machine.ts';
import { OffshootError } from './errors.ts';
import { bootGuestKernel } from './guestkernel.ts';
import type { KvmHost } from './kvmhost.ts';

/** What to run. */
export interface OneShot {
  readonly argv: readonly string[];
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly uid: number;
  /** All of standard input; absent: empty. Bytes are queued by reference, so a mapped file costs no memory here. */
  readonly stdin?: readonly Uint8Array[];
  /** Takes standard output as it comes, instead of the result; valid during the call only. */
  readonly onStdout?: (bytes: Uint8Array) => void;
}

/** How it went. */
export interface OneShotResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

const BUDGET_NS = 100_000_000;

/** Runs until the program ends. Throws OffshootError when it waits for something that cannot come. */
export function runToEnd(host: KvmHost, imageId: string, shot: OneShot): OneShotResult {
  const kept: [Buffer[], Buffer[]] = [[], []];
  const machine = createMachine(host.kvm, { fd: null }, shot.memoryBytes);
  try {
    const output = (stream: number, bytes: Uint8Array): void => {
      if (stream === 1 && shot.onStdout) shot.onStdout(bytes);
      else kept[stream - 1].push(Buffer.from(bytes));
    };
    const kernel = bootGuestKernel(host, imageId, machine, output, {
      argv: shot.argv, uid: shot.uid, gid: shot.uid, cwd: '/', control: false, limits: { outputBytesMax: shot.outputBytes },
    });
    for (const bytes of shot.stdin ?? []) kernel.streams.stdin.push(bytes);
    kernel.streams.stdin.close();
    for (;;) {
      host.refreshClock();
      const state = runSlice(kernel, BUDGET_NS);
      if (state.kind === 'exited') {
        return { stdout: Buffer.concat(kept[0]), stderr: Buffer.concat(kept[1]), exitCode: exitCodeOf(state.reason) };
      }
      if (state.kind !== 'slice' && !(state.kind === 'blocked' && state.wakeAtNs !== Infinity)) {
        throw new OffshootError('internal', `${shot.argv[0]} stopped for ever while an image was being built.`);
      }
    }
  } finally {
    machine.destroy();
  }
}
