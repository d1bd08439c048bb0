// Stateful sandboxes that a test steps by hand, in this process, and branches.

import { Guest } from '../../src/engine/guest.ts';
import { RUN_LIMITS, type ProgramOptions, type RunEnd } from '../../src/engine/protocol.ts';
import type { SessionEvents } from '../../src/engine/session.ts';
import { ENVIRONMENT } from '../../src/engine/spec.ts';
import { opened } from './branchhelp.ts';

const SLICE_NS = 10_000_000;
let nextNumber = 1;
const open: Guest[] = [];

/** A session and what its runs print, by number. */
export class Side {
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
    const { host, template } = await opened();
    const side = new Side(Guest.fork(host, template, 512 << 20));
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
  until(holds: () => boolean, sliceNs = SLICE_NS): void {
    const endMs = performance.now() + 60_000;
    while (!holds()) {
      if (performance.now() > endMs) throw new Error('it does not come to that');
      if (this.guest.step(sliceNs).kind === 'blocked' && !holds()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }

  run(code: string, context = 'default', sliceNs = SLICE_NS): string {
    const number = this.add({ kind: 'cell', context, filename: '<string>', argv: null }, code);
    this.until(() => this.ends.has(number), sliceNs);
    return this.printed.get(number) ?? '';
  }

  /** False when it has nothing to do any more. */
  step(budgetNs: number): boolean {
    return this.guest.step(budgetNs).kind === 'more';
  }

  branch(): Side {
    const side = new Side(this.guest.branch([() => {}])[0]);
    side.guest.session?.listen(side.events);
    return side;
  }

  close(): void {
    this.guest.destroy();
  }

  static closeAll(): void {
    for (const guest of open.splice(0)) guest.destroy();
  }
}
