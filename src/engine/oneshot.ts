// Runs one program of an image to its end on the calling thread, in a fresh VM with nothing preloaded: while an image is built, in a
// process that may do nothing else (freezeprocess.ts). Sandboxes of users go through Guest and the scheduler.

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
  /** All of standard input. Queued by reference, so a mapped file costs no memory here. */
  readonly stdin: Uint8Array;
  /** Takes standard output as it comes; valid during the call only. */
  readonly onStdout: (bytes: Uint8Array) => void;
}

/** How it went. */
export interface OneShotEnd {
  readonly exitCode: number;
  /** The end of what it wrote there. */
  readonly stderr: string;
}

const BUDGET_NS = 100_000_000;
const STDERR_BYTES = 4096;

/** Runs until the program ends. Throws OffshootError when it waits for something that cannot come. */
export function runToEnd(host: KvmHost, imageId: string, shot: OneShot): OneShotEnd {
  let stderr = '';
  const machine = createMachine(host.kvm, { fd: null }, shot.memoryBytes);
  try {
    const output = (stream: number, bytes: Uint8Array): void => {
      if (stream === 1) shot.onStdout(bytes);
      else stderr = (stderr + Buffer.from(bytes).toString('latin1')).slice(-STDERR_BYTES);
    };
    const kernel = bootGuestKernel(host, imageId, machine, output, {
      argv: shot.argv, uid: shot.uid, gid: shot.uid, cwd: '/', control: false, limits: { outputBytesMax: shot.outputBytes },
    });
    if (shot.stdin.length > 0) kernel.streams.stdin.push(shot.stdin);
    kernel.streams.stdin.close();
    for (;;) {
      host.refreshClock();
      const state = runSlice(kernel, BUDGET_NS);
      if (state.kind === 'exited') {
        return { exitCode: exitCodeOf(state.reason), stderr: Buffer.from(stderr, 'latin1').toString('utf8') };
      }
      if (state.kind !== 'slice' && !(state.kind === 'blocked' && state.wakeAtNs !== Infinity)) {
        throw new OffshootError('internal', `${shot.argv[0]} stopped for ever while an image was being built.`);
      }
    }
  } finally {
    machine.destroy();
  }
}
