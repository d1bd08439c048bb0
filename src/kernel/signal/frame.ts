// Signal frames on the guest's stack: building one before a handler, taking one apart in rt_sigreturn(2).
// Layout: struct rt_sigframe (abi/linux/signal.ts), as arch/x86/kernel/signal_64.c puts it. Everything read back is the
// guest's word: flags are masked, selectors ignored, the FPU area checked; a bad RIP is caught by the run loop.

import {
  SA_ONSTACK, SA_RESTORER, SIGBUS, SIGCHLD, SIGCONTEXT_REGS, SIGFPE, SIGFRAME, SIGILL, SIGINFO, SIGSEGV, SIGTRAP, SI_TIMER,
  SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, UCONTEXT, UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS,
} from '../../abi/linux/signal.ts';
import { REG } from '../../platform.ts';
import type { Task } from '../process/task.ts';
import { buildFpstate, fpstateBytes, fpstateLength, parseFpstate } from './fpstate.ts';
import { UNBLOCKABLE } from './state.ts';
import type { SigAction, SigInfo } from './state.ts';

const REDZONE = 128;
/** Flags sigreturn may set: CF PF AF ZF SF TF DF OF RF AC. */
const RFLAGS_USER = 0x50dd5n;
/** Cleared when a handler starts: TF DF RF. */
const RFLAGS_CLEARED = 0x10500n;
const USER_CS = 0x33, USER_SS = 0x2b;
const TASK_SIZE = 0x7fff_ffff_f000;
const FAULTS = new Set([SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP]);

/** Whether `sp` lies on the task's alternate stack. */
export function onAltstack(task: Task, sp: number): boolean {
  const { altstack } = task;
  if (altstack.flags & SS_AUTODISARM) return false;
  return altstack.size > 0 && sp > altstack.sp && sp - altstack.sp <= altstack.size;
}

/** sas_ss_flags: what sigaltstack(2) reports. */
export function altstackFlags(task: Task, sp: number): number {
  if (task.altstack.size === 0) return SS_DISABLE;
  return onAltstack(task, sp) ? SS_ONSTACK : 0;
}

/** siginfo_t's 128 bytes. */
export function encodeSiginfo(info: SigInfo): Uint8Array {
  const bytes = new Uint8Array(SIGINFO.size);
  const view = new DataView(bytes.buffer);
  view.setInt32(SIGINFO.signo, info.signo, true);
  view.setInt32(SIGINFO.errno, info.errno, true);
  view.setInt32(SIGINFO.code, info.code, true);
  if (FAULTS.has(info.signo) && info.code > 0) {
    view.setBigUint64(SIGINFO.addr, BigInt(info.addr), true);
  } else if (info.code === SI_TIMER) {
    view.setInt32(SIGINFO.timerid, info.timerid, true);
    view.setInt32(SIGINFO.overrun, info.overrun, true);
    view.setBigUint64(SIGINFO.value, info.value, true);
  } else {
    view.setInt32(SIGINFO.pid, info.pid, true);
    view.setUint32(SIGINFO.uid, info.uid, true);
    if (info.signo === SIGCHLD && info.code > 0) view.setInt32(SIGINFO.status, info.status, true);
    else view.setBigUint64(SIGINFO.value, info.value, true);
  }
  return bytes;
}

/** A siginfo_t a program built (rt_sigqueueinfo). */
export function decodeSiginfo(bytes: Uint8Array, signo: number): SigInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SIGINFO.size);
  return {
    signo, code: view.getInt32(SIGINFO.code, true), errno: view.getInt32(SIGINFO.errno, true),
    pid: view.getInt32(SIGINFO.pid, true), uid: view.getUint32(SIGINFO.uid, true), status: 0,
    value: view.getBigUint64(SIGINFO.value, true), addr: 0, timerid: 0, overrun: 0,
  };
}

/** Writes the frame of a handler and points the registers at it. False: no room on the stack. */
export function pushFrame(task: Task, action: SigAction, info: SigInfo): boolean {
  const { context, kernel } = task;
  const { regs } = context;
  if ((action.flags & SA_RESTORER) === 0) return false;
  const before = Number(regs[REG.rsp]);
  let sp = before - REDZONE;
  const wasOn = onAltstack(task, before);
  const enter = (action.flags & SA_ONSTACK) !== 0 && task.altstack.size > 0 && !wasOn;
  if (enter) sp = task.altstack.sp + task.altstack.size;
  kernel.machine.saveFpu(context);
  const fpGva = Math.floor((sp - fpstateBytes(kernel.cpu)) / 64) * 64;
  const frame = Math.floor((fpGva - SIGFRAME.size) / 16) * 16 - 8;
  if (frame < 0 || fpGva >= TASK_SIZE || ((enter || wasOn) && frame < task.altstack.sp)) return false;
  const { mm } = task.process;
  if (mm.copyOut(fpGva, buildFpstate(kernel.cpu, context.fpu)) < 0) return false;
  if (mm.copyOut(frame, encodeFrame(task, action, info, fpGva, before)) < 0) return false;
  if (task.altstack.flags & SS_AUTODISARM) task.altstack = { sp: 0, flags: SS_DISABLE, size: 0 };
  regs[REG.rdi] = BigInt(info.signo);
  regs[REG.rsi] = BigInt(frame + SIGFRAME.info);
  regs[REG.rdx] = BigInt(frame + SIGFRAME.uc);
  regs[REG.rax] = 0n;
  regs[REG.rsp] = BigInt(frame);
  regs[REG.rip] = action.handler;
  regs[REG.rflags] &= ~RFLAGS_CLEARED;
  context.fpu = null;
  kernel.machine.fpuChanged(context);
  return true;
}

function encodeFrame(task: Task, action: SigAction, info: SigInfo, fpGva: number, sp: number): Uint8Array {
  const { context, altstack, fault } = task;
  const bytes = new Uint8Array(SIGFRAME.size);
  const view = new DataView(bytes.buffer);
  const uc = SIGFRAME.uc;
  view.setBigUint64(SIGFRAME.pretcode, action.restorer, true);
  view.setUint32(uc + UCONTEXT.flags, UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, true);
  view.setBigUint64(uc + UCONTEXT.stackSp, BigInt(altstack.sp), true);
  view.setUint32(uc + UCONTEXT.stackFlags, altstackFlags(task, sp) | (altstack.flags & SS_AUTODISARM), true);
  view.setBigUint64(uc + UCONTEXT.stackSize, BigInt(altstack.size), true);
  SIGCONTEXT_REGS.forEach((name, i) => view.setBigUint64(uc + UCONTEXT.mcontext + 8 * i, context.regs[REG[name]], true));
  view.setUint16(uc + UCONTEXT.cs, USER_CS, true);
  view.setUint16(uc + UCONTEXT.ss, USER_SS, true);
  if (FAULTS.has(info.signo)) {
    view.setBigUint64(uc + UCONTEXT.err, BigInt(fault.errorCode), true);
    view.setBigUint64(uc + UCONTEXT.trapno, BigInt(fault.vector), true);
    view.setBigUint64(uc + UCONTEXT.cr2, BigInt(fault.address), true);
  }
  const mask = task.savedSigmask ?? task.sigmask;
  view.setBigUint64(uc + UCONTEXT.oldmask, mask, true);
  view.setBigUint64(uc + UCONTEXT.fpstate, BigInt(fpGva), true);
  view.setBigUint64(uc + UCONTEXT.sigmask, mask, true);
  bytes.set(encodeSiginfo(info), SIGFRAME.info);
  return bytes;
}

/** rt_sigreturn: takes the frame at rsp-8 back into the registers. False: it is not readable or not a frame. */
export function popFrame(task: Task): boolean {
  const { context, kernel } = task;
  const frame = Number(context.regs[REG.rsp]) - 8;
  const bytes = task.process.mm.readBytes(frame, SIGFRAME.size);
  if (typeof bytes === 'number') return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const uc = SIGFRAME.uc;
  const fpGva = view.getBigUint64(uc + UCONTEXT.fpstate, true);
  if (!restoreFpu(task, fpGva)) return false;
  SIGCONTEXT_REGS.forEach((name, i) => {
    if (name !== 'rflags') context.regs[REG[name]] = view.getBigUint64(uc + UCONTEXT.mcontext + 8 * i, true);
  });
  const flags = view.getBigUint64(uc + UCONTEXT.mcontext + 8 * SIGCONTEXT_REGS.indexOf('rflags'), true);
  context.regs[REG.rflags] = (context.regs[REG.rflags] & ~RFLAGS_USER) | (flags & RFLAGS_USER) | 0x202n;
  task.sigmask = view.getBigUint64(uc + UCONTEXT.sigmask, true) & ~UNBLOCKABLE;
  const stackFlags = view.getUint32(uc + UCONTEXT.stackFlags, true);
  const size = Number(view.getBigUint64(uc + UCONTEXT.stackSize, true));
  const sp = Number(view.getBigUint64(uc + UCONTEXT.stackSp, true));
  if ((stackFlags & ~SS_AUTODISARM) === SS_DISABLE) task.altstack = { sp: 0, flags: SS_DISABLE, size: 0 };
  else if (sp < TASK_SIZE && size < TASK_SIZE) task.altstack = { sp, flags: stackFlags & SS_AUTODISARM, size };
  kernel.machine.fpuChanged(context);
  task.restart = 0;
  task.work = true;
  return true;
}

function restoreFpu(task: Task, gva: bigint): boolean {
  const { context, kernel } = task;
  if (gva === 0n) {
    context.fpu = null;
    return true;
  }
  if (gva % 64n !== 0n || gva >= BigInt(TASK_SIZE)) return false;
  const at = Number(gva);
  const { mm } = task.process;
  const legacy = mm.readBytes(at, 512);
  if (typeof legacy === 'number') return false;
  const length = fpstateLength(kernel.cpu, legacy);
  const bytes = length === 512 ? legacy : mm.readBytes(at, length);
  if (typeof bytes === 'number') return false;
  context.fpu = parseFpstate(kernel.cpu, bytes);
  return true;
}
