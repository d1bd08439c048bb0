// Kicker: makes KVM_RUN of this thread return after a while, or when someone asks (no second thread, no native code).
//
// SIGUSR2 is blocked in this thread, unblocked only inside KVM_RUN (KVM_SET_SIGNAL_MASK), sent by a POSIX timer aimed at the
// thread (SIGEV_THREAD_ID) or by tgkill, and taken back with sigtimedwait. A signal that arrives between two runs stays
// pending and ends the next one at once, so none is lost (timer_create(2), Documentation/virt/kvm/api.rst).

import { SIGUSR2 } from '../abi/linux/host.ts';
import { ThreadTimer, blockSignal, gettid, signalTaker, tgkill } from '../host/libc.ts';

export const KICK_SIGNAL = SIGUSR2;

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
   * A kick comes at most `sliceNs` from now, and again every `sliceNs`; 0: none. Free when the period stays the same, which
   * is why a kick may come early.
   */
  arm(sliceNs: number): void {
    if (sliceNs === this.#periodNs) return;
    this.#timer.every(sliceNs);
    this.#periodNs = sliceNs;
  }

  /** Takes back the signal that ended a run. */
  drain(): void {
    while (this.#take());
  }

  /** Ends the current or the next run. */
  kick(): void {
    tgkill(process.pid, this.tid, KICK_SIGNAL);
  }
}
