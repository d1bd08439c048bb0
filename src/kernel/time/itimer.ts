// A process's timers: setitimer(2), timer_create(2), and the CPU limit (RLIMIT_CPU). Each one ends in a signal.
//
// Interface: ProcessTimers, one per process. Real-time ones are armed in kernel.timers; CPU-time ones are compared by the
// run loop (`cpuAtNs`). Not inherited by fork; execve deletes the timer_create ones.

import { CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, ITIMER_REAL, ITIMER_VIRTUAL } from '../../abi/linux/time.ts';
import { RLIMIT_CPU } from '../../abi/linux/sched.ts';
import {
  SIGALRM, SIGEV_NONE, SIGEV_THREAD_ID, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU, SI_KERNEL, SI_TIMER,
} from '../../abi/linux/signal.ts';
import type { Process } from '../process/process.ts';
import { signalProcess, signalTask } from '../signal/send.ts';
import { siginfo } from '../signal/state.ts';
import type { PendingHolder } from '../signal/state.ts';
import type { TimerOwner } from './timers.ts';

/** A timer as data. `atNs`: next expiry on CLOCK_MONOTONIC, or on the process's CPU time; Infinity: disarmed. */
export interface TimerData { atNs: number; intervalNs: number }

export interface PosixTimerData extends TimerData {
  readonly id: number;
  readonly clock: number;
  readonly notify: number;
  readonly signo: number;
  readonly value: bigint;
  /** Thread for SIGEV_THREAD_ID, else 0. */
  readonly tid: number;
  /** Expirations beyond the first of the last signal. */
  overrun: number;
}

export interface ProcessTimersState {
  readonly itimers: readonly TimerData[];
  readonly posix: readonly PosixTimerData[];
  readonly nextId: number;
}

export const POSIX_TIMERS_MAX = 256;
/** DELAYTIMER_MAX. */
const OVERRUN_MAX = 0x7fff_ffff;

/** Expirations since `timer.atNs`, moving it into the future (or to Infinity). */
function advance(timer: TimerData, nowNs: number): number {
  if (timer.intervalNs === 0) {
    timer.atNs = Infinity;
    return 1;
  }
  const count = Math.floor((nowNs - timer.atNs) / timer.intervalNs) + 1;
  timer.atNs += count * timer.intervalNs;
  return count;
}

class ArmedTimer implements TimerOwner {
  readonly data: PosixTimerData;
  private readonly owner: ProcessTimers;

  constructor(owner: ProcessTimers, data: PosixTimerData) {
    this.owner = owner;
    this.data = data;
  }

  expire(nowNs: number): void {
    this.owner.expirePosix(this, nowNs);
  }
}

export class ProcessTimers implements TimerOwner {
  private readonly process: Process;
  /** ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. */
  private itimers: TimerData[] = [0, 1, 2].map(() => ({ atNs: Infinity, intervalNs: 0 }));
  private readonly posix = new Map<number, ArmedTimer>();
  private nextId = 0;
  /** CPU time of the process at which something is due; the run loop calls `expireCpu`. */
  cpuAtNs = Infinity;

  constructor(process: Process) {
    this.process = process;
  }

  /** setitimer: returns what was set before, as {left, interval}. */
  setItimer(which: number, valueNs: number, intervalNs: number): { leftNs: number; intervalNs: number } {
    const before = this.getItimer(which);
    const atNs = valueNs === 0 ? Infinity : this.now(which) + valueNs;
    this.itimers[which] = { atNs, intervalNs: valueNs === 0 ? 0 : intervalNs };
    this.rearm();
    return before;
  }

  getItimer(which: number): { leftNs: number; intervalNs: number } {
    const timer = this.itimers[which];
    return { leftNs: timer.atNs === Infinity ? 0 : Math.max(1000, timer.atNs - this.now(which)), intervalNs: timer.intervalNs };
  }

  private now(which: number): number {
    return which === ITIMER_REAL ? this.process.kernel.clock.monotonicNs() : this.process.cpuNs;
  }

  /** Arms what runs in real time and recomputes `cpuAtNs`; also after RLIMIT_CPU changed and after a restore. */
  rearm(): void {
    const { timers } = this.process.kernel;
    timers.arm(this, this.itimers[ITIMER_REAL].atNs);
    let cpuAtNs = Math.min(this.itimers[1].atNs, this.itimers[2].atNs);
    for (const timer of this.posix.values()) {
      if (isCpuClock(timer.data.clock)) cpuAtNs = Math.min(cpuAtNs, timer.data.atNs);
      else timers.arm(timer, timer.data.atNs);
    }
    const limit = this.process.rlimits[RLIMIT_CPU];
    if (limit) cpuAtNs = Math.min(cpuAtNs, limit.soft * 1e9, limit.hard * 1e9);
    this.cpuAtNs = cpuAtNs;
  }

  /** ITIMER_REAL's time has come. */
  expire(nowNs: number): void {
    advance(this.itimers[ITIMER_REAL], nowNs);
    this.rearm();
    signalProcess(this.process, siginfo(SIGALRM, SI_KERNEL));
  }

  /** The process's CPU time has reached `cpuAtNs`. */
  expireCpu(): void {
    const { process } = this;
    const now = process.cpuNs;
    for (const which of [1, 2]) {
      if (now < this.itimers[which].atNs) continue;
      advance(this.itimers[which], now);
      signalProcess(process, siginfo(which === ITIMER_VIRTUAL ? SIGVTALRM : SIGPROF, SI_KERNEL));
    }
    for (const timer of this.posix.values()) {
      if (isCpuClock(timer.data.clock) && now >= timer.data.atNs) this.firePosix(timer.data, now);
    }
    const limit = process.rlimits[RLIMIT_CPU];
    if (limit && now >= limit.hard * 1e9) signalProcess(process, siginfo(SIGKILL, SI_KERNEL));
    else if (limit && now >= limit.soft * 1e9) {
      signalProcess(process, siginfo(SIGXCPU, SI_KERNEL));
      process.rlimits[RLIMIT_CPU] = { ...limit, soft: limit.soft + 1 };
    }
    this.rearm();
  }

  /** timer_create. Returns the id, or -1 when there are too many. */
  create(spec: { clock: number; notify: number; signo: number; value: bigint | null; tid: number }): number {
    if (this.posix.size >= POSIX_TIMERS_MAX) return -1;
    const id = this.nextId++;
    const value = spec.value ?? BigInt(id);
    this.posix.set(id, new ArmedTimer(this, { ...spec, value, id, atNs: Infinity, intervalNs: 0, overrun: 0 }));
    return id;
  }

  /** Of timer_create. */
  get posixCount(): number {
    return this.posix.size;
  }

  timer(id: number): PosixTimerData | undefined {
    return this.posix.get(id)?.data;
  }

  /** timer_settime with an absolute expiry on the timer's driving clock. */
  set(id: number, atNs: number, intervalNs: number): void {
    const data = this.timer(id);
    if (!data) return;
    data.atNs = atNs;
    data.intervalNs = intervalNs;
    data.overrun = 0;
    this.rearm();
  }

  /** Now, on the clock that drives a timer. */
  clockNow(clock: number): number {
    return isCpuClock(clock) ? this.process.cpuNs : this.process.kernel.clock.monotonicNs();
  }

  remove(id: number): void {
    const timer = this.posix.get(id);
    if (!timer) return;
    this.process.kernel.timers.disarm(timer);
    this.posix.delete(id);
    this.rearm();
  }

  expirePosix(timer: ArmedTimer, nowNs: number): void {
    if (this.posix.get(timer.data.id) !== timer) return;
    this.firePosix(timer.data, nowNs);
    this.process.kernel.timers.arm(timer, timer.data.atNs);
  }

  private firePosix(data: PosixTimerData, now: number): void {
    const count = advance(data, now);
    data.overrun = count - 1;
    if (data.notify === SIGEV_NONE) return;
    const thread = data.notify === SIGEV_THREAD_ID ? this.process.tasks.find((task) => task.tid === data.tid) : undefined;
    if (this.addOverrun(thread ?? this.process.signals, data, count)) return;
    const info = siginfo(data.signo, SI_TIMER, { timerid: data.id, overrun: data.overrun, value: data.value });
    if (thread) signalTask(thread, info);
    else if (data.notify !== SIGEV_THREAD_ID) signalProcess(this.process, info);
  }

  /** A timer whose signal is still pending counts on in it: true when it was. */
  private addOverrun(holder: PendingHolder, data: PosixTimerData, count: number): boolean {
    const at = holder.pendingInfo.findIndex((info) => info.code === SI_TIMER && info.timerid === data.id && info.signo === data.signo);
    if (at < 0) return false;
    const pending = holder.pendingInfo[at];
    data.overrun = Math.min(pending.overrun + count, OVERRUN_MAX);
    holder.pendingInfo[at] = { ...pending, overrun: data.overrun };
    return true;
  }

  /** execve: timer_create's go, setitimer's stay. */
  deletePosix(): void {
    for (const id of [...this.posix.keys()]) this.remove(id);
  }

  /** The process ends, or starts anew as a forked sandbox. */
  destroy(): void {
    this.deletePosix();
    this.itimers = this.itimers.map(() => ({ atNs: Infinity, intervalNs: 0 }));
    this.process.kernel.timers.disarm(this);
    this.rearm();
  }

  save(): ProcessTimersState {
    return {
      itimers: this.itimers.map((timer) => ({ ...timer })),
      posix: [...this.posix.values()].map((timer) => ({ ...timer.data })),
      nextId: this.nextId,
    };
  }

  restore(state: ProcessTimersState): void {
    this.itimers = state.itimers.map((timer) => ({ ...timer }));
    for (const data of state.posix) this.posix.set(data.id, new ArmedTimer(this, { ...data }));
    this.nextId = state.nextId;
    this.rearm();
  }
}

function isCpuClock(clock: number): boolean {
  return clock === CLOCK_PROCESS_CPUTIME_ID || clock === CLOCK_THREAD_CPUTIME_ID || clock < 0;
}
