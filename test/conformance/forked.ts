// Runs a conformance case in a sandbox that is forked while it runs, at some system call: both halves go on to the end, and
// both must print what the whole would have printed. Everything happens in this process: a test can stop a kernel where it likes.

import { readFileSync } from 'node:fs';
import { Guest, type GuestEvents } from '../../src/engine/guest.ts';
import { templatePath } from '../../src/engine/home.ts';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { LoadedTemplate } from '../../src/engine/loaded.ts';
import { RUN_LIMITS, type RunEnd } from '../../src/engine/protocol.ts';
import { provision } from '../../src/engine/provision.ts';
import { Scheduler } from '../../src/engine/scheduler.ts';
import { ENVIRONMENT } from '../../src/engine/spec.ts';
import { offshootHome } from '../../src/image/home.ts';
import { credentialsOf } from '../../src/kernel/process/credentials.ts';
import type { Tracer } from '../../src/kernel/trace/tracer.ts';
import type { Job, Outcome } from './native.ts';
import { outcomeOf, script } from './sandbox.ts';

const MEMORY_BYTES = 512 << 20;
const OUTPUT_BYTES = 1 << 20;

/** One half: what it printed and how it ended. */
class Half {
  readonly output: { stdout: Buffer[]; stderr: Buffer[] };
  readonly events: GuestEvents;
  readonly ended: Promise<Outcome>;
  onEnd!: (end: RunEnd) => void;
  guest: Guest | null = null;

  constructor(scheduler: Scheduler, printed: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] }) {
    this.output = { stdout: printed.stdout.slice(), stderr: printed.stderr.slice() };
    this.events = {
      output: (stream, bytes, sent) => {
        this.output[stream === 1 ? 'stdout' : 'stderr'].push(Buffer.from(bytes));
        sent();
      },
      wake: () => {
        if (this.guest) scheduler.wake(this.guest);
      },
    };
    this.ended = new Promise((resolve) => {
      this.onEnd = (end) => resolve(outcomeOf({
        ...end, collected: new Map(), notCollected: [], waitTimeMs: 0, timedOut: end.limit === 'timeout',
        stdout: Buffer.concat(this.output.stdout), stderr: Buffer.concat(this.output.stderr),
      }));
    });
  }
}

/** Where a forked run was split, and what its halves did. */
export interface ForkedOutcome {
  /** System calls made when it was forked, those that started the program included. */
  readonly atCall: number;
  readonly original: Outcome;
  /** Null: the program ended before. */
  readonly branch: Outcome | null;
}

/** Forks that find the program ended already are tried again so often, earlier each time. */
const TRIES = 6;

export class Forks {
  private readonly host: KvmHost;
  private readonly template: LoadedTemplate;
  private readonly scheduler = new Scheduler();

  private constructor(host: KvmHost, template: LoadedTemplate) {
    this.host = host;
    this.template = template;
  }

  static async open(): Promise<Forks> {
    const host = KvmHost.open(offshootHome());
    await provision(host, 'python', false, () => {});
    return new Forks(host, LoadedTemplate.open(host, templatePath(host.home, 'python')));
  }

  /** Runs the job without forking it. `tracer` sees its calls. */
  async run(job: Job, tracer: Tracer | null = null): Promise<{ readonly outcome: Outcome; readonly syscalls: number }> {
    const half = new Half(this.scheduler);
    const guest = this.begin(job, half);
    guest.kernel.tracer = tracer;
    try {
      this.wake(half);
      const outcome = await half.ended;
      return { outcome, syscalls: guest.kernel.syscallCount };
    } finally {
      this.drop(guest);
    }
  }

  /**
   * Runs the job and forks it at a fraction of the system calls of its program; `syscalls` is how many a run took that was not forked.
   * Calls that start the program do not count.
   */
  async runForked(job: Job, syscalls: number, fraction: number): Promise<ForkedOutcome> {
    for (let attempt = 1, part = fraction; ; attempt++, part /= 2) {
      const forked = await this.tryForked(job, syscalls, part);
      if (forked.branch || attempt === TRIES) return forked;
    }
  }

  private async tryForked(job: Job, syscalls: number, fraction: number): Promise<ForkedOutcome> {
    const original = new Half(this.scheduler);
    const halves = [original];
    try {
      const guest = this.begin(job, original);
      const before = await this.runToProgram(guest);
      const atCall = before + Math.floor(fraction * Math.max(0, syscalls - before));
      if (!(await this.runToCall(guest, atCall))) this.split(original, halves);
      for (const half of halves) this.wake(half);
      const [whole, branch] = await Promise.all(halves.map((half) => half.ended));
      return { atCall, original: whole, branch: branch ?? null };
    } finally {
      for (const { guest } of halves) this.drop(guest);
    }
  }

  private begin(job: Job, half: Half): Guest {
    const guest = Guest.fork(this.host, this.template, MEMORY_BYTES);
    guest.prepareToBranch();
    guest.attach(half.events);
    half.guest = guest;
    const { main, streams } = guest.kernel;
    if (main && job.uid !== main.credentials.ruid) main.credentials = credentialsOf(job.uid, job.uid);
    guest.start({
      request: { kind: 'code', code: Buffer.from(script(job)), filename: '<string>', argv: ['-c'], path0: '' },
      env: ENVIRONMENT, cwd: '/home/user', strace: false, countPages: false,
      limits: { ...RUN_LIMITS, timeoutMs: job.timeoutMs, memoryBytes: MEMORY_BYTES, outputBytes: OUTPUT_BYTES },
    }, half.onEnd);
    streams.stdin.push(readFileSync(job.program));
    streams.stdin.close();
    return guest;
  }

  private split(original: Half, halves: Half[]): void {
    const half = new Half(this.scheduler, original.output);
    halves.push(half);
    const guest = original.guest as Guest;
    [half.guest] = guest.branch([half.onEnd]);
    half.guest.attach(half.events);
  }

  private wake({ guest }: Half): void {
    if (!guest) return;
    guest.kernel.stopAtCall = Infinity;
    this.scheduler.wake(guest);
  }

  private drop(guest: Guest | null): void {
    if (!guest) return;
    this.scheduler.remove(guest);
    guest.destroy();
  }

  /** Until the case's program has been executed; the calls made so far. */
  private async runToProgram(guest: Guest): Promise<number> {
    const { kernel } = guest;
    while (!kernel.main?.execed && !(await this.runToCall(guest, kernel.syscallCount + 1)));
    return kernel.syscallCount;
  }

  /** Until so many calls were made; true when the run ended before. */
  private async runToCall(guest: Guest, count: number): Promise<boolean> {
    guest.kernel.stopAtCall = count;
    while (guest.kernel.syscallCount < count) {
      const state = guest.step(10_000_000);
      if (state.kind === 'ended') return true;
      if (state.kind === 'blocked') {
        const delay = Math.max(0, Math.min(state.wakeAtMs - performance.now(), 1000));
        await new Promise((resolve) => setTimeout(resolve, delay));
      }
    }
    return false;
  }
}
