// Forks made in advance: parked behind their fork prologue, their hot pages private and mapped, waiting for a request. Each is a
// VM that has never run anything else, and is used once. Whoever wants it otherwise (`reuse`) gets a VM that ran before and was
// rewound (rewind.ts). Where stateful sandboxes are wanted, one is kept whose first interpreter waits (session.ts). The work is done
// in steps, when the worker has nothing else to do.
//
// Interface: `take`, `takeSession` and `noteStart`/`noteEnd` on a run's way; `isFull` and `step` when idle.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import { Guest } from './guest.ts';
import { NO_HOT_PAGES, learnHotPages, type HotPages, type Rehearse } from './hot.ts';
import type { KvmHost } from './kvmhost.ts';
import type { LoadedTemplate } from './loaded.ts';
import type { RunOptions } from './protocol.ts';

/** A rehearsal is stopped there: it is about what a run touches first. */
const REHEARSAL_MS_MAX = 50;
const REHEARSAL_OUTPUT_BYTES = 1 << 20;
const SLICE_NS = 10_000_000;
/** Stateful sandboxes kept ready, once one was wanted. */
const SESSIONS_MAX = 1;
/** A run that wrote so many pages more than were expected was not like the one that was learned from … */
const MISS_PAGES = 64;
/** … and after so many of them in a row it is worth learning again. */
const MISSES_MAX = 4;
/** Forks in a row that do not come to wait for a request: a setup's at-fork handler sleeps, or never ends. Others would not either. */
const FAILURES_MAX = 3;
/** One of so many runs is looked at. */
const COUNTED_OF = 4;
/** And now and then, because what is touched in vain shows nowhere. */
const LEARN_RUNS = 1000;

/** The pooled forks of one template. */
export class Pool {
  private readonly host: KvmHost;
  private readonly template: LoadedTemplate;
  private readonly parkedMax: number;
  private readonly parked: Guest[] = [];
  /** Of stateful sandboxes, waiting for their first run; and the next, on its way. */
  private readonly sessions: Guest[] = [];
  private preparing: Guest | null = null;
  private wantsSessions = false;
  /** VMs whose run has ended, and those of them that were rewound and parked: only for whoever wants such a one (`reuse`). */
  private readonly used: Guest[] = [];
  private readonly rewound: Guest[] = [];
  /** Forked, its prologue not run yet. */
  private raw: Guest | null = null;
  /** Memory limit of the forks in the pool: what was last asked for. */
  private memoryBytes = 0;
  private hot: HotPages | null = null;
  /** The last run of code: what rehearsals run. */
  private sample: RunOptions | null = null;
  private misses = 0;
  private failures = 0;
  private runsSinceLearned = 0;

  /** Keeps `parkedMax` forks ready once the template has been used. */
  constructor(host: KvmHost, template: LoadedTemplate, parkedMax: number) {
    this.host = host;
    this.template = template;
    this.parkedMax = parkedMax;
  }

  /** A fork for one run: a parked one where there is one that fits, else one made now. `reuse`: rather one that was rewound. */
  take(memoryBytes: number, reuse = false): Guest {
    if (memoryBytes !== this.memoryBytes) this.destroy();
    this.memoryBytes = memoryBytes;
    const ready = (reuse ? this.rewound.pop() ?? this.used.pop()?.rewind() : null) ?? this.parked.shift();
    if (ready) return ready;
    return Guest.fork(this.host, this.template, memoryBytes);
  }

  /** A fork for many runs, whose first interpreter is ready where there is such a one. */
  takeSession(memoryBytes: number): Guest {
    const ready = memoryBytes === this.memoryBytes ? this.sessions.shift() : undefined;
    this.wantsSessions = true;
    return ready ?? this.take(memoryBytes);
  }

  /** Takes a guest whose run is over, and which may be rewound for another; its `memoryBytes`. */
  giveBack(guest: Guest, memoryBytes: number): void {
    if (memoryBytes === this.memoryBytes && this.used.length + this.rewound.length < this.parkedMax) this.used.push(guest);
    else guest.destroy();
  }

  noteStart(options: RunOptions): void {
    if (options.request.kind !== 'code') return;
    // Files it was given belong to that run alone.
    this.sample = options.given ? { ...options, given: [], cwd: this.template.header.cwd } : options;
  }

  /** A run of code has ended in it. The pages of some are counted, to see whether what was learned still fits. */
  noteEnd(guest: Guest): void {
    if (!this.hot || this.runsSinceLearned++ % COUNTED_OF !== 0) return;
    this.misses = guest.ownBytes / PAGE_SIZE > this.hot.keptPages + MISS_PAGES ? this.misses + 1 : 0;
  }

  /** Whether `step` has nothing to do. */
  get isFull(): boolean {
    if (this.used.length > 0 || this.wantsToLearn) return false;
    return this.memoryBytes === 0 || this.failures >= FAILURES_MAX || (this.parked.length >= this.parkedMax && !this.lacksSession);
  }

  /** Or has nothing to learn from. */
  get hasLearned(): boolean {
    return this.hot !== null || this.sample === null;
  }

  private get wantsToLearn(): boolean {
    return this.sample !== null && (!this.hot || this.misses >= MISSES_MAX || this.runsSinceLearned >= LEARN_RUNS);
  }

  private get lacksSession(): boolean {
    return this.wantsSessions && this.sessions.length < SESSIONS_MAX;
  }

  /** One piece of the work towards a full pool: some milliseconds, but for rehearsals. */
  step(): void {
    if (this.isFull) return;
    const used = this.used.pop();
    if (used) return this.makeReady(used);
    if (this.sample && this.wantsToLearn) {
      this.misses = 0;
      this.runsSinceLearned = 0;
      this.template.hotPages = NO_HOT_PAGES; // for the rehearsals
      this.template.hotPages = this.hot = this.learn(this.sample);
      return;
    }
    if (this.parked.length >= this.parkedMax) return this.prepareSession();
    const { raw } = this;
    this.raw = null;
    if (!raw) {
      this.raw = Guest.fork(this.host, this.template, this.memoryBytes);
    } else if (raw.park()) {
      this.failures = 0;
      this.hot?.touch(raw);
      this.parked.push(raw);
    } else {
      this.failures++;
      raw.destroy();
    }
  }

  private prepareSession(): void {
    const guest = (this.preparing ??= this.parked.shift() ?? null);
    const state = guest?.prepare();
    if (!guest || state === 'more') return;
    this.preparing = null;
    if (state === 'ready') return void this.sessions.push(guest);
    this.wantsSessions = false;
    guest.destroy();
  }

  private makeReady(used: Guest): void {
    const guest = used.rewind();
    if (guest?.park()) this.rewound.push(guest);
    else guest?.destroy();
  }

  /** Gives all VMs back. */
  destroy(): void {
    for (const list of [this.parked, this.sessions, this.used, this.rewound]) for (const guest of list.splice(0)) guest.destroy();
    this.raw?.destroy();
    this.preparing?.destroy();
    this.raw = this.preparing = null;
    this.memoryBytes = this.failures = 0;
  }

  private learn(sample: RunOptions): HotPages {
    if (this.host.kvm.kind !== 'pvm') return NO_HOT_PAGES;
    const limits = { ...sample.limits, timeoutMs: REHEARSAL_MS_MAX, outputBytes: REHEARSAL_OUTPUT_BYTES };
    const rehearse: Rehearse = (before, after) => {
      const guest = Guest.fork(this.host, this.template, this.memoryBytes || sample.limits.memoryBytes);
      try {
        before(guest);
        guest.start({ ...sample, strace: false, countPages: false, limits }, () => {});
        while (guest.step(SLICE_NS).kind === 'more');
        after(guest);
      } finally {
        guest.destroy();
      }
    };
    return learnHotPages(this.host.kvm.arena, this.template.header.memoryBytes, rehearse);
  }
}
