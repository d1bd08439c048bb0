// The interpreters of a stateful sandbox, in its worker. A context is a name for one: it starts with the context's first run, as a
// child of the template's process (kernel/process/heldfork.ts), and runs what it is given, one after the other. When it ends, for whatever reason,
// the next run starts another.
//
// An interpreter says on its control channel how each run ended. Each run has a secret number that the answer must carry, only the
// interpreter's own first thread may use the channel, and anything else that is said there ends the interpreter: an answer is never made
// of what a program prints or writes somewhere.

import { randomBytes } from 'node:crypto';
import { SIGINT, SIGKILL, SI_KERNEL, sigbit } from '../abi/linux/signal.ts';
import type { EndReason } from '../kernel/end.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { writtenPages } from '../kernel/mm/fork.ts';
import type { Credentials } from '../kernel/process/credentials.ts';
import { forkHeld, isHeld } from '../kernel/process/heldfork.ts';
import type { Process } from '../kernel/process/process.ts';
import type { Program } from '../kernel/process/programs.ts';
import { signalProcess } from '../kernel/signal/send.ts';
import { dropPending, siginfo } from '../kernel/signal/state.ts';
import { OffshootError } from './errors.ts';
import type { Job } from './job.ts';
import type { LoadedTemplate } from './loaded.ts';
import { OutputLog, type LogBudget } from './outputlog.ts';
import type { ContextInit } from './protocol.ts';
import { differences, sendStream } from './request.ts';

/** Of runs that name none. */
const DEFAULT_CONTEXT = 'default';

const CONTEXTS_MAX = 256;
const QUEUED_MAX = 256;
const QUEUED_BYTES_MAX = 64 << 20;
/** Output between two runs that is kept. */
const LOG_BYTES = 1 << 20;
/** How often an interpreter may ask for the same request again. */
const RESENDS_MAX = 8;
const ANSWER_BYTES_MAX = 64;
/** Pages that an interpreter is given copies of when it starts. */
const PAGES_MAX = 2048;
/** What an interpreter runs before its first run, and prints into nothing. */
const WARM_CODE = Buffer.from('print(1+1, "a", 2.5, [None])');
const WARM_RUN = { filename: '<string>', argv: null, env: {}, cwd: null, stdin: false };

interface Context {
  readonly id: string;
  init: ContextInit;
  program: Program | null;
  process: Process | null;
  /** The first request has been sent. */
  isTold: boolean;
  hadStdin: boolean;
  /** Whether its interpreter runs, or ran, what `prepare` has it run. */
  warming: 'never' | 'now' | 'done';
  job: Job | null;
  token: string;
  lastToken: string;
  resends: number;
  readonly queue: Job[];
  readonly log: OutputLog;
}

/** What contexts need of their sandbox (session.ts). */
export interface ContextEvents {
  /** Output of the program is the job's from now on. */
  started(job: Job): void;
  over(job: Job, reason: EndReason | null, isLost: boolean): void;
}

export class Contexts {
  private readonly kernel: Kernel;
  private readonly user: Credentials;
  private readonly base: LoadedTemplate['header'];
  private readonly template: LoadedTemplate;
  private readonly budget: LogBudget;
  private readonly events: ContextEvents;
  private readonly contexts = new Map<string, Context>();
  /** Interpreters of closed contexts, about to end, by program. */
  private readonly closed = new Map<number, Context>();
  private queuedBytes = 0;
  /** Branches between the template and this sandbox: an interpreter that has seen another number makes new what must not be there twice. */
  private generation = 0;

  constructor(kernel: Kernel, user: Credentials, template: LoadedTemplate, budget: LogBudget, events: ContextEvents) {
    this.kernel = kernel;
    this.user = user;
    this.template = template;
    this.budget = budget;
    this.base = template.header;
    this.events = events;
    this.open(DEFAULT_CONTEXT, template.header);
  }

  /** The contexts of a branch: `source` is where it came from, `copyOf` gives the branch's part of what runs. What waits stays there. */
  goOnAs(source: Contexts, copyOf: (job: Job) => Job): void {
    const branch = (context: Context): Context => {
      const program = context.program && (this.kernel.programs.get(context.program.id) ?? null);
      const process = context.process && (this.kernel.processes.get(context.process.pid) ?? null);
      const copy = { ...context, program, process, job: context.job && copyOf(context.job), queue: [], log: context.log.copy(this.budget) };
      if (program) program.control?.onMessage((message) => this.answered(copy, program, message));
      return copy;
    };
    this.generation = source.generation + 1;
    for (const [id, context] of source.contexts) this.contexts.set(id, branch(context));
    for (const [id, context] of source.closed) this.closed.set(id, branch(context));
  }

  /** What the default context's interpreters start with. */
  setDefault(init: ContextInit): void {
    this.known(DEFAULT_CONTEXT).init = init;
  }

  /**
   * Starts the default context's interpreter before anybody wants it; called again and again, between slices, until true: it waits for its
   * first run, or has it already, or cannot be. It has run something of ours then, which prints nothing, because what a run touches first
   * costs ten times the run.
   */
  prepare(): boolean {
    const context = this.known(DEFAULT_CONTEXT);
    if (context.job || context.queue.length > 0) return true;
    if (!context.program && isHeld(this.kernel) && this.start(context) < 0) return true;
    if (!context.program?.control?.isParked) return false;
    if (context.warming !== 'never') {
      if (this.template.interpreterPages.size === 0 && context.process) this.template.interpreterPages = writtenPages(context.process.mm, PAGES_MAX);
      return true;
    }
    context.warming = 'now';
    context.token = randomBytes(16).toString('hex');
    context.program.streams.isClosed = true;
    sendStream(context.program.control, Buffer.from(JSON.stringify({ token: context.token, ...WARM_RUN, base: null, generation: this.generation })), WARM_CODE);
    return false;
  }

  /** Throws OffshootError. */
  open(id: string, init: ContextInit): void {
    if (this.contexts.has(id)) throw new OffshootError('bad-argument', `There is a context "${id}" already.`);
    if (this.contexts.size >= CONTEXTS_MAX) throw new OffshootError('busy', `A sandbox has at most ${CONTEXTS_MAX} contexts: close some first.`);
    this.contexts.set(id, {
      id, init, program: null, process: null, isTold: false, hadStdin: false, warming: 'done', job: null, token: '', lastToken: '', resends: 0, queue: [],
      log: new OutputLog(LOG_BYTES, this.budget),
    });
  }

  /** Ends its interpreter with all its session, and what runs or waits there. The default one is there again with its next run. */
  close(id: string): void {
    const context = this.known(id);
    if (id !== DEFAULT_CONTEXT) this.contexts.delete(id);
    context.log.drain();
    for (const job of context.queue.splice(0)) this.giveUp(job, 'its context was closed.');
    if (context.job) {
      context.job.stop ??= 'cancelled';
      context.job.stopText ??= 'its context was closed.';
    }
    const { program, process } = context;
    if (!program || !process) return;
    this.closed.set(program.id, { ...context, queue: [] });
    context.program = context.process = context.job = null;
    context.isTold = false;
    context.warming = 'done';
    // With what it started: nobody else knows of that.
    for (const other of [...this.kernel.processes.values()]) if (other.sid === process.pid) signalProcess(other, siginfo(SIGKILL, SI_KERNEL));
  }

  /** Runs a job when those before it are over. Throws OffshootError. */
  add(id: string, job: Job): void {
    const context = this.known(id);
    if (context.queue.length >= QUEUED_MAX || this.queuedBytes + job.code.length > QUEUED_BYTES_MAX) {
      throw new OffshootError('busy', `Too many runs wait for context "${id}": try again when some have ended.`);
    }
    context.queue.push(job);
    this.queuedBytes += job.code.length;
    this.pump(context);
  }

  /** Takes a job that waits out of its queue; false: it does not wait. */
  drop(job: Job): boolean {
    for (const { queue } of this.contexts.values()) {
      const at = queue.indexOf(job);
      if (at < 0) continue;
      queue.splice(at, 1);
      this.queuedBytes -= job.code.length;
      return true;
    }
    return false;
  }

  /** Starts what can start: called between slices. */
  pumpAll(): void {
    for (const context of this.contexts.values()) if (context.queue.length > 0) this.pump(context);
  }

  /** What a program printed outside of runs is kept for the next one; false: it is no interpreter. */
  keep(program: number, stream: 1 | 2, bytes: Uint8Array): boolean {
    const context = this.byProgram(program);
    context?.log.append(stream, bytes);
    return context !== undefined;
  }

  /** An interpreter's process has ended; false: it was none. */
  ended(program: Program, reason: EndReason): boolean {
    const context = this.byProgram(program.id) ?? this.closed.get(program.id);
    if (!context) return false;
    this.closed.delete(program.id);
    this.kernel.programs.forget(program);
    context.program = context.process = null;
    context.isTold = false;
    context.warming = 'done';
    const { job } = context;
    context.job = null;
    if (job) this.events.over(job, reason, true);
    return true;
  }

  /** Nothing runs any more: everything that waits is over. */
  endAll(finish: (job: Job) => void): void {
    for (const { queue, job } of [...this.contexts.values(), ...this.closed.values()]) {
      for (const each of [...(job ? [job] : []), ...queue.splice(0)]) finish(each);
    }
  }

  private known(id: string): Context {
    const context = this.contexts.get(id);
    if (!context) throw new OffshootError('bad-argument', `There is no context "${id}".`);
    return context;
  }

  private byProgram(program: number): Context | undefined {
    for (const context of this.contexts.values()) if (context.program?.id === program) return context;
    return undefined;
  }

  private giveUp(job: Job, why: string): void {
    this.queuedBytes -= job.code.length;
    job.stop ??= 'cancelled';
    job.stopText ??= why;
    this.events.over(job, null, false);
  }

  private pump(context: Context): void {
    while (!context.job && context.warming !== 'now' && context.queue.length > 0) {
      if (!context.program && !isHeld(this.kernel)) return;
      const job = context.queue.shift() as Job;
      this.queuedBytes -= job.code.length;
      const failed = context.program ? 0 : this.start(context);
      if (failed < 0) {
        job.stop = 'memory';
        job.stopText = 'there is no room for another interpreter: the sandbox has as many processes, or as much memory, as it may.';
        this.events.over(job, null, false);
      } else this.run(context, job);
    }
  }

  /** A new interpreter; -errno. */
  private start(context: Context): number {
    const { kernel } = this;
    const program = kernel.programs.open(true);
    const process = forkHeld(kernel, program, this.user, this.template.interpreterPages);
    if (typeof process === 'number') {
      kernel.programs.forget(program);
      return process;
    }
    for (const [gva, bytes] of this.base.random) process.mm.copyOut(gva, randomBytes(bytes));
    program.streams.bytesMax = Infinity;
    program.control?.onMessage((message) => this.answered(context, program, message));
    context.program = program;
    context.process = process;
    context.isTold = false;
    context.hadStdin = false;
    context.warming = 'never';
    return 0;
  }

  private run(context: Context, job: Job): void {
    const { program, process } = context;
    if (!program || !process) return;
    context.job = job;
    if (context.warming === 'never') context.warming = 'done'; // nobody's code and ours in one interpreter
    context.lastToken = context.token;
    context.token = randomBytes(16).toString('hex');
    context.resends = 0;
    job.isFresh = !context.isTold;
    job.begin(this.kernel, program, process);
    const { streams } = program;
    streams.outputBytes = 0;
    streams.bytesMax = job.options.outputBytes;
    this.events.started(job);
    const { pieces, lostBytes } = context.log.drain();
    if (lostBytes > 0) streams.output(2, Buffer.from(`offshoot: ${lostBytes} bytes that this context printed between its runs were dropped\n`));
    for (const { stream, bytes } of pieces) streams.output(stream, bytes);
    streams.renewStdin();
    job.feed(program);
    this.send(context, job);
    context.hadStdin = job.options.hasStdin;
  }

  private send(context: Context, job: Job): void {
    const { options: { request, env, cwd }, code } = job;
    if (request.kind !== 'cell' || !context.program?.control) return;
    const base = context.isTold ? null : { env: differences(this.base.env, context.init.env), cwd: context.init.cwd };
    const header = {
      token: context.token, filename: request.filename, argv: request.argv, env, cwd, stdin: job.options.hasStdin || context.hadStdin, base,
      generation: this.generation,
    };
    sendStream(context.program.control, Buffer.from(JSON.stringify(header)), code);
  }

  /** What an interpreter says: nothing longer than an answer is one. */
  private answered(context: Context, program: Program, message: Uint8Array): void {
    if (context.program !== program || !context.process) return;
    const text = message.length <= ANSWER_BYTES_MAX ? Buffer.from(message).toString('latin1') : '?';
    const { job } = context;
    if (text === '') return;
    if (text === 'again') {
      if (!job) return;
      program.control?.purge();
      if (job.stop !== null) return this.finish(context, job, 130); // the interrupt came before the run began
      if (++context.resends > RESENDS_MAX) return this.attacked(context);
      return this.send(context, job);
    }
    const answer = /^([0-9a-f]{32}) (\d{1,3})$/.exec(text);
    if (!answer || Number(answer[2]) > 255) return this.attacked(context);
    if (context.warming === 'now') {
      context.warming = 'done';
      program.streams.isClosed = false;
    }
    if (answer[1] === context.lastToken || (answer[1] === context.token && !job)) return;
    if (answer[1] !== context.token || !job) return this.attacked(context);
    context.isTold = true;
    this.finish(context, job, Number(answer[2]));
  }

  private finish(context: Context, job: Job, code: number): void {
    const { program, process } = context;
    context.job = null;
    if (program) {
      program.streams.outputBytes = 0;
      program.streams.bytesMax = Infinity;
    }
    if (process) this.forgetInterrupt(process);
    this.events.over(job, { kind: 'exit', code }, false);
  }

  /** An interrupt that came too late for its run must not meet the next. */
  private forgetInterrupt(process: Process): void {
    dropPending(process.signals, sigbit(SIGINT));
    for (const task of process.tasks) dropPending(task, sigbit(SIGINT));
  }

  private attacked({ process, job }: Context): void {
    if (job) job.stopText ??= 'its code wrote to the descriptor of its interpreter.';
    if (process) signalProcess(process, siginfo(SIGKILL, SI_KERNEL));
  }
}
