// The sandbox's clocks. CLOCK_MONOTONIC is the host's plus an offset, chosen at restore so that it goes on where it was
// saved, also when the host was rebooted in between. CLOCK_REALTIME is the host's.

import type { HostClock } from '../../platform.ts';

export interface ClockState {
  /** The sandbox's CLOCK_MONOTONIC when it was saved. */
  readonly monotonicNs: number;
  /** Its offset from the host's then: kept while that does not take time back, so that the vDSO page need not change. */
  readonly offsetNs: number;
  readonly bootNs: number;
}

export class KernelClock {
  private readonly host: HostClock;
  /** Sandbox monotonic minus host monotonic. The vDSO page needs it too. */
  readonly offsetNs: number;
  /** CLOCK_MONOTONIC when the sandbox started (sysinfo's uptime, process start times count from 0 of the clock). */
  readonly bootNs: number;

  private constructor(host: HostClock, offsetNs: number, bootNs: number) {
    this.host = host;
    this.offsetNs = offsetNs;
    this.bootNs = bootNs;
  }

  /** A clock that starts at one second: 0 confuses programs that take it for "unset". */
  static start(host: HostClock): KernelClock {
    return new KernelClock(host, 1e9 - Math.floor(host.monotonicNs()), 0);
  }

  /** CLOCK_MONOTONIC of the sandbox, nanoseconds; never negative, never backwards. */
  monotonicNs(): number {
    return this.host.monotonicNs() + this.offsetNs;
  }

  /** CLOCK_REALTIME, nanoseconds since 1970. */
  realtimeNs(): bigint {
    return this.host.realtimeNs();
  }

  save(): ClockState {
    return { monotonicNs: this.monotonicNs(), offsetNs: this.offsetNs, bootNs: this.bootNs };
  }

  static restore(state: ClockState, host: HostClock): KernelClock {
    const least = Math.ceil(state.monotonicNs - host.monotonicNs());
    return new KernelClock(host, Math.max(state.offsetNs, least), state.bootNs);
  }
}
