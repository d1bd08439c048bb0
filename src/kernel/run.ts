// The run loop: picks a task, runs ring 3 until it traps, answers the trap. The only caller of machine.run.
//
// Interface: runSlice(kernel, budgetNs). The engine calls it again and again; what it returns says what to wait for.

import { GENERAL_PROTECTION, INVALID_OPCODE, PAGE_FAULT, PF_PRESENT, exceptionSignal, interruptGate } from './process/fault.ts';
import type { EndReason } from './end.ts';
import type { Kernel } from './kernel.ts';
import { KernelBug } from './bug.ts';
import { abortSequence } from './process/rseq.ts';
import type { Task } from './process/task.ts';
import { REG } from '../platform.ts';
import type { Trap } from '../platform.ts';
import { deliverSignals } from './signal/deliver.ts';
import { forceSignal } from './signal/send.ts';
import { siginfo } from './signal/state.ts';
import { dispatch, lastCalls, redispatch } from './syscalls/dispatch.ts';
import { tellMachine } from './syscalls/facts.ts';
import { SIGSEGV, SI_KERNEL } from '../abi/linux/signal.ts';
import { SNAPSHOT } from './wait.ts';

export type RunState =
  /** The sandbox has ended. */
  | { readonly kind: 'exited'; readonly reason: EndReason }
  /** Nobody can run before `wakeAtNs` (the sandbox's CLOCK_MONOTONIC; Infinity: only an outside event helps). */
  | { readonly kind: 'blocked'; readonly wakeAtNs: number }
  /** The budget is used up; more work is ready. */
  | { readonly kind: 'slice' }
  /** `task` stands inside fork at the snapshot point. */
  | { readonly kind: 'snapshot'; readonly task: Task }
  /** A snapshot was asked for at a point where none can be taken. */
  | { readonly kind: 'failed'; readonly reason: string };

/** End of user addresses with 4-level page tables (TASK_SIZE_MAX). */
export const TASK_SIZE = 0x7fff_ffff_f000;

/** A turn that is nearly over is not cut shorter than this: each kick costs 50 us, and kicks come in periods rounded down. */
const TURN_MIN_NS = 1_250_000;

/** Runs the sandbox for about `budgetNs` nanoseconds, or until it blocks or ends. */
export function runSlice(kernel: Kernel, budgetNs: number): RunState {
  try {
    return checked(kernel, loop(kernel, budgetNs));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const detail = `${error.stack}\nlast calls:\n${lastCalls(kernel.ring).join('\n')}`;
    kernel.end({ kind: 'bug', message: error instanceof KernelBug ? error.message : String(error), detail });
    return { kind: 'exited', reason: kernel.endReason as EndReason };
  } finally {
    kernel.cpuTime.end();
  }
}

/** Between slices: what we keep for the sandbox may have become too much. */
function checked(kernel: Kernel, state: RunState): RunState {
  if ((state.kind !== 'slice' && state.kind !== 'blocked') || !kernel.ownMemory.isTooMuch(state.kind === 'slice')) return state;
  const reason: EndReason = { kind: 'limit', limit: 'kernel-memory', detail: kernel.ownMemory.limitText };
  kernel.end(reason);
  return { kind: 'exited', reason };
}

function loop(kernel: Kernel, budgetNs: number): RunState {
  const { clock, cpuTime, sched, timers } = kernel;
  let now = clock.monotonicNs();
  const endNs = now + budgetNs;
  cpuTime.begin(now);
  for (;;) {
    if (kernel.endReason) return { kind: 'exited', reason: kernel.endReason };
    if (now >= timers.nextNs) timers.expire(now);
    if (kernel.syscallCount >= kernel.stopAtCall) return { kind: 'slice' };
    const task = sched.pick(now);
    if (!task) {
      kernel.tracer?.idle();
      return { kind: 'blocked', wakeAtNs: timers.nextNs };
    }
    if (now >= endNs) return { kind: 'slice' };
    const { process } = task;
    const cpuLeftNs = process.timers.cpuAtNs === Infinity ? Infinity : process.timers.cpuAtNs - process.cpuNsAtMost;
    const turnNs = Math.max(Math.min(endNs, sched.preemptAtNs) - now, TURN_MIN_NS);
    cpuTime.run(task);
    const outcome = step(kernel, task, Math.min(turnNs, timers.nextNs - now, cpuLeftNs));
    const after = clock.monotonicNs();
    cpuTime.charge(task, after);
    sched.charge(task, after - now);
    now = after;
    if (process.timers.cpuAtNs !== Infinity && process.cpuNsAtMost >= process.timers.cpuAtNs && process.exitStatus < 0) process.timers.expireCpu();
    if (kernel.cpuNs + cpuTime.unsettledNs > kernel.limits.cpuNsMax) checkCpuLimit(kernel);
    if (outcome === SNAPSHOT) {
      return kernel.snapshotFailure ? { kind: 'failed', reason: kernel.snapshotFailure } : { kind: 'snapshot', task };
    }
  }
}

/** The CPU limit may be used up. */
function checkCpuLimit(kernel: Kernel): void {
  kernel.cpuTime.settle();
  if (kernel.cpuNs > kernel.limits.cpuNsMax) kernel.end({ kind: 'limit', limit: 'cpu', detail: `${kernel.limits.cpuNsMax / 1e9} s` });
}

/** One step of a runnable task: go on with its call, handle its signals, or run ring 3 to the next trap. */
function step(kernel: Kernel, task: Task, sliceNs: number): number {
  if (task.rerun) return redispatch(task);
  if (task.work) {
    deliverSignals(task);
    if (task.state !== 'runnable' || task.work) return 0;
  }
  if (kernel.lastRun !== task) {
    kernel.lastRun = task;
    task.switches++;
    task.askedBy = -1;
    // Somebody else ran in between: a restartable sequence is over. After a call there is none.
    if (task.rseq.address !== 0) abortSequence(task);
    if (task.work) return 0;
  }
  if (!checkRip(task)) return 0;
  tellMachine(task);
  const trap = kernel.machine.run(task.context, task.process.mm.space, Math.max(sliceNs, 1000));
  if (trap.kind === 'syscall') return dispatch(task);
  return handleTrap(kernel, task, trap);
}

/** A RIP the processor would fault on at CPL 0 must never be loaded. */
function checkRip(task: Task): boolean {
  const { regs32 } = task.context;
  const high = regs32[REG.rip * 2 + 1];
  if (high < 0x7fff || (high === 0x7fff && regs32[REG.rip * 2] < 0xffff_f000)) return true;
  forceSignal(task, siginfo(SIGSEGV, SI_KERNEL));
  return false;
}

function handleTrap(kernel: Kernel, task: Task, trap: Trap): number {
  switch (trap.kind) {
    case 'exception':
      return handleException(kernel, task, trap.vector, trap.errorCode, trap.address);
    case 'failed':
      kernel.end({ kind: 'machine', reason: trap.reason });
      return 0;
    case 'shutdown':
      kernel.end({ kind: 'machine', reason: 'the virtual processor shut down (triple fault)' });
      return 0;
    case 'io':
    case 'mmio':
    case 'hlt':
      // Ring 3 reached for a device there is not.
      forceSignal(task, siginfo(SIGSEGV, SI_KERNEL));
      return 0;
    default:
      return 0;
  }
}

function handleException(kernel: Kernel, task: Task, vector: number, errorCode: number, address: number): number {
  if (vector === PAGE_FAULT) {
    const fault = task.process.mm.handleFault(address, errorCode);
    if (fault === 0) return 0;
    if (fault.code === 'oom') {
      if (kernel.onMemoryOut?.()) return 0;
      kernel.end({ kind: 'limit', limit: 'memory', detail: `${kernel.memory.limitBytes / 2 ** 20} MB` });
      return 0;
    }
    // As Linux: what is mapped above the user's half is nobody's business.
    task.fault = { vector, errorCode: address >= TASK_SIZE ? errorCode | PF_PRESENT : errorCode, address };
    forceSignal(task, siginfo(fault.signo, fault.code, { addr: address }));
    return 0;
  }
  const gate = vector === INVALID_OPCODE ? interruptGate(task) : -1;
  task.fault = gate >= 0 ? { vector: GENERAL_PROTECTION, errorCode: gate << 3 | 2, address: 0 } : { vector, errorCode, address };
  forceSignal(task, exceptionSignal(task, task.fault.vector));
  return 0;
}
