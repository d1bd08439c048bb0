// A kernel with processes on the fake machine, for tests of the core: calls go through dispatch with real registers, signals
// through delivery; a scripted processor stands in for ring 3 where the run loop itself is tested.
//
// Interface: Kit (call, resume, spawnTask, memory helpers), ScriptMachine, elf() for tiny executables.

import { buildVfs } from '../../../src/kernel/fs/mounts.ts';
import { syntheticMounts } from '../../../src/kernel/fs/synthetic.ts';
import { FdTable } from '../../../src/kernel/fs/fdtable.ts';
import { FsContext } from '../../../src/kernel/fs/fscontext.ts';
import { Kernel } from '../../../src/kernel/kernel.ts';
import type { Limits } from '../../../src/kernel/limits.ts';
import { Mm } from '../../../src/kernel/mm/mm.ts';
import { credentialsOf } from '../../../src/kernel/process/credentials.ts';
import { Process } from '../../../src/kernel/process/process.ts';
import { defaultRlimits } from '../../../src/kernel/process/rlimits.ts';
import { Task, newContext } from '../../../src/kernel/process/task.ts';
import { restoreKernel, saveKernel } from '../../../src/kernel/save.ts';
import { deliverSignals } from '../../../src/kernel/signal/deliver.ts';
import { SignalState } from '../../../src/kernel/signal/state.ts';
import { dispatch, redispatch } from '../../../src/kernel/syscalls/dispatch.ts';
import { ROWS } from '../../../src/kernel/syscalls/table.ts';
import { REG } from '../../../src/platform.ts';
import type { AddressSpace, Context, Trap } from '../../../src/platform.ts';
import { FakeHost, FakeMachine } from '../fakemachine.ts';
import { image } from './fsworld.ts';
import type { Entry } from './fsworld.ts';

const NUMBERS = new Map(ROWS.map((row) => [row.name, row.nr]));
export const CODE = 0x40_0000, STACK_TOP = 0x7000_0000_0000;

/** A fake machine whose ring 3 is a function. */
export class ScriptMachine extends FakeMachine {
  processor: (context: Context, space: AddressSpace, sliceNs: number) => Trap = () => {
    throw new Error('no script');
  };

  override run(context: Context, space: AddressSpace, sliceNs: number): Trap {
    return this.processor(context, space, sliceNs);
  }
}

/** Puts a call into the registers, as `syscall` leaves them. */
export function setCall(context: Context, name: string, args: readonly (number | bigint)[]): void {
  const { regs } = context;
  regs[REG.rax] = BigInt(NUMBERS.get(name) ?? 999);
  const slots = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9];
  args.forEach((value, i) => {
    regs[slots[i]] = BigInt.asUintN(64, BigInt(value));
  });
  regs[REG.rip] += 2n;
}

export class Kit {
  readonly host: FakeHost;
  readonly machine: ScriptMachine;
  readonly kernel: Kernel;
  readonly tree: { index: ReturnType<typeof image>['index']; blob: Uint8Array };
  readonly task: Task;
  /** 1 MB of memory of the first process. */
  readonly buffer: number;
  private used = 0;

  constructor(files: Record<string, Entry> = {}, limits: Partial<Limits> = {}) {
    this.tree = image(files);
    this.host = new FakeHost(this.tree.blob);
    this.machine = new ScriptMachine(64 << 20);
    this.kernel = new Kernel({ machine: this.machine, host: this.host, limits });
    this.kernel.vfs = buildVfs(this.kernel, this.tree.index, [syntheticMounts(this.kernel)]);
    this.task = this.spawnTask();
    this.kernel.main = this.task.process;
    this.buffer = this.task.process.mm.map({ addr: 0, length: 1 << 20, prot: 3, flags: 0x22, inode: null, offset: 0 });
  }

  /** A new process, child of `parent` (pid 1 when absent). */
  spawnTask(parent: Task | null = null, uid = 0): Task {
    const { kernel } = this;
    const mm = Mm.create(kernel);
    if (typeof mm === 'number') throw new Error('no memory');
    const root = kernel.vfs.root;
    const process = new Process(kernel, kernel.allocPid(), parent?.process.pid ?? 1, {
      mm, files: new FdTable(), fs: new FsContext(root, root), signals: new SignalState(), credentials: credentialsOf(uid, uid),
    });
    process.rlimits = defaultRlimits(kernel.limits);
    const task = new Task(kernel, process.pid, process, newContext(), 'test');
    task.context.regs[REG.rip] = BigInt(CODE);
    task.context.regs[REG.rsp] = BigInt(STACK_TOP - 4096);
    task.context.regs[REG.rflags] = 0x202n;
    mm.map({ addr: STACK_TOP - 65536, length: 65536, prot: 3, flags: 0x32, inode: null, offset: 0 });
    mm.map({ addr: CODE, length: 4096, prot: 7, flags: 0x32, inode: null, offset: 0 });
    kernel.addTask(task);
    return task;
  }

  /** Makes a call; its result as a signed number, or 'blocked', or 'dead'. Signals are delivered afterwards. */
  call(name: string, ...args: (number | bigint)[]): number | 'blocked' | 'dead' {
    return this.callAs(this.task, name, ...args);
  }

  callAs(task: Task, name: string, ...args: (number | bigint)[]): number | 'blocked' | 'dead' {
    setCall(task.context, name, args);
    dispatch(task);
    return this.settle(task);
  }

  /** Goes on with a task that was woken, timed out or interrupted. */
  resume(task: Task = this.task): number | 'blocked' | 'dead' {
    if (task.rerun) redispatch(task);
    return this.settle(task);
  }

  settle(task: Task): number | 'blocked' | 'dead' {
    for (let i = 0; i < 10 && (task.rerun || task.work) && task.state === 'runnable'; i++) {
      if (task.rerun) redispatch(task);
      else deliverSignals(task);
    }
    if (task.state === 'dead') return 'dead';
    return task.state === 'blocked' ? 'blocked' : Number(BigInt.asIntN(64, task.context.regs[REG.rax]));
  }

  /** Lets time pass: expires what is due. */
  advance(ns: number): void {
    this.host.nowNs += ns;
    this.kernel.timers.expire(this.kernel.clock.monotonicNs());
  }

  /** Room for `size` bytes in the buffer, 16-aligned. */
  room(size: number): number {
    const at = this.buffer + this.used;
    this.used += Math.ceil(size / 16) * 16;
    return at;
  }

  put(bytes: Uint8Array): number {
    const at = this.room(bytes.length);
    this.task.process.mm.copyOut(at, bytes);
    return at;
  }

  text(text: string): number {
    return this.put(Uint8Array.from(`${text}\0`, (char) => char.charCodeAt(0)));
  }

  words(...values: (number | bigint)[]): number {
    return this.put(new Uint8Array(BigUint64Array.from(values, (value) => BigInt.asUintN(64, BigInt(value))).buffer));
  }

  u32(gva: number): number {
    return this.task.process.mm.readU32(gva);
  }

  u64(gva: number): bigint {
    return this.task.process.mm.readU64(gva);
  }

  /** Another kernel from this one's state. */
  fork(): Kernel {
    return restoreKernel(saveKernel(this.kernel), { machine: this.machine.fork(), host: this.host, index: this.tree.index });
  }
}

interface Segment { vaddr: number; offset: number; filesz: number; memsz?: number; flags: number }

/** A tiny ELF64 file: headers, then zero bytes up to what the segments need. */
export function elf(options: { type?: number; entry?: number; segments?: Segment[]; interp?: string; machine?: number } = {}): Uint8Array {
  const { type = 2, entry = 0x401000, machine = 62, interp } = options;
  const segments = options.segments ?? [{ vaddr: 0x400000, offset: 0, filesz: 0x2000, flags: 5 }];
  const bytes = new Uint8Array(Math.max(0x200, ...segments.map((segment) => segment.offset + segment.filesz)));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type, true);
  view.setUint16(18, machine, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length + (interp ? 1 : 0), true);
  let at = 64;
  const header = (kind: number, flags: number, offset: number, vaddr: number, filesz: number, memsz: number): void => {
    view.setUint32(at, kind, true);
    view.setUint32(at + 4, flags, true);
    [offset, vaddr, vaddr, filesz, memsz, 4096].forEach((value, i) => view.setBigUint64(at + 8 + 8 * i, BigInt(value), true));
    at += 56;
  };
  if (interp) {
    for (let i = 0; i < interp.length; i++) bytes[0x1c0 + i] = interp.charCodeAt(i);
    header(3, 4, 0x1c0, 0x4001c0, interp.length + 1, interp.length + 1);
  }
  for (const { flags, offset, vaddr, filesz, memsz } of segments) header(1, flags, offset, vaddr, filesz, memsz ?? filesz);
  return bytes;
}
