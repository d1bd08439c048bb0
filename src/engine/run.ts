// One run as the caller sees it: its options, checked; its program sent to the worker that holds the sandbox; its input fed, its
// output gathered, its end awaited.

import { randomUUID } from 'node:crypto';
import { OffshootError } from './errors.ts';
import { below, guestPath } from './glob.ts';
import { HostFiles, type GivenFile } from './hostfiles.ts';
import { Pieces } from './pieces.ts';
import {
  COLLECT_FILES_MAX, PIECE_BYTES_MAX, RUN_LIMITS, type CollectOptions, type ForkOptions, type RunEnd, type RunLimits, type RunRequest,
} from './protocol.ts';
import { Serve } from './serve.ts';
import { cappedTimeout, type TenantOutput } from './tenantlimits.ts';
import type { WorkerClient } from './workerclient.ts';

/** Limits of one run. Passing one ends that run, or fails a call in it, and no other. */
export interface LimitInit {
  /** Wall clock in milliseconds; 0 or absent: none. Passing it ends the run (`limit: 'timeout'`). */
  readonly timeoutMs?: number;
  /** Processor time of all processes of the run, in milliseconds; 0 or absent: no limit. Passing it ends the run (`limit: 'cpu'`). */
  readonly cpuTimeMs?: number;
  /** Guest memory, template included. May only lower what the sandbox was forked with. */
  readonly memoryBytes?: number;
  /** stdout and stderr together; default 64 MiB. Passing it ends the run (`limit: 'output'`). */
  readonly outputBytes?: number;
  /** Processes and threads at a time; default 256, at most 4096. Beyond: EAGAIN. */
  readonly processes?: number;
  /** Open descriptors of one process; default 4096. Beyond: EMFILE. */
  readonly files?: number;
  /** Bytes in files the run writes; default 1 GiB. They count as memory too. Beyond: ENOSPC. */
  readonly diskBytes?: number;
  /** Files, directories and links it makes; default 1,048,576. Beyond: ENOSPC. */
  readonly inodes?: number;
  /**
   * What Offshoot keeps for it in its own memory, about: processes, mappings, open files, what waits in pipes and sockets, names; default 160 MiB,
   * from 1 MiB to 1 GiB. Passing it ends the run (`limit: 'kernel-memory'`).
   */
  readonly kernelMemoryBytes?: number;
}

/** Options of one run; everything is optional. */
export interface RunInit extends LimitInit {
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory in the sandbox; default /home/user. */
  readonly cwd?: string;
  /** sys.argv[1:]. */
  readonly args?: readonly string[];
  /** Name shown in tracebacks; default "<string>", as for `python3 -c`; "<stdin>" is as for `python3 -`. */
  readonly filename?: string;
  /** All of standard input, or pieces as they come; absent: empty. */
  readonly stdin?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /**
   * Files and directories it finds in its sandbox, by path there (relative ones from `cwd`): text, bytes, or something of the host
   * (`{ from, readOnly }`). Contents of the host's files are read when the program first opens them. Rejects with 'files-failed'.
   */
  readonly mounts?: Readonly<Record<string, GivenFile>>;
  /**
   * Files it leaves that are copied into the result, however it ended: paths in the sandbox, relative ones from `cwd`, with * and ? in
   * their components; directories with all that is in them. What was given and is unchanged is left out.
   */
  readonly collect?: readonly string[];
  /** All of them together; default 64 MiB, at most 1 GiB. What does not fit is in `notCollected`. */
  readonly collectBytes?: number;
  /** Called with output as it is produced. */
  readonly onStdout?: (bytes: Uint8Array) => unknown;
  readonly onStderr?: (bytes: Uint8Array) => unknown;
  /** True: the program waits when a megabyte of its output is under way, until the promises that onStdout and onStderr returned are fulfilled. */
  readonly paced?: boolean;
  /** Counts the pages the run makes its own (`dirtyPages`): some 0.1 ms. */
  readonly countPages?: boolean;
  /** Called with one line for each system call, as `strace -f` prints it. */
  readonly onTrace?: (text: string) => void;
  /** False: output is only streamed, `stdout` and `stderr` of the result stay empty. */
  readonly capture?: boolean;
  /** Ends the run; its result then has limit 'cancelled' and what was printed so far. */
  readonly signal?: CancelSignal;
}

/** What cancels a run: an AbortSignal, or something that does as much of one. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** What a run returns, however it ended. */
export interface RunResult extends Omit<RunEnd, 'begunMs'> {
  readonly id: string;
  readonly template: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly timedOut: boolean;
  /** From the call to the program's first instruction: waiting for a worker, the way there, making the VM. */
  readonly waitTimeMs: number;
  /** What `collect` found, by path in the sandbox. */
  readonly collected: ReadonlyMap<string, Buffer>;
  /** What it found and did not take, and why: "is a symbolic link". */
  readonly notCollected: readonly { readonly path: string; readonly reason: string }[];
}

/** A run that has been checked and can be sent. */
export interface PreparedRun {
  readonly request: RunRequest;
  readonly init: RunInit;
  readonly limits: RunLimits;
  /** When it was asked for: CLOCK_MONOTONIC. */
  readonly askedMs: number;
  /** What it costs to keep it waiting. */
  readonly sizeBytes: number;
  readonly cwd: string;
  readonly collect: CollectOptions | null;
}

/** A program that makes more cannot be ended in time: each is a turn of its worker. */
const PROCESSES_MAX = 4096;
const MEMORY_BYTES_MAX = 2 ** 32;
const MEMORY_BYTES_MIN = 16 << 20;
const KERNEL_MEMORY_BYTES_MIN = 1 << 20, KERNEL_MEMORY_BYTES_MAX = 1 << 30;
const COLLECT_BYTES = 64 << 20;
const COLLECT_BYTES_MAX = 1 << 30;
/** Code, arguments and environment of one run. */
const REQUEST_BYTES_MAX = 16 << 20;
/** What Python has in sys.argv[0] for programs that are no file. */
const ARGV0: Readonly<Record<string, string>> = { '<string>': '-c', '<stdin>': '-' };
/** Problems with files to copy out that a result names. */
const NOT_COLLECTED_MAX = 100;
const NO_CODE: Uint8Array = new Uint8Array();
const NO_FILES = new HostFiles();

/** Python source, run as `python3 FILE` would. */
export function pythonProgram(code: string | Uint8Array, init: RunInit): RunRequest {
  const filename = init.filename ?? '<string>';
  const slash = filename.lastIndexOf('/');
  return {
    kind: 'code', code: typeof code === 'string' ? Buffer.from(code) : code, filename, argv: [ARGV0[filename] ?? filename, ...(init.args ?? [])],
    path0: filename in ARGV0 ? '' : slash > 0 ? filename.slice(0, slash) : '/home/user',
  };
}

/** A program of the image. Throws OffshootError. */
export function execProgram(argv: readonly string[]): RunRequest {
  if (argv.length === 0) throw new OffshootError('bad-argument', 'exec needs a command.');
  return { kind: 'exec', argv };
}

/** Checks a run of a sandbox that has `memoryBytes`. Throws OffshootError 'bad-argument'. */
export function prepareRun(request: RunRequest, init: RunInit, memoryBytes: number): PreparedRun {
  const limits = checkedLimits(init, memoryBytes);
  if (limits.memoryBytes > memoryBytes) {
    throw new OffshootError('bad-argument', 'memoryBytes may not pass what the sandbox was forked with: give it to fork().');
  }
  const texts = [...request.argv, ...Object.entries(init.env ?? {}).flat(), init.cwd ?? ''];
  const sizeBytes = checkedSize(texts, request.kind === 'code' ? request.code : NO_CODE);
  const cwd = init.cwd ?? '/home/user';
  return { request, init, limits, askedMs: monotonicMs(), sizeBytes, cwd, collect: collectOptions(init, cwd) };
}

/** Bytes of a request. Throws OffshootError 'bad-argument' when there are too many. */
export function checkedSize(texts: readonly string[], code: Uint8Array): number {
  const sizeBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), code.length);
  if (sizeBytes > REQUEST_BYTES_MAX) {
    throw new OffshootError('bad-argument', 'The program with its arguments and environment is larger than 16 MiB.');
  }
  return sizeBytes;
}

/** All limits. Throws OffshootError 'bad-argument'. */
export function checkedLimits(init: LimitInit, memoryBytes: number): RunLimits {
  return {
    timeoutMs: number(init, 'timeoutMs', 0), cpuTimeMs: number(init, 'cpuTimeMs', 0),
    memoryBytes: init.memoryBytes === undefined ? memoryBytes : number(init, 'memoryBytes', 1), outputBytes: number(init, 'outputBytes', 0),
    processes: whole(init, 'processes', 1, PROCESSES_MAX), files: whole(init, 'files', 8),
    diskBytes: number(init, 'diskBytes', 0), inodes: whole(init, 'inodes', 0),
    kernelMemoryBytes: number(init, 'kernelMemoryBytes', KERNEL_MEMORY_BYTES_MIN, KERNEL_MEMORY_BYTES_MAX),
  };
}

function collectOptions({ collect = [], collectBytes: bytesMax = COLLECT_BYTES }: RunInit, cwd: string): CollectOptions | null {
  if (typeof bytesMax !== 'number' || !(bytesMax >= 0 && bytesMax <= COLLECT_BYTES_MAX)) {
    throw new OffshootError('bad-argument', 'collectBytes must be a number from 0 to 1 GiB.');
  }
  return collect.length === 0 ? null : { patterns: collect.map((pattern) => guestPath(pattern, cwd)), bytesMax };
}

/** CLOCK_MONOTONIC, which all processes share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The memory limit of a fork; `usual` is its template's, 0 for the default. Throws OffshootError 'bad-argument'. */
export function checkedMemory(asked: number | undefined, usual: number): number {
  const memoryBytes = asked ?? (usual || RUN_LIMITS.memoryBytes);
  if (memoryBytes >= MEMORY_BYTES_MIN && memoryBytes <= MEMORY_BYTES_MAX) return memoryBytes;
  throw new OffshootError('bad-argument', 'memoryBytes must be between 16 MiB and 4 GiB.');
}

/** A limit out of the options, or its default. Throws OffshootError 'bad-argument'. */
export function number(init: LimitInit, name: keyof RunLimits, min: number, max = Infinity): number {
  const value = init[name] ?? RUN_LIMITS[name];
  if (typeof value !== 'number' || !(value >= min && value < Infinity)) throw new OffshootError('bad-argument', `${name} must be a number from ${min}.`);
  if (value > max) throw new OffshootError('bad-argument', `${name} must be at most ${max}.`);
  return value;
}

function whole(init: LimitInit, name: keyof RunLimits, min: number, max = Infinity): number {
  const value = number(init, name, min, max);
  if (!Number.isInteger(value)) throw new OffshootError('bad-argument', `${name} must be a whole number.`);
  return value;
}

/** A sandbox in a worker. */
export interface SandboxPlace {
  readonly worker: WorkerClient;
  readonly number: number;
  readonly id: string;
  readonly template: string;
  /** Environment of its programs. */
  readonly env: Readonly<Record<string, string>>;
  /** What its tenant's runs print. */
  readonly output: TenantOutput;
  /** The longest that one of them may take. */
  readonly timeoutMsMax: number;
}

/** Sends the run and waits for its end. With `fork` the sandbox is made for it, and closed after it. Rejects when the worker is lost. */
export async function performRun(place: SandboxPlace, run: PreparedRun, fork?: ForkOptions): Promise<RunResult> {
  const { worker, number: sandbox } = place;
  const { init, limits, request, cwd, collect } = run;
  const given = init.mounts ? await HostFiles.list(init.mounts, cwd) : NO_FILES;
  const output = new Gathered(place, run, () => worker.post({ type: 'cancel', sandbox, why: 'output' }), given);
  const cancel = (): void => worker.post({ type: 'cancel', sandbox });
  init.signal?.addEventListener('abort', cancel, { once: true });
  const { timeoutMs, ...capped } = cappedTimeout(limits, place);
  const header = request.kind === 'code' ? { ...request, code: NO_CODE } : request;
  const options = {
    request: header, limits: { ...limits, timeoutMs }, ...capped, env: { ...place.env, ...init.env }, cwd, strace: init.onTrace !== undefined,
    countPages: init.countPages ?? false, ...(init.paced ? { paced: true } : {}), ...(init.stdin === undefined ? { noStdin: true } : {}),
    ...(given.listings.length > 0 ? { given: given.listings } : {}), ...(collect ? { collect } : {}),
  };
  try {
    const ending = worker.call({ type: 'run', sandbox, options, ...(fork ? { fork } : {}) }, request.kind === 'code' ? request.code : NO_CODE);
    if (init.stdin !== undefined) {
      void feed(init.stdin, (bytes, last) => new Promise<void>((sent) => worker.post({ type: 'stdin', sandbox, last }, bytes, sent)));
    }
    if (init.signal?.aborted) cancel();
    return resultOf(place, await ending, run.askedMs, output);
  } finally {
    init.signal?.removeEventListener('abort', cancel);
    worker.detach(sandbox);
    output.release();
  }
}

/** A run's result. */
export function resultOf(place: SandboxPlace, { begunMs, ...end }: RunEnd, askedMs: number, output: RunOutput): RunResult {
  const { stdout, stderr, collected, notCollected } = output;
  return {
    id: place.id, template: place.template, ...end, waitTimeMs: Math.max(0, begunMs - askedMs), timedOut: end.limit === 'timeout',
    stdout: Buffer.concat([...stdout]), stderr: Buffer.concat([...stderr]), collected: collected ?? new Map(), notCollected: notCollected ?? [],
  };
}

/** What a run left: pieces of what it printed, and files copied out. */
interface RunOutput extends Partial<Pick<RunResult, 'collected' | 'notCollected'>> {
  readonly stdout: Iterable<Buffer>;
  readonly stderr: Iterable<Buffer>;
}

/** The result of a run that was cancelled before it began. */
export function cancelledRun(template: string): RunResult {
  return {
    id: randomUUID(), template, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), exitCode: 130, signal: null, timedOut: false,
    limit: 'cancelled', reason: 'cancelled before it began.', limitsMet: [], pooled: false, rewound: false,
    forkTimeMs: 0, execTimeMs: 0, totalTimeMs: 0, waitTimeMs: 0, cpuTimeMs: 0, dirtyPages: null, syscalls: 0, unimplemented: {},
    collected: new Map(), notCollected: [],
  };
}

/** What a run prints. More than its limit can only come from a worker that does not hold to it. */
export class Gathered {
  readonly stdout = new Pieces();
  readonly stderr = new Pieces();
  readonly collected = new Map<string, Buffer>();
  readonly notCollected: { path: string; reason: string }[] = [];
  private readonly pieces: Buffer[] = [];
  private leftBytes: number;
  /** What its tenant's runs print, and how much of that is this run's. */
  private readonly together: TenantOutput;
  private takenBytes = 0;
  private isPassed = false;
  private readonly passed: () => void;

  /** `passed`: ends the run, because its tenant's runs have printed too much. */
  constructor(
    { worker, number: sandbox, output }: Pick<SandboxPlace, 'worker' | 'number' | 'output'>,
    { init, limits, collect }: Pick<PreparedRun, 'init' | 'collect'> & { readonly limits: Pick<RunLimits, 'outputBytes'> },
    passed: () => void, given: HostFiles = NO_FILES,
  ) {
    this.together = output;
    this.passed = passed;
    this.leftBytes = collect?.bytesMax ?? 0;
    const serve = new Serve(worker, sandbox, given);
    let leftBytes = limits.outputBytes;
    worker.attach(sandbox, {
      output: (stream, came) => {
        leftBytes -= came.length;
        if (leftBytes < 0) return worker.fail('it sent more output than a run may have');
        const bytes = this.within(came);
        if (bytes.length > 0 && init.capture !== false) this[stream === 1 ? 'stdout' : 'stderr'].push(bytes);
        const taking = bytes.length === 0 ? undefined : stream === 1 ? init.onStdout?.(bytes) : init.onStderr?.(bytes);
        if (!init.paced) return;
        const taken = (): void => worker.post({ type: 'taken', sandbox, bytes: came.length });
        if (taking instanceof Promise) taking.then(taken, taken);
        else taken();
      },
      trace: (text) => text.split(/(?<=\n)/).forEach((line) => init.onTrace?.(line)),
      want: (tree, entry) => serve.want(tree, entry),
      file: (path, bytes, last, problem) => {
        const wrong = collect ? this.file(collect, path, bytes, last, problem) : 'it sent files nobody asked for';
        if (wrong !== null) worker.fail(wrong);
      },
    });
  }

  /** As much as its tenant's runs may still print; the rest, and all that comes after it, is dropped. */
  private within(bytes: Uint8Array): Uint8Array {
    const taken = this.isPassed ? 0 : this.together.take(bytes.length);
    this.takenBytes += taken;
    if (taken === bytes.length) return bytes;
    if (!this.isPassed) this.passed();
    this.isPassed = true;
    return bytes.subarray(0, taken);
  }

  /** The run is over. */
  release(): void {
    this.together.give(this.takenBytes);
    this.takenBytes = 0;
  }

  /** A piece of a file that is copied out; returns what is wrong with it. */
  private file({ patterns }: CollectOptions, path: string, bytes: Uint8Array, last: boolean, problem: string | null): string | null {
    if (this.collected.size > COLLECT_FILES_MAX) return 'it sent more files than a run may leave';
    if (problem !== null) {
      if (this.notCollected.length < NOT_COLLECTED_MAX) this.notCollected.push({ path, reason: problem });
      return null;
    }
    if (bytes.length === 0 && !last) return 'it sent a piece of a file with nothing in it'; // for ever, it might
    this.leftBytes -= bytes.length;
    if (this.leftBytes < 0) return 'it sent more than may be copied out';
    if (!patterns.some((pattern) => below(pattern, path) !== null)) return 'it sent a file nobody asked for';
    this.pieces.push(Buffer.from(bytes));
    if (last) this.collected.set(path, Buffer.concat(this.pieces.splice(0)));
    return null;
  }
}

/** Sends all of standard input: `send` a piece, or, as the last, nothing; it resolves when more may be sent. */
export async function feed(stdin: RunInit['stdin'], send: (bytes: Uint8Array, last: boolean) => Promise<unknown>): Promise<void> {
  const push = async (bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) await send(bytes.subarray(at, at + PIECE_BYTES_MAX), false);
  };
  if (typeof stdin === 'string') await push(Buffer.from(stdin));
  else if (stdin instanceof Uint8Array) await push(stdin);
  else if (stdin) {
    try {
      for await (const piece of stdin) await push(piece);
    } catch { /* a source that fails, or is closed when the run is over, ends there */ }
  }
  await send(NO_CODE, true);
}
