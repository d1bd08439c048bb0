// Signal state of a process and the queues of pending signals: sigaction(2), sigpending(2).
//
// A standard signal is pending at most once, real-time signals queue (bounded). `pending` is the bit set, `pendingInfo`
// the siginfos in order of arrival.

import { SIGKILL, SIGRTMIN, SIGSTOP, sigbit } from '../../abi/linux/signal.ts';

/** struct kernel_sigaction. handler is SIG_DFL (0), SIG_IGN (1) or a gva; u64s of a guest stay bigint. */
export interface SigAction {
  readonly handler: bigint;
  readonly flags: number;
  readonly restorer: bigint;
  readonly mask: bigint;
}

export const DEFAULT_ACTION: SigAction = { handler: 0n, flags: 0, restorer: 0n, mask: 0n };

/** siginfo_t as data. Which members count depends on `code` and `signo`: sigaction(2). */
export interface SigInfo {
  readonly signo: number;
  readonly code: number;
  readonly errno: number;
  readonly pid: number;
  readonly uid: number;
  readonly status: number;
  /** si_value (sigqueue, timers). */
  readonly value: bigint;
  /** si_addr of a fault. */
  readonly addr: number;
  readonly timerid: number;
  readonly overrun: number;
}

export function siginfo(signo: number, code: number, change: Partial<SigInfo> = {}): SigInfo {
  return { signo, code, errno: 0, pid: 0, uid: 0, status: 0, value: 0n, addr: 0, timerid: 0, overrun: 0, ...change };
}

/** Who has pending signals: a task or a process's SignalState. */
export interface PendingHolder {
  pending: bigint;
  pendingInfo: SigInfo[];
}

/** Queued real-time signals of one holder; beyond it -EAGAIN (RLIMIT_SIGPENDING). */
export const SIGPENDING_MAX = 1024;

/** SIGKILL and SIGSTOP: never blocked, caught or ignored. */
export const UNBLOCKABLE = sigbit(SIGKILL) | sigbit(SIGSTOP);

/** Adds a signal; a standard one that is already pending is dropped. False: too many. */
export function addPending(holder: PendingHolder, info: SigInfo): boolean {
  const bit = sigbit(info.signo);
  if (info.signo < SIGRTMIN && (holder.pending & bit) !== 0n) return true;
  if (holder.pendingInfo.length >= SIGPENDING_MAX && info.signo >= SIGRTMIN) return false;
  holder.pending |= bit;
  holder.pendingInfo.push(info);
  return true;
}

/** SIGSEGV SIGBUS SIGILL SIGTRAP SIGFPE SIGSYS: delivered before others, so that a handler's frame shows the faulting state. */
const SYNCHRONOUS = 0x4000_04d8n;

/** Takes the first pending signal of `set`: the lowest number, SIGKILL and synchronous faults before all. Null: none. */
export function takePending(holder: PendingHolder, set: bigint): SigInfo | null {
  const ready = holder.pending & set;
  if (ready === 0n) return null;
  const sync = ready & SYNCHRONOUS;
  const pick = (ready & sigbit(SIGKILL)) !== 0n ? sigbit(SIGKILL) : sync !== 0n ? sync : ready;
  const signo = lowestSignal(pick);
  const at = holder.pendingInfo.findIndex((info) => info.signo === signo);
  const info = at >= 0 ? holder.pendingInfo.splice(at, 1)[0] : siginfo(signo, 0);
  if (!holder.pendingInfo.some((other) => other.signo === signo)) holder.pending &= ~sigbit(signo);
  return info;
}

/** Drops pending signals of `set` (SIG_IGN set, SIGCONT against stops). */
export function dropPending(holder: PendingHolder, set: bigint): void {
  if ((holder.pending & set) === 0n) return;
  holder.pending &= ~set;
  holder.pendingInfo = holder.pendingInfo.filter((info) => (sigbit(info.signo) & set) === 0n);
}

function lowestSignal(set: bigint): number {
  let low = Number(set & 0xffff_ffffn);
  if (low !== 0) return 32 - Math.clz32(low & -low);
  low = Number(set >> 32n);
  return 64 - Math.clz32(low & -low);
}

/** An interval timer (setitimer) as data. Times in nanoseconds of the clock that drives it; 0: disarmed. */
export interface ItimerState { atNs: number; intervalNs: number }

export interface SignalStateData {
  /** Number of its table of handlers, which processes may share. */
  readonly actions: number;
  readonly pending: bigint;
  readonly pendingInfo: readonly SigInfo[];
  readonly fdQueue: number;
}

export class SignalState implements PendingHolder {
  /** By signal number; absent is the default. Shared by processes under CLONE_SIGHAND. */
  actions: (SigAction | undefined)[];
  pending = 0n;
  pendingInfo: SigInfo[] = [];
  /** Woken when a signal becomes pending, for signalfd readers; 0: there never was one. Inherited by fork. */
  fdQueue = 0;

  constructor(actions: (SigAction | undefined)[] = []) {
    this.actions = actions;
  }

  action(signo: number): SigAction {
    return this.actions[signo] ?? DEFAULT_ACTION;
  }

  /** execve: handlers go back to the default, ignored stays ignored. */
  resetHandlers(): void {
    this.actions = this.actions.map((action) => (action && action.handler === 1n ? { ...DEFAULT_ACTION, handler: 1n } : undefined));
  }

  /** For fork: the same actions, nothing pending. */
  fork(share: boolean): SignalState {
    const child = new SignalState(share ? this.actions : this.actions.slice());
    child.fdQueue = this.fdQueue;
    return child;
  }

  save(actions: number): SignalStateData {
    return { actions, pending: this.pending, pendingInfo: this.pendingInfo.slice(), fdQueue: this.fdQueue };
  }

  static restore(state: SignalStateData, actions: (SigAction | undefined)[]): SignalState {
    const signals = new SignalState(actions);
    signals.pending = state.pending;
    signals.pendingInfo = state.pendingInfo.slice();
    signals.fdQueue = state.fdQueue;
    return signals;
  }
}
