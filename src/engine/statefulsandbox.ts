// A stateful sandbox as the caller holds it: one forked VM in a worker process in which many programs run, one after the other and at
// once, and find what others left: variables of an interpreter, files, background processes.

import { randomUUID } from 'node:crypto';
import { OffshootError } from './errors.ts';
import { SandboxFiles } from './files.ts';
import type { Lease } from './place.ts';
import { Process } from './process.ts';
import { feedProgram, performProgram, programOptions } from './program.ts';
import type { ContextInit, SandboxStats } from './protocol.ts';
import type { RunInit, RunResult, SandboxPlace } from './run.ts';

/** What a run in a context returns. */
export interface ContextResult extends RunResult {
  readonly context: string;
  /** The interpreter ended with this run: its variables are gone, and the next run of the context starts a new one. */
  readonly contextLost: boolean;
  /** The first run of its interpreter. */
  readonly contextFresh: boolean;
}

/** The context of runs that name none. */
const DEFAULT_CONTEXT = 'default';
const HOME = '/home/user';
/** Background programs that ended and are remembered. */
const ENDED_MAX = 16;

/** One forked VM for many runs. Made by `Template.fork({ stateful: true })`. */
export class StatefulSandbox {
  /** Unique among all sandboxes ever. */
  readonly id: string;
  readonly template: string;
  /** Its files, reached from outside. */
  readonly files: SandboxFiles;
  /** Background programs by pid: those that run, and the last that ended. */
  private readonly started = new Map<number, Process>();
  private readonly known = new Map<string, ContextInit>();
  private readonly place: SandboxPlace;
  private readonly lease: Lease;
  /** Resolves when it is over: with a sentence when it ended by itself (a limit, a failure, a lost worker), with null when it was closed. */
  readonly ended: Promise<string | null>;
  private readonly tellEnd: (why: string | null) => void;
  private closed = false;
  /** By its owner. */
  private wasClosed = false;
  private endedBecause: string | null = null;

  constructor(place: SandboxPlace, lease: Lease) {
    this.place = place;
    this.lease = lease;
    this.id = place.id;
    this.template = place.template;
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.ended = promise;
    this.tellEnd = resolve;
    this.files = new SandboxFiles(place, () => this.checkOpen());
    place.worker.attach(place.number, {
      output: () => {}, trace: () => {}, want: () => {}, file: () => {},
      over: (_limit, reason) => this.over(reason),
    });
  }

  /**
   * Runs Python source in the persistent interpreter of a context, after the runs of that context that were asked for before; runs of
   * different contexts run at once. A time-out or `signal` raises KeyboardInterrupt in it; an interpreter that does not stop within
   * a second is killed. `env` and `cwd` are this run's alone. Rejects only for bad arguments, too many waiting runs ('busy'), a
   * sandbox that has ended, or a lost worker, never for what the code does.
   */
  async run(code: string | Uint8Array, init: RunInit & { readonly context?: string } = {}): Promise<ContextResult> {
    const context = init.context ?? DEFAULT_CONTEXT;
    const bytes = typeof code === 'string' ? Buffer.from(code) : code;
    const request = { kind: 'cell', context, filename: init.filename ?? '<string>', argv: argvOf(init) } as const;
    const options = programOptions(this.place, request, init.env ?? {}, init, bytes);
    this.checkOpen();
    const result = await performProgram(this.place, this.lease.newNumber(), options, init, bytes);
    return { contextLost: false, contextFresh: false, ...result, context };
  }

  /** Runs a program of the image: `argv[0]` is looked up in PATH. Any number at once. It ends with all its session on a time-out or `signal`. */
  async exec(argv: readonly string[], init: RunInit = {}): Promise<RunResult> {
    if (argv.length === 0) throw new OffshootError('bad-argument', 'exec needs a command.');
    const options = programOptions(this.place, { kind: 'exec', argv, isBackground: false }, { ...this.place.env, ...init.env }, init);
    this.checkOpen();
    return performProgram(this.place, this.lease.newNumber(), options, init);
  }

  /**
   * Starts a program in the background; it runs until it ends or the sandbox is closed (or `timeoutMs`). The last megabyte of its output
   * is kept. Rejects with 'file-error' when it is not there, with 'busy' when 64 run already. Its input stays open unless `stdin` is given.
   */
  async start(argv: readonly string[], init: Omit<RunInit, 'outputBytes' | 'capture' | 'onStdout' | 'onStderr' | 'paced'> = {}): Promise<Process> {
    if (argv.length === 0) throw new OffshootError('bad-argument', 'start needs a command.');
    const { stdin, signal } = init;
    const options = programOptions(this.place, { kind: 'exec', argv, isBackground: true }, { ...this.place.env, ...init.env }, init);
    this.checkOpen();
    const { worker, number: sandbox } = this.place;
    const job = this.lease.newNumber();
    const pid = await worker.call({ type: 'program', sandbox, number: job, options });
    if (typeof pid !== 'number') throw new OffshootError('internal', 'A background program without a pid.');
    const process = new Process(this.place, job, pid, argv);
    this.remember(process);
    if (stdin !== undefined) feedProgram(this.place, job, stdin);
    const stop = (): void => worker.post({ type: 'stop', sandbox, number: job });
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
    process.ended.then(() => signal?.removeEventListener('abort', stop), () => { /* the worker is lost */ });
    return process;
  }

  /** Background programs: those that run, and some that ended. */
  processes(): Process[] {
    return [...this.started.values()];
  }

  process(pid: number): Process | undefined {
    return this.started.get(pid);
  }

  /** Makes another interpreter, which starts with its first run; returns its name for `run`. At most 256 ('busy'). */
  async createContext(init: Partial<ContextInit> = {}): Promise<string> {
    this.checkOpen();
    const id = randomUUID();
    const full = { env: { ...this.place.env, ...init.env }, cwd: init.cwd ?? HOME };
    await this.place.worker.call({ type: 'context', sandbox: this.place.number, context: id, init: full });
    this.known.set(id, full);
    return id;
  }

  /** Ends an interpreter, with what runs and waits there. The default one starts anew with its next run. */
  async closeContext(id: string): Promise<void> {
    this.checkOpen();
    await this.place.worker.call({ type: 'context', sandbox: this.place.number, context: id, init: null });
    this.known.delete(id);
  }

  /** Names of the contexts, 'default' first. */
  contexts(): string[] {
    return [DEFAULT_CONTEXT, ...this.known.keys()];
  }

  /** What it uses now. */
  async stats(): Promise<SandboxStats> {
    this.checkOpen();
    return this.place.worker.call({ type: 'measure', sandbox: this.place.number });
  }

  /**
   * `count` copies of this sandbox as it stands, in the same process: each has all its interpreters with their variables, files, programs
   * that run, timers and blocked calls, and goes on alone from here. Memory is shared until one side writes it. Runs that are under way
   * go on in each copy too, but nobody hears of them there: their output is dropped, their input has ended; runs that wait for their
   * turn are not copied. Each interpreter makes new what must not be the same in two places before its next run (docs/stateful.md).
   * All or none. Rejects with 'tenant-limit', 'busy' (no room in this process), 'host-memory', 'sandbox-ended', 'worker-lost', 'bad-argument'.
   */
  async fork(count = 1): Promise<StatefulSandbox[]> {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new OffshootError('bad-argument', 'A sandbox is forked into a whole number of copies, at least 1.');
    }
    this.checkOpen();
    const { worker } = this.place;
    const leases = this.lease.more(count);
    const copies = leases.map((lease) => new StatefulSandbox({ ...this.place, number: lease.number, id: randomUUID() }, lease));
    try {
      await worker.call({ type: 'branch', sandbox: this.place.number, branches: leases.map(({ number }) => number) });
      for (const copy of copies) copy.takeOver(this);
      return copies;
    } catch (error) {
      for (const copy of copies) void copy.close();
      throw error;
    }
  }

  /** Ends the sandbox with all that runs in it, and gives its memory back. Safe to call twice. */
  async close(): Promise<void> {
    this.wasClosed ||= this.endedBecause === null;
    if (this.closed) return;
    this.closed = true;
    this.place.worker.detach(this.place.number);
    this.place.worker.post({ type: 'close', sandbox: this.place.number });
    this.lease.release();
    this.tellEnd(this.endedBecause);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What it is a copy of: names of contexts, background programs that run. */
  private takeOver(source: StatefulSandbox): void {
    for (const [id, init] of source.known) this.known.set(id, init);
    for (const process of source.processes()) if (process.exitCode === null) this.remember(process.copyIn(this.place));
  }

  /** Of those that ended only as many as the worker remembers. */
  private remember(process: Process): void {
    this.started.set(process.pid, process);
    const ended = this.processes().filter(({ exitCode }) => exitCode !== null);
    for (const old of ended.slice(0, Math.max(0, ended.length - ENDED_MAX))) this.started.delete(old.pid);
  }

  private checkOpen(): void {
    if (this.place.worker.isGone && !this.wasClosed) throw new OffshootError('worker-lost', 'The worker process of this sandbox has ended.');
    if (this.endedBecause !== null) throw new OffshootError('sandbox-ended', `This sandbox has ended: ${this.endedBecause}`);
    if (this.closed) throw new OffshootError('sandbox-ended', 'This sandbox is closed.');
  }

  private over(reason: string): void {
    this.endedBecause = reason;
    void this.close();
  }
}

/** sys.argv, when it is to change. */
function argvOf({ filename, args }: RunInit): readonly string[] | null {
  return args ? [filename ?? '-c', ...args] : null;
}
