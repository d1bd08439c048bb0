// The last system calls of a sandbox, for crash reports: numbers only, recorded for every call at next to no cost.

import { errnoName } from './errnotext.ts';

const CALLS = 64;
const ARGS = 6;

export class CallRing {
  private readonly tids: number[] = [];
  private readonly numbers: number[] = [];
  private readonly results: number[] = [];
  /** Made at the first call: a fork that never runs should cost nothing. */
  private args: BigUint64Array | null = null;
  private count = 0;

  /** A call ended; `regs` are the registers in REG order with the arguments still in them. */
  record(tid: number, number: number, regs: BigUint64Array, result: number): void {
    const at = this.count++ % CALLS;
    this.tids[at] = tid;
    this.numbers[at] = number;
    this.results[at] = result;
    const args = (this.args ??= new BigUint64Array(CALLS * ARGS));
    const base = at * ARGS;
    args[base] = regs[5];
    args[base + 1] = regs[4];
    args[base + 2] = regs[3];
    args[base + 3] = regs[10];
    args[base + 4] = regs[8];
    args[base + 5] = regs[9];
  }

  /** One line a call, oldest first. `describe` gives a call's name and how many arguments it has. */
  lines(describe: (number: number) => { readonly name: string; readonly args: number } | undefined): string[] {
    const lines: string[] = [];
    for (let i = Math.max(0, this.count - CALLS); i < this.count; i++) {
      const at = i % CALLS;
      const row = describe(this.numbers[at]);
      const args = [...(this.args ?? []).slice(at * ARGS, at * ARGS + (row?.args ?? ARGS))].map((value) => `0x${value.toString(16)}`);
      const result = this.results[at];
      const text = result < 0 && result > -4096 ? `-1 ${errnoName(-result)}` : String(result);
      lines.push(`[pid ${this.tids[at]}] ${row?.name ?? `syscall ${this.numbers[at]}`}(${args.join(', ')}) = ${text}`);
    }
    return lines;
  }
}
