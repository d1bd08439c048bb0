// A sandbox inside its worker: one VM, one kernel, one run, or a session of many (session.ts). The scheduler gives it slices; its
// parent gets its output and, once, how it ended.

import { randomBytes } from 'node:crypto';
import type { EndReason } from '../kernel/end.ts';
import { exitCodeOf } from '../kernel/end.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { FOR_KEPT } from '../kernel/kernelmemory.ts';
import { runSlice } from '../kernel/run.ts';
import { saveKernel } from '../kernel/save.ts';
import { signalName } from '../abi/linux/signal.ts';
import type { KvmMachine } from '../vmm/machine.ts';
import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import type { PageRuns } from '../vmm/layers.ts';
import { hostClock } from '../host/clock.ts';
import { branchMachine, freezeMemory, viewOfTemplate } from './branch.ts';
import { HeapGuard, type HeapUser } from './heapguard.ts';
import type { SavedKernel } from './guestkernel.ts';
import { restoreGuestKernel } from './guestkernel.ts';
import type { KvmHost } from './kvmhost.ts';
import type { LoadedTemplate } from './loaded.ts';
import { Outlet, TRACE_STREAM } from './outlet.ts';
import type { SendOutput } from './outlet.ts';
import type { LimitReached, RunEnd, RunOptions, StatefulOptions } from './protocol.ts';
import { errnoOf, mountGiven } from './given.ts';
import { applyRunLimits, begin } from './request.ts';
import { STOPPED_EXIT, explainEnd, type Timeout } from './runend.ts';
import { dropUnchanged } from './rest.ts';
import { rewind } from './rewind.ts';
import { KeptPages } from './rewindheat.ts';
import { completeForkChild } from '../kernel/process/snapshot.ts';
import type { Runnable, StepState } from './scheduler.ts';
import { Session, type SessionEvents } from './session.ts';
import { GuestAccount, type TenantAccount } from './tenantaccount.ts';

/** What a guest needs of its worker. */
export interface GuestEvents {
  readonly output: SendOutput;
  /** The contents of a file it was given are wanted. */
  readonly want?: (tree: number, entry: number) => void;
  /** Something this guest waits for has happened. */
  readonly wake: () => void;
}

/** A guest nobody listens to. */
const UNHEARD: GuestEvents = { output: (_stream, _bytes, sent) => sent(), wake: () => {} };

/** A prologue that takes longer never ends. */
const PARK_MS_MAX = 1000;
const PARK_SLICE_NS = 10_000_000;

/** Of this process. */
const heapGuard = new HeapGuard();

const BLOCKED_FOREVER: StepState = { kind: 'blocked', wakeAtMs: Infinity };
const ENDED: StepState = { kind: 'ended' };

export class Guest implements Runnable, HeapUser {
  readonly machine: KvmMachine;
  readonly kernel: Kernel;
  private readonly host: KvmHost;
  private readonly template: LoadedTemplate;
  private events: GuestEvents = UNHEARD;
  private readonly outlet: Outlet;
  private forkTimeMs: number;
  private isParked = false;
  /** It is not at the snapshot point any more. */
  private hasRun = false;
  private startedMs = 0;
  private countsPages = false;
  /** Of CLOCK_MONOTONIC. */
  private begunMs = 0;
  private deadlineMs = Infinity;
  private onEnd: ((end: RunEnd) => void) | null = null;
  /** Many runs in this guest. */
  session: Session | null = null;
  private stopReason: LimitReached = null;
  /** The run that waits for the file its program is in. */
  private unready: RunOptions | null = null;
  private timeout: Timeout = { ms: 0, isTenants: false };
  private destroyed = false;
  /** `rewind` comes next: what is private then is also what earlier runs left so, and nobody counts it. */
  willBeRewound = false;
  /** Our own code, or the machine, failed under it: nothing of it is used again. */
  private isBroken = false;
  /** The VM ran something before, and was rewound. */
  private isRewound = false;
  private kept: KeptPages | null = null;
  private account: GuestAccount | null = null;

  /** Takes over the machine that `makeMachine` makes. */
  private constructor(host: KvmHost, template: LoadedTemplate, saved: SavedKernel, makeMachine: () => KvmMachine) {
    const start = performance.now();
    this.host = host;
    this.template = template;
    this.outlet = new Outlet((stream, bytes, sent) => this.events.output(stream, bytes, sent));
    const wake = (): void => this.events.wake();
    this.outlet.onRoom = wake;
    this.machine = makeMachine();
    try {
      this.kernel = restoreGuestKernel(host, saved, this.machine, (stream, bytes) => this.print(stream, bytes));
    } catch (error) {
      this.machine.destroy();
      throw error;
    }
    template.retain();
    this.forkTimeMs = performance.now() - start;
  }

  /** A new VM over a private view of the template, its kernel restored, standing at the snapshot point. `rests`: the VM is made when it runs. */
  static fork(host: KvmHost, template: LoadedTemplate, memoryBytes: number, rests = false): Guest {
    const { image, state } = template;
    const limit = Math.max(memoryBytes, template.header.memoryBytes);
    return new Guest(host, template, { image, state, limits: {} }, () => viewOfTemplate(host.kvm, template, limit, rests));
  }

  /** Memory it has not used yet can be shared with branches once it is used; it is never rewound. Throws HostError. */
  prepareToBranch(): void {
    const { memory } = this.machine;
    memory.growsInLayers = true;
    const { start, end } = this.kernel.frames.neverUsed;
    memory.layers.replaceEmpty(start, end);
  }

  /**
   * More guests that go on from where this one stands, between two slices, one for each of `onEnds`: all its processes, blocked calls,
   * timers and open files are there once more (the freeze protocol). Each branch has the same run under way, with its own output and
   * `onEnd`. The caller attaches and wakes it. What this guest printed so far has been sent.
   * All or none: throws HostError when the host refuses.
   */
  branch(onEnds: readonly ((end: RunEnd) => void)[]): Guest[] {
    const { host, template, kernel, machine } = this;
    this.outlet.flush();
    const saved = { image: template.image, state: saveKernel(kernel), limits: kernel.limits, template: template.state };
    const copied = this.freeze();
    const guests: Guest[] = [];
    try {
      for (const onEnd of onEnds) {
        const guest = new Guest(host, template, saved, () => branchMachine(host.kvm, template, machine, copied));
        guests.push(guest);
        guest.goOnAs(this, onEnd);
      }
      return guests;
    } catch (error) {
      for (const guest of guests) guest.drop();
      throw error;
    }
  }

  private goOnAs(source: Guest, onEnd: (end: RunEnd) => void): void {
    this.hasRun = true;
    this.startedMs = source.startedMs;
    this.timeout = source.timeout;
    this.deadlineMs = source.deadlineMs;
    this.onEnd = onEnd;
    this.kernel.vfs.given.askAgain();
    this.session = source.session && source.session.branch(this.kernel);
  }

  /** Half frozen memory is of no use: then the sandbox ends. */
  private freeze(): PageRuns {
    try {
      return freezeMemory(this.machine, this.host.kvm.arena, this.kernel.frames.highWaterBytes);
    } catch (error) {
      this.finish({ kind: 'machine', reason: `its memory could not be shared: ${(error as Error).message}` });
      throw error;
    }
  }

  /** Destroys a branch nobody has heard of yet. */
  private drop(): void {
    this.onEnd = null;
    this.destroy();
  }

  /**
   * The same VM, standing at the snapshot point again, as a guest that has run nothing (rewind.ts); this guest is over. Null: that
   * cannot be had, and the VM is destroyed.
   */
  rewind(): Guest | null {
    if (this.destroyed) return null;
    const { host, template, machine } = this;
    const start = performance.now();
    if (this.onEnd) this.finish(null);
    this.leave();
    heapGuard.forget(this);
    this.destroyed = true;
    const kept = this.kept ?? new KeptPages(template.header.memoryBytes / PAGE_SIZE);
    try {
      if (this.isBroken || machine.memory.growsInLayers || typeof rewind(machine, kept, template.rewindBase()) === 'string') {
        machine.destroy();
        return null;
      }
      const guest = new Guest(host, template, { image: template.image, state: template.state, limits: {} }, () => machine);
      guest.kept = kept;
      guest.isRewound = true;
      guest.forkTimeMs = performance.now() - start;
      return guest;
    } finally {
      template.release(); // the new one has a use of its own
    }
  }

  /** It counts with its tenant's other sandboxes until it ends, or leaves. */
  join(account: TenantAccount): void {
    this.account = new GuestAccount(account, this.kernel);
  }

  /** Something was given back outside of a slice. */
  recount(): void {
    this.account?.refresh();
  }

  /** Its run is over, and nothing more will be asked of it. */
  leave(): void {
    this.account?.close();
    this.account = null;
  }

  /** Who hears of it from now on. */
  attach(events: GuestEvents): void {
    this.events = events;
  }

  /** Runs what comes behind the fork, until the agent waits for its request. False: it does not come to that. */
  park(): boolean {
    const end = performance.now() + PARK_MS_MAX;
    this.leaveToRun();
    while (performance.now() < end) {
      const state = runSlice(this.kernel, PARK_SLICE_NS);
      if (state.kind === 'slice') continue;
      this.isParked = state.kind === 'blocked' && state.wakeAtNs === Infinity && this.kernel.control.isParked;
      break;
    }
    return this.isParked;
  }

  /** Sets up one run; `onEnd` is called exactly once. The caller then wakes the guest. */
  start(options: RunOptions, onEnd: (end: RunEnd) => void): void {
    this.startedMs = performance.now();
    this.host.kvm.kicker.drain(); // a kick meant for what ran before would cost 50 µs
    if (this.isParked) this.forkTimeMs = 0; // it was there
    this.timeout = { ms: options.limits.timeoutMs, isTenants: options.timeoutIsTenants ?? false };
    if (this.timeout.ms > 0) this.deadlineMs = this.startedMs + this.timeout.ms;
    this.countsPages = options.countPages;
    if (options.strace) {
      this.kernel.traceTo((text) => this.outlet.write(TRACE_STREAM, Buffer.from(text)));
    }
    if (!this.isParked) this.leaveToRun();
    mountGiven(this.kernel, options.given ?? [], (tree, entry) => this.events.want?.(tree, entry));
    this.begin(options);
    this.onEnd = onEnd;
  }

  /** Makes it a stateful sandbox: `session` is what it does from now on. `onEnd`: it is over, by a limit or a failure. The caller wakes it. */
  open(options: StatefulOptions, events: SessionEvents, onEnd: (end: RunEnd) => void): void {
    this.startedMs = performance.now();
    applyRunLimits(this.kernel, options.limits);
    this.startSession().open(options, events);
    // What was done in advance is not the sandbox's.
    this.kernel.cpuNs = this.kernel.syscallCount = 0;
    this.onEnd = onEnd;
  }

  /** One step towards a session whose first interpreter waits, as `park` is for one run; false: it does not come to that. */
  prepare(): 'more' | 'ready' | 'failed' {
    const session = this.startSession();
    if (session.prepare()) return 'ready';
    const state = runSlice(this.kernel, PARK_SLICE_NS);
    if (state.kind === 'slice' || session.prepare()) return 'more';
    return state.kind === 'blocked' && this.kernel.sched.runnable > 0 ? 'more' : 'failed';
  }

  private startSession(): Session {
    if (!this.session && !this.isParked) this.leaveSnapshot();
    return (this.session ??= new Session(this.kernel, this.template));
  }

  /** It has a run, or a session, that is not over. */
  get isLive(): boolean {
    return !this.destroyed && this.onEnd !== null;
  }

  private print(stream: number, bytes: Uint8Array): void {
    if (this.session) this.session.output(stream, bytes);
    else this.outlet.write(stream, bytes);
  }

  private begin(options: RunOptions): void {
    this.unready = begin(this.kernel, options, this.template.header) ? null : options;
  }

  /** A file that the sandbox was given and asked for, or why there is none. */
  content(tree: number, entry: number, bytes: Uint8Array | string): void {
    if (this.destroyed || this.onEnd === null) return;
    this.kernel.vfs.given.deliver(tree, entry + 1, typeof bytes === 'string' ? -errnoOf(bytes) : bytes);
    if (this.unready) this.begin(this.unready);
    this.events.wake();
  }

  /** It runs from here: its VM is made, when it has none yet, and the pages that runs write are its own. */
  private leaveToRun(): void {
    const start = performance.now();
    void this.machine.vcpu;
    this.forkTimeMs += performance.now() - start;
    if (!this.isRewound) this.template.hotPages.populate(this.machine);
    this.leaveSnapshot();
  }

  /** fork(2) returns in the child; what must not be the same in two forks is made anew. */
  private leaveSnapshot(): void {
    const { kernel } = this;
    this.hasRun = true;
    completeForkChild(kernel);
    for (const [gva, bytes] of this.template.header.random) kernel.main?.mm.copyOut(gva, randomBytes(bytes));
  }

  step(budgetNs: number): StepState {
    if (this.destroyed || this.onEnd === null) return ENDED;
    const now = performance.now();
    if (now >= this.deadlineMs) this.stopReason = 'timeout';
    if (this.stopReason !== null || this.kernel.endReason) return this.finish(this.kernel.endReason);
    const wantedMs = this.session?.tick(now) ?? Infinity;
    this.begunMs ||= hostClock.monotonicNs() / 1e6;
    if (this.unready) return { kind: 'blocked', wakeAtMs: this.deadlineMs };
    if (this.outlet.full) return { kind: 'blocked', wakeAtMs: this.deadlineMs };
    const state = runSlice(this.kernel, Math.min(budgetNs, (Math.min(this.deadlineMs, wantedMs) - now) * 1e6));
    this.outlet.flush();
    this.account?.refresh();
    heapGuard.note(this, this.kernel.ownMemory.bytes);
    this.session?.settle();
    if (state.kind !== 'exited' && this.account?.hasPassed) return this.finish(this.account.passed);
    switch (state.kind) {
      case 'exited':
        return this.finish(state.reason);
      case 'slice':
        return { kind: 'more' };
      case 'blocked':
        if (this.kernel.sched.runnable > 0) return { kind: 'more' }; // an interpreter has just been started
        return this.blocked(state.wakeAtNs, this.session?.tick(performance.now()) ?? Infinity);
      default:
        return this.finish({ kind: 'bug', message: `unexpected state ${state.kind}` });
    }
  }

  /** Its run is cancelled, or has taken too long. */
  get isEnding(): boolean {
    return this.stopReason !== null || performance.now() >= this.deadlineMs;
  }

  /** More standard input; null is its end. */
  stdin(bytes: Uint8Array | null): void {
    if (this.destroyed) return;
    if (bytes) this.kernel.streams.stdin.push(bytes);
    else this.kernel.streams.stdin.close();
    this.events.wake();
  }

  endForHeap(): void {
    this.kernel.end({ kind: 'limit', limit: 'kernel-memory', detail: `its worker has no more room ${FOR_KEPT}, and this sandbox had the most` });
    this.events.wake();
  }

  /** Ends the run as soon as its current slice is over. 'memory': the host's is short; 'output': its tenant's runs have printed too much. */
  stop(reason: 'cancelled' | 'memory' | 'output'): void {
    this.stopReason ??= reason;
    this.events.wake();
  }

  /**
   * It has nothing to run for a while: the VM is closed until it has, and pages that are the template's again are given back (reference
   * counts that went up and down, above all). Between two slices.
   */
  rest(): void {
    const { machine, template } = this;
    if (this.destroyed) return;
    machine.giveUpSlot();
    if (!this.hasRun) return;
    const base = template.rewindBase();
    if (!machine.memory.fold(base.u8)) dropUnchanged(machine.memory, base);
  }

  /** Closes the VM and gives its memory back. */
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    if (this.onEnd) this.finish(null);
    this.leave();
    heapGuard.forget(this);
    this.machine.destroy();
    this.template.release();
  }

  private blocked(wakeAtNs: number, wantedMs: number): StepState {
    const now = performance.now();
    const wakeAtMs = wakeAtNs === Infinity ? Infinity : now + (wakeAtNs - this.kernel.clock.monotonicNs()) / 1e6;
    const at = Math.min(wakeAtMs, this.deadlineMs, wantedMs);
    return at === Infinity ? BLOCKED_FOREVER : { kind: 'blocked', wakeAtMs: at };
  }

  private finish(reason: EndReason | null): StepState {
    const done = this.onEnd;
    this.onEnd = null;
    this.isBroken ||= reason?.kind === 'bug' || reason?.kind === 'machine';
    this.outlet.flush();
    if (!done) return ENDED;
    const end = this.describe(reason);
    this.session?.endAll(reason, end.limit, end.reason);
    done(end);
    return ENDED;
  }

  /** Memory that is this guest's alone: what its end gives back. */
  get ownBytes(): number {
    return this.destroyed ? 0 : this.machine.memory.ownBytes;
  }

  private describe(reason: EndReason | null): RunEnd {
    const execTimeMs = performance.now() - this.startedMs;
    const { limit, text } = explainEnd(reason, this.stopReason ?? 'cancelled', this.timeout);
    return {
      exitCode: reason === null ? STOPPED_EXIT[limit ?? ''] ?? 130 : exitCodeOf(reason),
      signal: reason?.kind === 'signal' ? signalName(reason.signo) : limit === 'memory' ? 'SIGKILL' : null,
      limit, reason: text, limitsMet: this.kernel.bounds.namesSince(),
      pooled: this.isParked, rewound: this.isRewound, forkTimeMs: this.forkTimeMs, execTimeMs, totalTimeMs: this.forkTimeMs + execTimeMs,
      begunMs: this.begunMs || hostClock.monotonicNs() / 1e6, cpuTimeMs: this.kernel.cpuNs / 1e6,
      dirtyPages: !this.countsPages || this.destroyed || this.willBeRewound ? null : this.ownBytes / PAGE_SIZE,
      syscalls: this.kernel.syscallCount,
      unimplemented: Object.fromEntries(this.kernel.unimplemented),
    };
  }
}
