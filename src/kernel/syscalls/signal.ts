// The rt_sig* calls, sigaltstack(2), kill(2), tkill(2), tgkill(2), pause(2): arguments and checks; signal/ does the work.

import { EAGAIN, EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ERESTARTNOHAND, ESRCH } from '../../abi/linux/errno.ts';
import {
  MINSIGSTKSZ, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_RESTORER, SA_SIGINFO, SA_EXPOSE_TAGBITS,
  SIGACTION, SIGCONT, SIGINFO, SIGKILL, SIGSEGV, SIGSTOP, SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK, SI_KERNEL, SI_TKILL,
  SI_USER, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, defaultAction, sigbit,
} from '../../abi/linux/signal.ts';
import { REG } from '../../platform.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { altstackFlags, decodeSiginfo, encodeSiginfo, onAltstack, popFrame } from '../signal/frame.ts';
import { forceSignal, recalcWork, setSigmask, signalProcess, signalTask } from '../signal/send.ts';
import { dropPending, siginfo, takePending, UNBLOCKABLE } from '../signal/state.ts';
import type { SigInfo } from '../signal/state.ts';
import { NO_RESULT, waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { readTimespec } from './timespec.ts';
import { FULL, INT, PID, SIGNAL, SIZE, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const KNOWN_FLAGS = (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_RESTORER | SA_EXPOSE_TAGBITS) >>> 0;
const SIGSET_BYTES = 8;

function rtSigaction(task: Task, signo: number, actGva: number, oldGva: number, size: number): number {
  if (size !== SIGSET_BYTES) return -EINVAL;
  if (signo < 1 || signo > 64) return -EINVAL;
  const { mm, signals } = task.process;
  const old = signals.action(signo);
  const bytes = new Uint8Array(SIGACTION.size);
  if (actGva !== 0) {
    if (mm.copyIn(actGva, bytes) < 0) return -EFAULT;
    if (signo === SIGKILL || signo === SIGSTOP) return -EINVAL;
    const view = new DataView(bytes.buffer);
    const handler = view.getBigUint64(SIGACTION.handler, true);
    signals.actions[signo] = {
      handler, flags: (view.getUint32(SIGACTION.flags, true) & KNOWN_FLAGS) >>> 0,
      restorer: view.getBigUint64(SIGACTION.restorer, true), mask: view.getBigUint64(SIGACTION.mask, true) & ~UNBLOCKABLE,
    };
    if (handler === SIG_IGN || (handler === 0n && defaultAction(signo) === 'ign')) {
      dropPending(signals, sigbit(signo));
      for (const each of task.process.tasks) dropPending(each, sigbit(signo));
    }
  }
  if (oldGva === 0) return 0;
  const view = new DataView(bytes.buffer);
  view.setBigUint64(SIGACTION.handler, old.handler, true);
  view.setBigUint64(SIGACTION.flags, BigInt(old.flags), true);
  view.setBigUint64(SIGACTION.restorer, old.restorer, true);
  view.setBigUint64(SIGACTION.mask, old.mask, true);
  return mm.copyOut(oldGva, bytes) < 0 ? -EFAULT : 0;
}

function rtSigprocmask(task: Task, how: number, setGva: number, oldGva: number, size: number): number {
  if (size !== SIGSET_BYTES) return -EINVAL;
  const { mm } = task.process;
  const old = task.sigmask;
  if (setGva !== 0) {
    const set = mm.readU64(setGva);
    if (set < 0n) return -EFAULT;
    if (how === SIG_BLOCK) setSigmask(task, old | set);
    else if (how === SIG_UNBLOCK) setSigmask(task, old & ~set);
    else if (how === SIG_SETMASK) setSigmask(task, set);
    else return -EINVAL;
  }
  return oldGva === 0 ? 0 : mm.writeU64(oldGva, old);
}

function rtSigpending(task: Task, setGva: number, size: number): number {
  if (size > SIGSET_BYTES) return -EINVAL;
  const pending = (task.pending | task.process.signals.pending) & task.sigmask;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, pending, true);
  return task.process.mm.copyOut(setGva, bytes.subarray(0, size)) < 0 ? -EFAULT : 0;
}

function rtSigsuspend(task: Task, setGva: number, size: number): number | Wait {
  if (size !== SIGSET_BYTES) return -EINVAL;
  const set = task.process.mm.readU64(setGva);
  if (set < 0n) return -EFAULT;
  task.savedSigmask = task.sigmask;
  setSigmask(task, set);
  task.work = true;
  return waitOn([], { onSignal: -ERESTARTNOHAND });
}

function pause(): Wait {
  return waitOn([], { onSignal: -ERESTARTNOHAND });
}

interface SigwaitMemo { readonly sigwait: bigint }

function rtSigtimedwait(task: Task, setGva: number, infoGva: number, timeoutGva: number, size: number): number | Wait {
  if (size !== SIGSET_BYTES) return -EINVAL;
  const { mm, signals } = task.process;
  const set = mm.readU64(setGva);
  if (set < 0n) return -EFAULT;
  const wanted = set & ~UNBLOCKABLE;
  let deadlineNs = task.rerun?.deadlineNs ?? Infinity;
  if (timeoutGva !== 0 && !task.rerun) {
    const ns = readTimespec(task, timeoutGva);
    if (typeof ns === 'number') return ns;
    deadlineNs = task.kernel.clock.monotonicNs() + Number(ns);
  }
  const info = takePending(task, wanted) ?? takePending(signals, wanted);
  if (info) {
    if (infoGva !== 0 && mm.copyOut(infoGva, encodeSiginfo(info)) < 0) return -EFAULT;
    return info.signo;
  }
  if (task.timedOut || deadlineNs <= task.kernel.clock.monotonicNs()) return -EAGAIN;
  const memo: SigwaitMemo = { sigwait: wanted };
  return waitOn([], { deadlineNs, onSignal: -EINTR, memo });
}

function rtSigreturn(task: Task): number {
  if (!popFrame(task)) forceSignal(task, siginfo(SIGSEGV, SI_KERNEL));
  recalcWork(task);
  return NO_RESULT;
}

function sigaltstack(task: Task, newGva: number, oldGva: number): number {
  const { mm } = task.process;
  const sp = Number(task.context.regs[REG.rsp]);
  const old = new DataView(new ArrayBuffer(24));
  old.setBigUint64(0, BigInt(task.altstack.sp), true);
  old.setUint32(8, (altstackFlags(task, sp) | (task.altstack.flags & SS_AUTODISARM)) >>> 0, true);
  old.setBigUint64(16, BigInt(task.altstack.size), true);
  if (newGva !== 0) {
    const bytes = mm.readBytes(newGva, 24);
    if (typeof bytes === 'number') return bytes;
    if (onAltstack(task, sp)) return -EPERM;
    const view = new DataView(bytes.buffer, bytes.byteOffset, 24);
    const flags = view.getUint32(8, true);
    const mode = flags & ~SS_AUTODISARM;
    if (mode !== 0 && mode !== SS_DISABLE && mode !== SS_ONSTACK) return -EINVAL;
    const size = Number(view.getBigUint64(16, true));
    if (mode === SS_DISABLE) task.altstack = { sp: 0, flags: SS_DISABLE, size: 0 };
    else if (size < MINSIGSTKSZ) return -ENOMEM;
    else task.altstack = { sp: Number(view.getBigUint64(0, true)), flags: flags & SS_AUTODISARM, size };
  }
  return oldGva === 0 ? 0 : mm.copyOut(oldGva, new Uint8Array(old.buffer));
}

/** kill(2)'s permission: root, or the sender's real or effective uid equals the target's real or saved one. */
export function mayKill(task: Task, target: Process, signo: number): boolean {
  const { euid, ruid } = task.process.credentials;
  const to = target.credentials;
  if (target === task.process || euid === 0) return true;
  if (signo === SIGCONT && target.sid === task.process.sid) return true;
  return [euid, ruid].some((uid) => uid === to.ruid || uid === to.suid);
}

function userInfo(task: Task, signo: number, code: number): SigInfo {
  return siginfo(signo, code, { pid: task.process.pid, uid: task.process.credentials.ruid });
}

function kill(task: Task, pid: number, signo: number): number {
  if (signo < 0 || signo > 64) return -EINVAL;
  const info = userInfo(task, signo, SI_USER);
  if (pid > 0) {
    const target = task.kernel.processes.get(pid) ?? task.kernel.tasks.get(pid)?.process;
    if (!target) return pid === 1 ? -EPERM : -ESRCH;
    if (!mayKill(task, target, signo)) return -EPERM;
    if (signo !== 0) signalProcess(target, info);
    return 0;
  }
  return killMany(task, pid, signo, info);
}

function killMany(task: Task, pid: number, signo: number, info: SigInfo): number {
  const pgid = pid === 0 ? task.process.pgid : -pid;
  const isWanted = (other: Process): boolean => (pid === -1 ? other !== task.process : other.pgid === pgid);
  const targets = [...task.kernel.processes.values()].filter((other) => isWanted(other));
  if (targets.length === 0) return -ESRCH;
  const allowed = targets.filter((other) => mayKill(task, other, signo));
  if (allowed.length === 0) return -EPERM;
  if (signo !== 0) for (const target of allowed) signalProcess(target, info);
  return 0;
}

function findThread(task: Task, tgid: number, tid: number, signo: number): Task | number {
  if (tid <= 0 || tgid === 0 || tgid < -1 || signo < 0 || signo > 64) return -EINVAL;
  const target = task.kernel.tasks.get(tid);
  if (!target || (tgid !== -1 && target.process.pid !== tgid)) return -ESRCH;
  return mayKill(task, target.process, signo) ? target : -EPERM;
}

function tgkill(task: Task, tgid: number, tid: number, signo: number): number {
  if (tgid <= 0) return -EINVAL;
  const target = findThread(task, tgid, tid, signo);
  if (typeof target === 'number') return target;
  return signo === 0 ? 0 : signalTask(target, userInfo(task, signo, SI_TKILL));
}

function tkill(task: Task, tid: number, signo: number): number {
  const target = findThread(task, -1, tid, signo);
  if (typeof target === 'number') return target;
  return signo === 0 ? 0 : signalTask(target, userInfo(task, signo, SI_TKILL));
}

/** The siginfo_t at `gva`, as sent with `signo`. */
export function readSiginfo(task: Task, gva: number, signo: number): SigInfo | number {
  const bytes = task.process.mm.readBytes(gva, SIGINFO.size);
  return typeof bytes === 'number' ? bytes : decodeSiginfo(bytes, signo);
}

function rtSigqueueinfo(task: Task, pid: number, signo: number, gva: number): number {
  const info = readSiginfo(task, gva, signo);
  if (typeof info === 'number') return info;
  const target = task.kernel.processes.get(pid);
  if ((info.code >= 0 || info.code === SI_TKILL) && pid !== task.tid) return -EPERM;
  if (signo < 0 || signo > 64) return -EINVAL;
  if (!target) return -ESRCH;
  if (!mayKill(task, target, signo)) return -EPERM;
  return signo === 0 ? 0 : signalProcess(target, info);
}

function rtTgsigqueueinfo(task: Task, tgid: number, tid: number, signo: number, gva: number): number {
  if (tgid <= 0 || tid <= 0) return -EINVAL;
  const info = readSiginfo(task, gva, signo);
  if (typeof info === 'number') return info;
  if ((info.code >= 0 || info.code === SI_TKILL) && tid !== task.tid) return -EPERM;
  const target = findThread(task, tgid, tid, signo);
  if (typeof target === 'number') return target;
  return signo === 0 ? 0 : signalTask(target, info);
}

export const rows: SyscallRow[] = [
  sys(13, 'rt_sigaction', rtSigaction, FULL, [SIGNAL, STRUCT, STRUCT, SIZE]),
  sys(14, 'rt_sigprocmask', rtSigprocmask, FULL, [INT, STRUCT, STRUCT, SIZE]),
  sys(15, 'rt_sigreturn', rtSigreturn, FULL, []),
  sys(34, 'pause', pause, FULL, []),
  sys(62, 'kill', kill, FULL, [PID, SIGNAL]),
  sys(127, 'rt_sigpending', rtSigpending, FULL, [STRUCT, SIZE]),
  sys(128, 'rt_sigtimedwait', rtSigtimedwait, FULL, [STRUCT, STRUCT, STRUCT, SIZE]),
  sys(129, 'rt_sigqueueinfo', rtSigqueueinfo, FULL, [PID, SIGNAL, STRUCT]),
  sys(130, 'rt_sigsuspend', rtSigsuspend, FULL, [STRUCT, SIZE]),
  sys(131, 'sigaltstack', sigaltstack, FULL, [STRUCT, STRUCT]),
  sys(200, 'tkill', tkill, FULL, [PID, SIGNAL]),
  sys(234, 'tgkill', tgkill, FULL, [PID, PID, SIGNAL]),
  sys(297, 'rt_tgsigqueueinfo', rtTgsigqueueinfo, FULL, [PID, PID, SIGNAL, STRUCT]),
];
