// A stateful sandbox in its worker: runs of persistent interpreters (contexts.ts), programs and background programs, all at once in
// one guest. The caller's numbers name them. Between two slices `settle` tells the caller what has ended; `tick` sees to time limits.

import { EACCES, ENOENT } from '../abi/linux/errno.ts';
import { SIGINT, SIGKILL, SI_KERNEL } from '../abi/linux/signal.ts';
import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import { PARK_PATH } from '../guest/park.ts';
import type { EndReason } from '../kernel/end.ts';
import { STREAMS } from '../kernel/fs/hoststream.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { kernelMemory } from '../kernel/kernelmemory.ts';
import type { Credentials } from '../kernel/process/credentials.ts';
import { exitGroup } from '../kernel/process/exit.ts';
import { describeFault } from '../kernel/process/fault.ts';
import { holdMain } from '../kernel/process/heldfork.ts';
import type { Process } from '../kernel/process/process.ts';
import type { Program } from '../kernel/process/programs.ts';
import { spawn } from '../kernel/process/spawn.ts';
import { signalProcess } from '../kernel/signal/send.ts';
import { siginfo } from '../kernel/signal/state.ts';
import { errnoName } from '../kernel/trace/errnotext.ts';
import { Contexts } from './contexts.ts';
import { OffshootError } from './errors.ts';
import { byteString } from './guestkernel.ts';
import { Job } from './job.ts';
import type { LoadedTemplate } from './loaded.ts';
import { LogBudget, OutputLog } from './outputlog.ts';
import type { ContextInit, FileOperation, LimitReached, ProgramOptions, SandboxStats, StatefulOptions } from './protocol.ts';
import { candidates, sendStream, whyNotRun } from './request.ts';
import { Visitor, type Visited } from './visit.ts';

/** From the interrupt to the kill. */
const GRACE_MS = 1000;
/** What is kept of a background program's output. */
const LOG_BYTES = 1 << 20;
/** What is kept of all output, also of interpreters between their runs. */
const LOGS_BYTES = 32 << 20;
/** Background programs at a time, and how many that ended are remembered. */
const BACKGROUND_MAX = 64, ENDED_MAX = 16;
/** Programs that run in the foreground at a time. */
const FOREGROUND_MAX = 256;

/** What a session needs of its worker. */
export interface SessionEvents {
  /** Output of the run with a number, to its caller. */
  readonly output: (number: number, stream: number, bytes: Uint8Array, sent: () => void) => void;
  /** Something may run now. */
  readonly wake: () => void;
}

const UNHEARD: SessionEvents = { output: (_number, _stream, _bytes, sent) => sent(), wake: () => {} };

export class Session {
  private readonly kernel: Kernel;
  private readonly template: LoadedTemplate;
  private readonly user: Credentials;
  private readonly cwd: string;
  private events: SessionEvents = UNHEARD;
  private readonly contexts: Contexts;
  private readonly budget = new LogBudget(LOGS_BYTES);
  private readonly hasPython: boolean;
  private visitor: Visitor | null = null;
  /** The first interpreter is ready, or in use, or cannot be. */
  private hasFirst = false;
  /** Everything that is not over, and the last background programs that are, by the caller's number. */
  private readonly jobs = new Map<number, Job>();
  /** Whose output a program's is. */
  private readonly current = new Map<number, Job>();
  /** What ended in the last slice. */
  private over: { readonly job: Job; readonly reason: EndReason | null; readonly isLost: boolean }[] = [];

  /** `kernel` waits for its request, or is about to; or it is a branch of the one that `from` is in. */
  constructor(kernel: Kernel, template: LoadedTemplate, from: Session | null = null) {
    this.kernel = kernel;
    this.template = template;
    this.cwd = template.header.cwd;
    this.hasPython = kernel.main?.argv[0] !== PARK_PATH;
    this.user = from ? from.user : holdMain(kernel);
    this.contexts = new Contexts(kernel, this.user, template, this.budget, {
      started: (job) => this.started(job),
      over: (job, reason, isLost) => this.ended(job, reason, isLost),
    });
    const ended = (program: Program, process: Process, status: number): void => this.programEnded(program, process, status);
    const memoryOut = (): boolean => this.killBiggest();
    kernel.programs.onEnd = ended;
    kernel.ownMemory.logs = this.budget;
    kernel.onMemoryOut = memoryOut;
    if (from) this.goOnAs(from);
    else if (this.hasPython) sendStream(kernel.control, new Uint8Array(), new Uint8Array());
  }

  /**
   * The session of a branch of this guest, between two slices: contexts and programs are there once more, under the same names and
   * numbers. What runs in the foreground goes on there, too, but nobody hears of it; runs that wait for a context wait only here. The
   * caller calls `listen`.
   */
  branch(kernel: Kernel): Session {
    return new Session(kernel, this.template, this);
  }

  private goOnAs(from: Session): void {
    const copies = new Map<Job, Job>();
    const copyOf = (job: Job): Job => {
      const known = copies.get(job) ?? job.branch(this.kernel, this.budget, (stream, bytes, sent) => sent());
      copies.set(job, known);
      return known;
    };
    for (const [number, job] of from.jobs) if (job.log) this.jobs.set(number, copyOf(job));
    for (const job of from.current.values()) {
      this.started(copyOf(job));
      if (!job.log) copyOf(job).endInput();
      copyOf(job).program?.streams.letGo(); // it was held back for a reader it does not have here
    }
    this.contexts.goOnAs(from.contexts, copyOf);
    this.hasFirst = from.hasFirst;
  }

  /** Starts the first interpreter; true when it is ready for its first run, or there is none to have. Called between slices. */
  prepare(): boolean {
    return !this.hasPython || this.contexts.prepare();
  }

  /** It is somebody's now. */
  open(options: StatefulOptions, events: SessionEvents): void {
    this.contexts.setDefault({ env: options.env, cwd: this.cwd });
    this.listen(events);
  }

  /** Who hears of it from now on. */
  listen(events: SessionEvents): void {
    this.events = events;
  }

  /** Starts a run or a program; who asked listens to `whenOver` of what is returned. Throws OffshootError. */
  add(number: number, options: ProgramOptions, code: Uint8Array): Job {
    const { request } = options;
    if (this.jobs.has(number)) throw new OffshootError('internal', 'This number is taken.');
    const isBackground = request.kind === 'exec' && request.isBackground;
    const job = new Job(number, options, code, isBackground ? new OutputLog(LOG_BYTES, this.budget) : null, (stream, bytes, sent) => {
      this.events.output(number, stream, bytes, sent);
    });
    const room = (): void => {
      job.program?.streams.letGo();
      this.events.wake();
    };
    job.outlet.onRoom = room;
    if (request.kind === 'cell') {
      if (!this.hasPython) throw new OffshootError('bad-argument', 'This template has no Python: run its programs with exec.');
      this.contexts.add(request.context, job);
    } else {
      this.checkRoom(isBackground);
      this.startProgram(job, request.argv);
    }
    this.jobs.set(number, job);
    this.events.wake();
    return job;
  }

  /** A background program that runs, or ended not long ago. Throws OffshootError. */
  background(number: number): Job {
    const job = this.jobs.get(number);
    if (!job?.log) throw new OffshootError('bad-argument', 'There is no such process any more.');
    return job;
  }

  /** Sends a signal to a program and its process group. False: it is over. */
  signal(number: number, signo: number): boolean {
    const { process } = this.background(number);
    if (!process || process.exitStatus >= 0) return false;
    const info = siginfo(signo, SI_KERNEL);
    for (const other of [...this.kernel.processes.values()]) if (other.pgid === process.pid && signo > 0) signalProcess(other, info);
    this.events.wake();
    return true;
  }

  /** `init` null: closes the context. Throws OffshootError. */
  changeContext(id: string, init: ContextInit | null): void {
    if (init) this.contexts.open(id, init);
    else this.contexts.close(id);
    this.events.wake();
  }

  /** Throws OffshootError 'file-error'. */
  visit(operation: FileOperation, bytes: Uint8Array): Visited {
    return this.outside.perform(operation, bytes);
  }

  private get outside(): Visitor {
    return (this.visitor ??= new Visitor(this.kernel, this.user, this.cwd));
  }

  measure(): SandboxStats {
    const { kernel } = this;
    return {
      memoryBytes: kernel.frames.usedPages * PAGE_SIZE, diskBytes: kernel.vfs.budget.usedPages * PAGE_SIZE,
      kernelMemoryBytes: Math.ceil(kernelMemory(kernel)),
      processes: kernel.processes.size - 1, threads: kernel.tasks.size - 1, cpuTimeMs: kernel.cpuNs / 1e6, syscalls: kernel.syscallCount,
    };
  }

  /** More standard input, and perhaps its end. `taken` is called when there is room for more, or nobody will read it. */
  stdin(number: number, bytes: Uint8Array, isLast: boolean, taken: () => void): void {
    const job = this.jobs.get(number);
    if (!job || job.isOver) return taken();
    job.give(bytes, isLast, taken);
    this.events.wake();
  }

  /** Ends a run before its time: an interpreter is interrupted, and killed when it goes on; a program is killed with all its session. */
  stop(number: number, why: LimitReached = 'cancelled'): void {
    const job = this.jobs.get(number);
    if (job && !job.isOver) this.stopJob(job, why);
    this.events.wake();
  }

  /** What the guest printed. */
  output(stream: number, bytes: Uint8Array): void {
    const of = stream % STREAMS === 1 ? 1 : 2;
    const program = (stream - stream % STREAMS) / STREAMS;
    const job = this.current.get(program);
    if (!job) this.contexts.keep(program, of, bytes);
    else if (job.log) job.log.append(of, bytes);
    else {
      job.outlet.write(of, bytes);
      if (job.outlet.full && job.program) job.program.streams.isHeld = true;
    }
  }

  /** Sees to time limits; returns when it wants to be called again at the latest (performance.now()). */
  tick(nowMs: number): number {
    let nextMs = Infinity;
    for (const job of this.current.values()) {
      if (nowMs >= job.deadlineMs && job.stop === null) this.stopJob(job, 'timeout');
      if (nowMs >= job.killAtMs) {
        job.killAtMs = Infinity;
        if (job.process) this.killSession(job.process.pid);
      }
      nextMs = Math.min(nextMs, job.stop === null ? job.deadlineMs : Infinity, job.killAtMs);
    }
    return nextMs;
  }

  /** After a slice: output leaves, then the ends of what ended; what waited for that starts. */
  settle(): void {
    this.contexts.pumpAll();
    // Most sandboxes will want it soon: it starts while nobody waits.
    if (!this.hasFirst) this.hasFirst = this.prepare();
    for (const job of this.current.values()) {
      job.outlet.flush();
      job.settle();
    }
    const { over } = this;
    this.over = [];
    for (const { job, reason, isLost } of over) {
      job.finish(this.kernel, reason, isLost);
      if (!job.log) this.jobs.delete(job.number);
    }
  }

  /** The sandbox is over: so is everything in it. */
  endAll(reason: EndReason | null, stop: LimitReached, text: string | null): void {
    for (const job of this.jobs.values()) {
      if (reason === null) job.stop ??= stop ?? 'cancelled';
      job.stopText ??= text;
      job.finish(this.kernel, reason, false);
    }
    this.jobs.clear();
    this.current.clear();
    this.over = [];
  }

  private checkRoom(isBackground: boolean): void {
    let running = 0;
    const ended: Job[] = [];
    for (const job of this.jobs.values()) {
      if (job.isOver) ended.push(job);
      else if ((job.log !== null) === isBackground && job.options.request.kind === 'exec') running++;
    }
    if (running >= (isBackground ? BACKGROUND_MAX : FOREGROUND_MAX)) {
      throw new OffshootError('busy', `This sandbox runs ${running} programs, which is as many as it may: wait for some to end.`);
    }
    for (const job of ended.slice(0, Math.max(0, ended.length - ENDED_MAX))) {
      job.log?.drain();
      this.jobs.delete(job.number);
    }
  }

  private startProgram(job: Job, argv: readonly string[]): void {
    const { kernel } = this;
    const { env, cwd, outputBytes } = job.options;
    const program = kernel.programs.open(false);
    job.program = program;
    program.streams.bytesMax = job.log ? Infinity : outputBytes;
    this.started(job);
    const envp = Object.entries(env).map(([name, value]) => byteString(`${name}=${value}`));
    const directory = cwd ?? this.cwd;
    let result: Process | number = -ENOENT;
    const isThere = this.outside.isDirectory(directory);
    if (isThere) for (const path of candidates(argv[0], env['PATH'] ?? '/usr/bin:/bin')) {
      result = spawn(kernel, byteString(path), argv.map(byteString), envp, {
        uid: this.user.ruid, gid: this.user.rgid, cwd: byteString(directory), files: kernel.programs.openFiles(program),
      });
      if (result !== -ENOENT && result !== -EACCES) break;
    }
    if (typeof result !== 'number') {
      kernel.programs.begun(program, result);
      job.begin(kernel, program, result);
      job.feed(program);
      return;
    }
    const why = isThere ? `${argv[0]}: ${whyNotRun(result)}` : `${directory}: no such directory`;
    if (!job.log) program.streams.output(2, Buffer.from(`offshoot: ${why}\n`));
    this.current.delete(program.id);
    kernel.programs.forget(program);
    if (job.log) throw new OffshootError('file-error', `${why}.`, errnoName(-result));
    this.over.push({ job, reason: { kind: 'exit', code: result === -ENOENT && isThere ? 127 : 126 }, isLost: false });
  }

  private started(job: Job): void {
    const { program } = job;
    if (!program) return;
    this.current.set(program.id, job);
    const passed = (): void => {
      if (job.stop !== null) return;
      job.stopText = `output limit: more than ${job.options.outputBytes} bytes of output.`;
      this.stopJob(job, 'output');
    };
    program.streams.onPassed = passed;
  }

  private stopJob(job: Job, why: LimitReached): void {
    if (job.stop !== null) return;
    job.stop = why;
    if (this.contexts.drop(job)) return void this.over.push({ job, reason: null, isLost: false });
    const { process } = job;
    if (!process) return;
    if (job.options.request.kind !== 'cell') return this.killSession(process.pid);
    job.killAtMs = performance.now() + GRACE_MS;
    // As a terminal would: what it runs and waits for is interrupted, too.
    for (const other of this.kernel.processes.values()) if (other.pgid === process.pid) signalProcess(other, siginfo(SIGINT, SI_KERNEL));
  }

  private killSession(sid: number): void {
    for (const process of [...this.kernel.processes.values()]) if (process.sid === sid) signalProcess(process, siginfo(SIGKILL, SI_KERNEL));
  }

  private programEnded(program: Program, _process: Process, status: number): void {
    const signo = status & 0x7f;
    const { killedBy } = this.kernel;
    const detail = signo !== 0 && killedBy?.signo === signo ? describeFault(killedBy) : '';
    const reason: EndReason = signo === 0 ? { kind: 'exit', code: status >> 8 } : { kind: 'signal', signo, detail };
    if (this.contexts.ended(program, reason)) return;
    const job = this.current.get(program.id);
    this.kernel.programs.forget(program);
    if (job) this.ended(job, reason, false);
  }

  private ended(job: Job, reason: EndReason | null, isLost: boolean): void {
    if (job.program && this.current.get(job.program.id) === job) {
      job.outlet.flush();
      this.current.delete(job.program.id);
    }
    this.over.push({ job, reason, isLost });
    this.events.wake();
  }

  /** What Linux's out-of-memory killer does: the process with the most memory is killed. False: there is none. */
  private killBiggest(): boolean {
    let biggest: Process | null = null;
    for (const process of this.kernel.processes.values()) {
      if (process === this.kernel.main || process.exitStatus >= 0) continue;
      if (!biggest || process.mm.pages.rss > biggest.mm.pages.rss) biggest = process;
    }
    if (!biggest) return false;
    for (const job of this.current.values()) {
      if (job.process !== biggest) continue;
      job.stop ??= 'memory';
      job.stopText ??= `memory limit: ${this.kernel.memory.limitBytes / 2 ** 20} MB.`;
    }
    exitGroup(biggest, SIGKILL);
    return true;
  }
}

