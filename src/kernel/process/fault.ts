// Which signal an exception of ring 3 becomes: arch/x86 traps as signal(7) and sigaction(2) describe them.

import {
  BUS_ADRALN, FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND, FPE_INTDIV, ILL_ILLOPN, SIGBUS, SIGFPE, SIGILL, SIGSEGV,
  SIGTRAP, SI_KERNEL, TRAP_TRACE,
} from '../../abi/linux/signal.ts';
import { REG } from '../../platform.ts';
import { siginfo } from '../signal/state.ts';
import type { SigInfo } from '../signal/state.ts';
import type { Task } from './task.ts';

export const INVALID_OPCODE = 6;
export const GENERAL_PROTECTION = 13;
export const PAGE_FAULT = 14;
/** Bit of a page fault's error code: the page was present. */
export const PF_PRESENT = 1;

/**
 * The number of an `int` instruction at RIP, or -1. PVM-style hosts answer it with #UD; a processor would say #GP for a gate
 * that ring 3 may not use.
 */
export function interruptGate(task: Task): number {
  const bytes = task.process.mm.readBytes(Number(task.context.regs[REG.rip]), 2);
  return typeof bytes !== 'number' && bytes[0] === 0xcd ? bytes[1] : -1;
}

/** The signal for an exception other than #PF. */
export function exceptionSignal(task: Task, vector: number): SigInfo {
  const rip = Number(task.context.regs[REG.rip]);
  switch (vector) {
    case 0: return siginfo(SIGFPE, FPE_INTDIV, { addr: rip });
    case 1: return siginfo(SIGTRAP, TRAP_TRACE, { addr: rip });
    case 3: return siginfo(SIGTRAP, SI_KERNEL);
    case 6: return siginfo(SIGILL, ILL_ILLOPN, { addr: rip });
    case 16: case 19: return siginfo(SIGFPE, fpuCode(task, vector), { addr: rip });
    case 17: return siginfo(SIGBUS, BUS_ADRALN);
    case 4: case 5: case 11: case 12: case 13:
    default: return siginfo(SIGSEGV, SI_KERNEL);
  }
}

/** si_code of a floating-point exception: unmasked flags of the x87 status word or MXCSR (fpu__exception_code). */
function fpuCode(task: Task, vector: number): number {
  task.kernel.machine.saveFpu(task.context);
  const { fpu } = task.context;
  if (!fpu) return FPE_FLTINV;
  const view = new DataView(fpu.buffer, fpu.byteOffset, fpu.byteLength);
  let flags: number;
  if (vector === 16) {
    flags = view.getUint16(2, true) & ~view.getUint16(0, true);
  } else {
    const mxcsr = view.getUint32(24, true);
    flags = mxcsr & ~(mxcsr >>> 7);
  }
  if (flags & 1) return FPE_FLTINV;
  if (flags & 4) return FPE_FLTDIV;
  if (flags & 8) return FPE_FLTOVF;
  if (flags & 0x12) return FPE_FLTUND;
  return flags & 0x20 ? FPE_FLTRES : FPE_FLTINV;
}

/** For an end reason: where a fault was, or who sent the signal. */
export function describeFault(info: SigInfo): string {
  if (info.code > 0 && info.code !== SI_KERNEL && [SIGSEGV, SIGBUS, SIGFPE, SIGILL].includes(info.signo)) return `address 0x${info.addr.toString(16)}`;
  return info.pid > 0 ? `sent by process ${info.pid}` : '';
}
