// Helpers for machine tests: a machine with a code page, a stack and a bump frame source, driven without the kernel.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AddressSpace, Context, FrameSource, Trap } from '../../src/platform.ts';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE, REG, REG_COUNT } from '../../src/platform.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import type { KvmMachine } from '../../src/vmm/machine.ts';
import { gnuAs } from './gnuas.ts';
import { openKvm } from '../../src/vmm/kvm.ts';
import type { Kvm } from '../../src/vmm/kvm.ts';
import { detectKind } from '../../src/vmm/selftest.ts';

export const CODE = 0x40_0000;
export const STACK_TOP = 0x7000_0000;
export const DATA = 0x60_0000;
export const RW = PAGE_READ | PAGE_WRITE;
export const RX = PAGE_READ | PAGE_EXEC;

/** A context at `rip` with everything else 0. */
export function context(rip: number, rsp = STACK_TOP): Context {
  const regs = new BigUint64Array(REG_COUNT);
  regs[REG.rip] = BigInt(rip);
  regs[REG.rsp] = BigInt(rsp);
  regs[REG.rflags] = 0x202n;
  return { regs, regs32: new Uint32Array(regs.buffer), fsBase: 0n, gsBase: 0n, fpu: null };
}

export class Guest {
  readonly machine: KvmMachine;
  readonly space: AddressSpace;
  readonly frames: FrameSource;
  next: number;

  constructor(machine: KvmMachine) {
    this.machine = machine;
    this.next = machine.memory.firstFrame;
    this.frames = { allocTableFrame: () => this.frame() };
    const space = machine.newAddressSpace(this.frames);
    if (space === null) throw new Error('no address space');
    this.space = space;
  }

  static make(kvm: Kvm, limitBytes = 64 * 2 ** 20): Guest {
    return new Guest(createMachine(kvm, { fd: null }, limitBytes));
  }

  frame(): number {
    const gpa = this.next;
    if (!this.machine.memory.grow(gpa + 4096)) return 0;
    this.next += 4096;
    return gpa;
  }

  /** Maps a fresh page; returns its gpa. */
  page(gva: number, prot: number, bytes?: Uint8Array): number {
    const gpa = this.frame();
    this.space.map(gva, gpa, prot);
    if (bytes !== undefined) this.machine.memory.u8.set(bytes, gpa);
    return gpa;
  }

  /** Puts `code` at CODE and a stack below STACK_TOP. */
  load(code: Uint8Array): Context {
    this.page(CODE, RX, code);
    this.page(STACK_TOP - 4096, RW);
    return context(CODE);
  }

  run(c: Context, sliceNs = 0): Trap {
    return this.machine.run(c, this.space, sliceNs);
  }
}

const CACHE = fileURLToPath(new URL('assembled.json', import.meta.url));
const assembled = JSON.parse(readFileSync(CACHE, 'utf8')) as Record<string, string>;

/**
 * The machine code of AT&T source. Code is kept in assembled.json, so the tests need no assembler; a new line needs GNU as
 * once and is added to the file. test/unit/stub.test.ts assembles all of it again where `as` exists.
 */
export function assemble(source: string): Uint8Array {
  let hex = assembled[source];
  if (hex === undefined) {
    hex = Buffer.from(gnuAs(source)).toString('hex');
    assembled[source] = hex;
    writeFileSync(CACHE, `${JSON.stringify(assembled, null, 1)}\n`);
  }
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

/** The process's /dev/kvm, of the kind the self-test finds. */
let shared: Kvm | null = null;
export function kvm(): Kvm {
  return (shared ??= openKvm(detectKind() ?? 'pvm'));
}
