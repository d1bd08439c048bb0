// Kicker: makes KVM_RUN of this thread return after a while, or when someone asks (no second thread, no native code).
//
// SIGUSR2 is blocked in this thread, unblocked only inside KVM_RUN (KVM_SET_SIGNAL_MASK), sent by a POSIX timer aimed at the
// thread (SIGEV_THREAD_ID) or by tgkill, and taken back with sigtimedwait. A signal that arrives between two runs stays
// pending and ends the next one at once, so none is lost (timer_create(2), Documentation/virt/kvm/api.rst).

import { SIGUSR2 } from '../abi/linux/host.ts';
import { ThreadTimer, blockSignal, gettid, signalTaker, tgkill } from '../host/libc.ts';

export const KICK_SIGNAL = SIGUSR2;

/** Periods are rounded down to these, so that a slice that shrinks call by call does not set the timer each time. */
const PERIOD_MAX_NS = 10_000_000;
/** Shorter periods would interrupt each entry before it has run anything. */
const PERIOD_MIN_NS = 78_125;

/** Equal to no period: the timer has fired, or somebody else sent the signal. */
const PERIOD_OVER = -1;

function step(sliceNs: number): number {
  let periodNs = PERIOD_MAX_NS;
  while (periodNs > sliceNs && periodNs > PERIOD_MIN_NS) periodNs /= 2;
  return periodNs;
}

/** The preemption timer of the thread that made it. */
export class Kicker {
  /** Kernel thread id: where another thread of this process sends the kick. */
  readonly tid = gettid();
  readonly #timer: ThreadTimer;
  readonly #take: () => boolean;
  #periodNs = 0;

  constructor() {
    blockSignal(KICK_SIGNAL);
    this.#timer = new ThreadTimer(KICK_SIGNAL);
    this.#take = signalTaker(KICK_SIGNAL);
  }

  /**
   * A kick comes at most about `sliceNs` from now; 0: none. Free while a timer of this length is under way, which is why a
   * kick may come early; after each kick the timer starts anew, so the guest always gets on.
   */
  arm(sliceNs: number): void {
    const periodNs = sliceNs === 0 ? 0 : step(sliceNs);
    if (periodNs === this.#periodNs) return;
    this.#timer.set(periodNs);
    this.#periodNs = periodNs;
  }

  /** Takes back the signal that ended a run; the timer is over. */
  drain(): void {
    while (this.#take());
    this.#periodNs = PERIOD_OVER;
  }

  /** Ends the current or the next run. */
  kick(): void {
    tgkill(process.pid, this.tid, KICK_SIGNAL);
  }
}
