// One run, program or background program of a stateful sandbox, in its worker: what was asked, how far it is, how it ended.

import { signalName } from '../abi/linux/signal.ts';
import { hostClock } from '../host/clock.ts';
import type { EndReason } from '../kernel/end.ts';
import { exitCodeOf } from '../kernel/end.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Process } from '../kernel/process/process.ts';
import type { Program } from '../kernel/process/programs.ts';
import { OffshootError } from './errors.ts';
import { Outlet, type SendOutput } from './outlet.ts';
import type { LogBudget, LogPiece, LogPosition, OutputLog } from './outputlog.ts';
import type { LimitReached, ProgramOptions, RunEnd } from './protocol.ts';
import { STOPPED_EXIT, explainEnd } from './runend.ts';

/** Readers of one process that wait. */
const TAILS_MAX = 32;
/** Input that waits to be read before more is taken. */
const INPUT_BYTES = 1 << 20;

export class Job {
  /** The caller's number for it: messages about it carry that. */
  readonly number: number;
  readonly options: ProgramOptions;
  readonly code: Uint8Array;
  readonly outlet: Outlet;
  /** What a background program printed; null: output goes to the caller. */
  readonly log: OutputLog | null;
  program: Program | null = null;
  process: Process | null = null;
  /** Why it is being stopped. */
  stop: LimitReached = null;
  stopText: string | null = null;
  deadlineMs = Infinity;
  killAtMs = Infinity;
  /** The first run of an interpreter. */
  isFresh = false;
  /** Standard input that came before it started. */
  private input: Uint8Array[] = [];
  private isInputOver: boolean;
  /** Who waits until it has read most of its input. */
  private givers: (() => void)[] = [];
  private onEnd: ((end: RunEnd) => void)[] = [];
  private end: RunEnd | null = null;
  /** Who waits for output behind a position. */
  private tails: { readonly from: LogPosition; readonly answer: (piece: LogPiece | null) => void }[] = [];
  private startedMs = 0;
  private begunMs = 0;
  private cpuNsBefore = 0;
  private syscallsBefore = 0;
  private metBefore: ReadonlyMap<string, number> = new Map();

  constructor(number: number, options: ProgramOptions, code: Uint8Array, log: OutputLog | null, send: SendOutput) {
    this.number = number;
    this.options = options;
    this.code = code;
    this.log = log;
    this.isInputOver = !options.hasStdin && log === null;
    this.outlet = new Outlet(send);
  }

  get isOver(): boolean {
    return this.end !== null;
  }

  /** Its clock starts. */
  begin(kernel: Kernel, program: Program, process: Process): void {
    const { timeoutMs } = this.options;
    this.program = program;
    this.process = process;
    this.startedMs = performance.now();
    this.begunMs = hostClock.monotonicNs() / 1e6;
    this.deadlineMs = timeoutMs > 0 ? this.startedMs + timeoutMs : Infinity;
    this.cpuNsBefore = process.cpuNs + process.childrenCpuNs;
    this.syscallsBefore = kernel.syscallCount;
    this.metBefore = new Map(kernel.bounds.met);
  }

  /** The same in a branch of its sandbox; `send` gets what it prints there. Nobody hears of its end who does not ask. */
  branch(kernel: Kernel, budget: LogBudget, send: SendOutput): Job {
    const copy = new Job(this.number, this.options, this.code, this.log && this.log.copy(budget), send);
    copy.program = this.program && (kernel.programs.get(this.program.id) ?? null);
    copy.process = this.process && (kernel.processes.get(this.process.pid) ?? null);
    copy.input = this.input.slice();
    copy.isInputOver = this.isInputOver;
    copy.stop = this.stop;
    copy.stopText = this.stopText;
    copy.deadlineMs = this.deadlineMs;
    copy.killAtMs = this.killAtMs;
    copy.isFresh = this.isFresh;
    copy.end = this.end;
    copy.startedMs = this.startedMs;
    copy.begunMs = this.begunMs;
    copy.cpuNsBefore = this.cpuNsBefore;
    copy.syscallsBefore = this.syscallsBefore;
    return copy;
  }

  /** Nobody is there who would send more input. */
  endInput(): void {
    this.isInputOver = true;
    this.program?.streams.stdin.close();
  }

  /** Calls `listener` once, when it is over. */
  whenOver(listener: (end: RunEnd) => void): void {
    if (this.end) listener(this.end);
    else this.onEnd.push(listener);
  }

  /** More standard input, and perhaps its end; `taken` is called when not much waits to be read. */
  give(bytes: Uint8Array, isLast: boolean, taken: () => void): void {
    if (bytes.length > 0) this.input.push(bytes);
    this.isInputOver ||= isLast;
    this.givers.push(taken);
    if (this.program) this.feed(this.program);
    this.settle();
  }

  /** Its program reads what has come so far. */
  feed({ streams: { stdin } }: Program): void {
    for (const bytes of this.input.splice(0)) stdin.push(bytes);
    if (this.isInputOver) stdin.close();
  }

  /** Between slices: tells who waits for its output, or for room for more input. */
  settle(): void {
    this.tell();
    if (this.givers.length === 0) return;
    const waiting = this.end ? 0 : this.program ? this.program.streams.stdin.queuedBytes : this.input.reduce((sum, { length }) => sum + length, 0);
    if (waiting <= INPUT_BYTES) for (const taken of this.givers.splice(0)) taken();
  }

  /** Calls `answer` with the first piece behind a position, when there is one; with null when it is over and there is none. Throws OffshootError. */
  tail(from: LogPosition, answer: (piece: LogPiece | null) => void): void {
    if (this.tails.length >= TAILS_MAX) throw new OffshootError('busy', `${TAILS_MAX} readers wait for the output of this process already.`);
    this.tails.push({ from, answer });
    this.tell();
  }

  private tell(): void {
    if (this.tails.length === 0) return;
    this.tails = this.tails.filter(({ from, answer }) => {
      const piece = this.log?.after(from) ?? null;
      if (piece === null && !this.end) return true;
      answer(piece);
      return false;
    });
  }

  /** It is over, for `reason`, or because it was stopped. `isLost`: its interpreter ended. */
  finish(kernel: Kernel, reason: EndReason | null, isLost: boolean): void {
    if (this.end) return;
    this.outlet.flush();
    this.end = this.describe(kernel, reason, isLost);
    const listeners = this.onEnd;
    this.onEnd = [];
    for (const listener of listeners) listener(this.end);
    this.settle();
  }

  private describe(kernel: Kernel, reason: EndReason | null, isLost: boolean): RunEnd {
    const { process, stop, options: { timeoutMs, timeoutIsTenants = false, request } } = this;
    const execTimeMs = this.startedMs === 0 ? 0 : performance.now() - this.startedMs;
    const { limit, text: usual } = explainEnd(stop === null ? reason : null, stop, { ms: timeoutMs, isTenants: timeoutIsTenants });
    const text = this.stopText ?? usual;
    const isKilled = reason?.kind === 'signal';
    return {
      exitCode: limit === null && reason ? exitCodeOf(reason) : STOPPED_EXIT[limit ?? ''] ?? 130,
      signal: isKilled ? signalName(reason.signo) : null,
      limit, reason: isLost ? lostText(text, reason) : text, limitsMet: kernel.bounds.namesSince(this.metBefore),
      pooled: false, rewound: false, forkTimeMs: 0, execTimeMs, totalTimeMs: execTimeMs,
      begunMs: this.begunMs || hostClock.monotonicNs() / 1e6,
      cpuTimeMs: process ? Math.max(0, process.cpuNs + process.childrenCpuNs - this.cpuNsBefore) / 1e6 : 0,
      dirtyPages: null, syscalls: kernel.syscallCount - this.syscallsBefore, unimplemented: Object.fromEntries(kernel.unimplemented),
      ...(request.kind === 'cell' ? { contextLost: isLost, contextFresh: this.isFresh } : {}),
    };
  }
}

const NEXT = 'the next run of this context starts a new one';

function lostText(text: string | null, reason: EndReason | null): string {
  if (text !== null) return `${text.replace(/\.$/, '')}; the interpreter ended with it, and ${NEXT}.`;
  return `the interpreter ended${reason?.kind === 'exit' ? ` with exit code ${reason.code}` : ''}: ${NEXT}.`;
}
