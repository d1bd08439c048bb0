// Messages between the caller's process and a worker process (channel.ts): JSON headers; code, input, output and traces travel as
// bytes behind them. Requests carry `call`; the worker answers each once, with the type of answer that belongs to it.

import { DEFAULT_LIMITS } from '../kernel/limits.ts';
import type { Counted } from '../kernel/errnolimits.ts';
import type { TemplateHeader } from './templatefile.ts';

/** A worker's descriptor for its end of the channel (channel.ts). */
export const CHANNEL_FD = 3;
/** A worker's descriptor for the socket on which open files come (host/descriptors.ts). */
export const HANDOVER_FD = 4;

/** Limits of one run. */
export interface RunLimits {
  /** Wall clock from the start of the run; 0 for none. */
  readonly timeoutMs: number;
  /** Processor time of all its processes; 0 for no limit. */
  readonly cpuTimeMs: number;
  /** Guest-physical memory, template included. */
  readonly memoryBytes: number;
  /** stdout and stderr together. */
  readonly outputBytes: number;
  /** Tasks (threads of all processes) alive or not yet waited for. */
  readonly processes: number;
  /** Open descriptors of one process. */
  readonly files: number;
  /** Bytes in the writable file systems. */
  readonly diskBytes: number;
  /** Files, directories and links made in the writable file systems. */
  readonly inodes: number;
  /** Our own memory for it: kernel/kernelmemory.ts. */
  readonly kernelMemoryBytes: number;
}

/** What a run may use when nobody says otherwise. */
export const RUN_LIMITS: RunLimits = {
  timeoutMs: 0, cpuTimeMs: 0, memoryBytes: 512 << 20, outputBytes: 64 << 20, processes: DEFAULT_LIMITS.processesMax,
  files: DEFAULT_LIMITS.filesMax, diskBytes: DEFAULT_LIMITS.diskBytesMax, inodes: DEFAULT_LIMITS.inodesMax,
  kernelMemoryBytes: DEFAULT_LIMITS.kernelMemoryMax,
};

/** Pages of our own memory count after each slice; of the others there is no more than there may be at any time. */
export type TenantCount = Counted | 'kernelPages';
/** What a tenant's sandboxes have together is counted in a table that its workers share: the columns, in their order. */
export const COUNTED: readonly TenantCount[] = ['diskPages', 'inodes', 'processes', 'files', 'kernelPages'];
/** A worker's row: a 32-bit count for each column. */
export const ROW_BYTES = 4 * COUNTED.length;

/** A worker's part in the table of its tenant. */
export interface Account {
  readonly rows: number;
  readonly row: number;
  /** What the tenant may have of each; absent: any number. */
  readonly limits: Readonly<Partial<Record<TenantCount, number>>>;
}

export type RunRequest =
  /** The code travels as the message's bytes and is empty in the header. */
  | { readonly kind: 'code'; readonly code: Uint8Array; readonly filename: string; readonly argv: readonly string[]; readonly path0: string }
  | { readonly kind: 'exec'; readonly argv: readonly string[] };

/** A tree of the host as a run sees it: columns, one element per entry, in the order of kernel/fs/imageindex.ts. Names are byte strings. */
export interface GivenListing {
  readonly path: string;
  readonly isReadOnly: boolean;
  readonly isFile: boolean;
  readonly parent: readonly number[];
  readonly name: readonly string[];
  readonly mode: readonly number[];
  readonly sizeBytes: readonly number[];
  readonly mtimeMs: readonly number[];
  readonly target: readonly string[];
}

/** What to copy out when a run has ended. */
export interface CollectOptions {
  /** Of glob.ts; absolute. */
  readonly patterns: readonly string[];
  /** All files together. */
  readonly bytesMax: number;
}

/** Most files one run may copy out. */
export const COLLECT_FILES_MAX = 10_000;

/** What all programs of a stateful sandbox have and share. */
export interface StatefulOptions {
  /** `timeoutMs` and `outputBytes` are those of each run instead. */
  readonly limits: RunLimits;
  readonly env: Readonly<Record<string, string>>;
}

/** What an interpreter starts with. */
export interface ContextInit {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** One run, or program, of a stateful sandbox. */
export interface ProgramOptions {
  readonly request:
    /** Python for the interpreter of a context. The code travels as the message's bytes. */
    | { readonly kind: 'cell'; readonly context: string; readonly filename: string; readonly argv: readonly string[] | null }
    | { readonly kind: 'exec'; readonly argv: readonly string[]; readonly isBackground: boolean };
  /** Of a program; what a cell has besides its interpreter's own. */
  readonly env: Readonly<Record<string, string>>;
  /** Null: where the interpreter is; the home directory for a program. */
  readonly cwd: string | null;
  /** From its start, not while it waits for others of its context; 0 for none. */
  readonly timeoutMs: number;
  /** It is the longest that a run of its tenant may take. */
  readonly timeoutIsTenants?: boolean;
  readonly outputBytes: number;
  readonly hasStdin: boolean;
  readonly paced?: boolean;
}

/** A file or directory, as stat(2) sees it. */
export interface FileEntry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device';
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly mtimeMs: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a symbolic link. */
  readonly target: string | null;
  /** Of a file with several names: the same for all of them. */
  readonly sameAs?: string;
}

/** What can be done with a sandbox's files: each is a bounded piece of work. */
export type FileOperation =
  /** Opens a file and reads its first bytes; `handle` is for the rest unless `isEnd`. */
  | { readonly kind: 'open'; readonly path: string; readonly offset: number; readonly length: number }
  | { readonly kind: 'read'; readonly handle: number; readonly length: number }
  /** Makes or empties a file and writes the message's bytes. `mode` null: 0666 without the umask. */
  | { readonly kind: 'create'; readonly path: string; readonly mode: number | null; readonly append: boolean; readonly isLast: boolean }
  | { readonly kind: 'write'; readonly handle: number; readonly isLast: boolean }
  | { readonly kind: 'close'; readonly handle: number }
  | { readonly kind: 'stat'; readonly path: string; readonly follow: boolean }
  /** Entries behind `cookie`, 0 at first. */
  | { readonly kind: 'list'; readonly path: string; readonly cookie: number }
  | { readonly kind: 'mkdir'; readonly path: string; readonly recursive: boolean }
  | { readonly kind: 'move'; readonly from: string; readonly to: string }
  /** A symbolic link, or another name of a file; the link itself, where `from` is one. */
  | { readonly kind: 'symlink'; readonly target: string; readonly path: string }
  | { readonly kind: 'link'; readonly from: string; readonly path: string }
  /** Ask again until `isEnd`. */
  | { readonly kind: 'remove'; readonly path: string; readonly recursive: boolean };

/** What a file operation found; unused fields are empty. */
export interface FileAnswer {
  readonly handle: number;
  /** There is no more, and the handle is closed. */
  readonly isEnd: boolean;
  readonly entries: readonly FileEntry[];
  readonly cookie: number;
}

/** What a stateful sandbox uses now. */
export interface SandboxStats {
  /** Guest memory in use, its files and its share of the template included. */
  readonly memoryBytes: number;
  /** Of that, files it wrote. */
  readonly diskBytes: number;
  /** Our own memory for it, about; no part of `memoryBytes`. */
  readonly kernelMemoryBytes: number;
  /** Its processes, and their threads, without what it keeps for new interpreters. */
  readonly processes: number;
  readonly threads: number;
  /** Processor time of all programs so far. */
  readonly cpuTimeMs: number;
  /** Those that the kernel answered: what the machine answers itself (vmm/answers.ts) is in no count. */
  readonly syscalls: number;
}

export interface RunOptions {
  readonly request: RunRequest;
  readonly given?: readonly GivenListing[];
  readonly collect?: CollectOptions;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly limits: RunLimits;
  /** Its `timeoutMs` is the longest that a run of its tenant may take. */
  readonly timeoutIsTenants?: boolean;
  readonly strace: boolean;
  /** Standard input is empty: no `stdin` messages follow. */
  readonly noStdin?: boolean;
  /** The caller says what it has taken of the output (`taken`): it is held back meanwhile. */
  readonly paced?: boolean;
  /** Count the pages the run made its own: some 0.1 ms. */
  readonly countPages: boolean;
}

/** Why a run ended when it was not by the program itself. */
export type LimitReached = 'timeout' | 'cpu' | 'memory' | 'kernel-memory' | 'output' | 'cancelled' | 'kernel-bug' | null;

/** How a run ended. */
export interface RunEnd {
  /** The program's exit code; 128+n when signal n ended it; 124 on timeout. */
  readonly exitCode: number;
  /** Name of the signal that ended it ("SIGSEGV"), or null. */
  readonly signal: string | null;
  readonly limit: LimitReached;
  /** One sentence when `limit` is set. */
  readonly reason: string | null;
  /**
   * Limits that its calls ran into, and that are an errno: 'processes', 'files', 'diskBytes', 'inodes'; 'tenant.' and the same for those of
   * its tenant. Of a stateful sandbox: during the run, by whatever ran there.
   */
  readonly limitsMet: readonly string[];
  /** The VM was there already and waited for a request. */
  readonly pooled: boolean;
  /** The VM ran something else before and was rewound (only with `reuse`). If not, it never ran anything but this. */
  readonly rewound: boolean;
  /** Making the VM, as far as the run waited for it. */
  readonly forkTimeMs: number;
  readonly execTimeMs: number;
  readonly totalTimeMs: number;
  /** When it first got the processor: milliseconds of CLOCK_MONOTONIC, which caller and worker share. */
  readonly begunMs: number;
  /** Processor time of all its processes, with what our kernel spent for them. */
  readonly cpuTimeMs: number;
  /** Pages of 4 KB that the run made its own; null unless `countPages`, or with `reuse`. */
  readonly dirtyPages: number | null;
  /** Those that the kernel answered: what the machine answers itself (vmm/answers.ts) is in no count. */
  readonly syscalls: number;
  readonly unimplemented: Readonly<Record<string, number>>;
  /** Of a run in a context: its interpreter ended with it; the next run starts another. */
  readonly contextLost?: boolean;
  /** Of a run in a context: the first of its interpreter. */
  readonly contextFresh?: boolean;
}

/** Progress of building an image or a template. */
export interface Progress {
  readonly phase: string;
  readonly message: string;
  readonly done: number;
  readonly total: number;
}

/** One privilege a worker gives up (engine/confine.ts). */
export interface Confinement {
  readonly name: string;
  /** False: this host does not know or permit it; `detail` says why. */
  readonly on: boolean;
  readonly detail: string;
}

/** The self-test's findings (vmm/selftest.ts), and what confines the worker that made them. */
export interface SelfTestReport {
  /** 'pvm': shadow page tables, no hardware virtualization; 'hardware': VT-x or AMD-V. */
  readonly kind: string;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
  readonly confinement: readonly Confinement[];
}

/** What a sandbox is forked from, and with. */
export interface ForkOptions {
  readonly template: string;
  readonly memoryBytes: number;
  /** A VM forked in advance will do. */
  readonly pooled: boolean;
  /** A VM that ran before and was rewound will do, and this one may be. */
  readonly reuse: boolean;
  /** Many runs in one sandbox. */
  readonly stateful?: StatefulOptions;
}

/** Requests: each is answered once. */
export type Request =
  /** Three descriptors came before it: template file, image index, image blob. Answer: `fits`. */
  | { readonly type: 'template'; readonly header: TemplateHeader; readonly indexBytes: number }
  /** The descriptor of the table came before it. Answer: `done`. */
  | { readonly type: 'account'; readonly account: Account }
  /** Answer: `done`. */
  | { readonly type: 'fork'; readonly sandbox: number; readonly fork: ForkOptions }
  /** Answer: `end`. Bytes: the code. With `fork`: in a sandbox forked for this run and closed after it. */
  | { readonly type: 'run'; readonly sandbox: number; readonly options: RunOptions; readonly fork?: ForkOptions }
  /** In a stateful sandbox. Answer: `end`, or `started` for a background program. Bytes: the code. `number`: in messages about it, as `sandbox`. */
  | { readonly type: 'program'; readonly sandbox: number; readonly number: number; readonly options: ProgramOptions }
  /** Bytes: more standard input of a run or program; `last`: its end. Answer: `done`, when not much of it waits to be read. */
  | { readonly type: 'input'; readonly sandbox: number; readonly number: number; readonly last: boolean }
  /** Answer: `end`, when a background program is over. */
  | { readonly type: 'await'; readonly sandbox: number; readonly number: number }
  /** A signal for a program and its process group. Answer: `signalled`. */
  | { readonly type: 'signal'; readonly sandbox: number; readonly number: number; readonly signo: number }
  /** Answer: `tail`: what a background program printed behind a position, when there is something or it is over. */
  | { readonly type: 'tail'; readonly sandbox: number; readonly number: number; readonly stdout: number; readonly stderr: number }
  /** Answer: `done`. `init` null: the context is closed. */
  | { readonly type: 'context'; readonly sandbox: number; readonly context: string; readonly init: ContextInit | null }
  /** Answer: `files`. Bytes: what is written. */
  | { readonly type: 'files'; readonly sandbox: number; readonly operation: FileOperation }
  /** Answer: `measured`. */
  | { readonly type: 'measure'; readonly sandbox: number }
  /** Copies of a stateful sandbox as it stands, with these numbers: all or none. Answer: `done`. */
  | { readonly type: 'branch'; readonly sandbox: number; readonly branches: readonly number[] }
  /** Answer: `selftest`. */
  | { readonly type: 'selftest' };

/** Messages without an answer. */
export type Notice =
  /** Bytes: more standard input; `last`: its end. */
  | { readonly type: 'stdin'; readonly sandbox: number; readonly last: boolean }
  /** Bytes: the next piece of a file the sandbox asked for; `last`: its end; `errno`: the name of why there is none. */
  | { readonly type: 'content'; readonly sandbox: number; readonly tree: number; readonly entry: number; readonly last: boolean; readonly errno: string | null }
  /** `why` 'output': its tenant's runs have printed too much together. */
  | { readonly type: 'cancel'; readonly sandbox: number; readonly why?: 'output' }
  /** So much of a paced run's output has been taken. */
  | { readonly type: 'taken'; readonly sandbox: number; readonly bytes: number }
  | { readonly type: 'close'; readonly sandbox: number }
  /** A program or run of a stateful sandbox is given up; `why` as in `cancel`. */
  | { readonly type: 'stop'; readonly sandbox: number; readonly number: number; readonly why?: 'output' }
  /** The host's memory is short: end the biggest sandbox. */
  | { readonly type: 'shed' }
  /** What its sandboxes may use together from now on, of one processor; 1 and more: no limit. */
  | { readonly type: 'share'; readonly share: number };

export type ToWorker = (Request & { readonly call: number }) | Notice;

/** Answers. */
export type Answer =
  | { readonly type: 'done'; readonly call: number }
  /** False: the template does not fit this host's processor and must be built again. */
  | { readonly type: 'fits'; readonly call: number; readonly fits: boolean }
  | { readonly type: 'end'; readonly call: number; readonly end: RunEnd }
  /** A background program runs. */
  | { readonly type: 'started'; readonly call: number; readonly pid: number }
  | { readonly type: 'signalled'; readonly call: number; readonly isAlive: boolean }
  /** Bytes: a piece of `stream` from position `at` on. `stream` 0: it is over, and there is no more. */
  | { readonly type: 'tail'; readonly call: number; readonly stream: 0 | 1 | 2; readonly at: number }
  /** Bytes: what was read. */
  | { readonly type: 'files'; readonly call: number; readonly answer: FileAnswer }
  | { readonly type: 'measured'; readonly call: number; readonly stats: SandboxStats }
  | { readonly type: 'selftest'; readonly call: number; readonly report: SelfTestReport }
  /** `errno`: of a 'file-error'. */
  | { readonly type: 'error'; readonly call: number; readonly code: string; readonly message: string; readonly errno?: string };

export type FromWorker =
  | Answer
  /** Bytes: what was printed. */
  | { readonly type: 'output'; readonly sandbox: number; readonly stream: 1 | 2 }
  /** It opens a file it was given: `content` is wanted. */
  | { readonly type: 'want'; readonly sandbox: number; readonly tree: number; readonly entry: number }
  /** Bytes: the next piece of a file copied out; `problem`: why it is not. */
  | { readonly type: 'file'; readonly sandbox: number; readonly path: string; readonly last: boolean; readonly problem: string | null }
  /** Memory that its sandboxes share with their branches, and that no process is seen to have. */
  | { readonly type: 'layers'; readonly bytes: number }
  /** Bytes: lines of the trace. */
  | { readonly type: 'trace'; readonly sandbox: number }
  /** A stateful sandbox is over, by a limit or a failure. */
  | { readonly type: 'over'; readonly sandbox: number; readonly limit: LimitReached; readonly reason: string };

/** The longest message a worker may send. */
export const FROM_WORKER_BYTES_MAX = 1 << 20;
/** Bytes of output, trace or input in one message. */
export const PIECE_BYTES_MAX = 256 << 10;
/** The longest message a worker takes. */
export const TO_WORKER_BYTES_MAX = 2 ** 28;
