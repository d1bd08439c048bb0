// A sandbox as the caller holds it: one forked VM in a worker process. Runs one program, streams its output, is closed.

import { OffshootError } from './errors.ts';
import type { LimitReached, RunEnd, RunLimits, RunRequest } from './protocol.ts';
import { ENVIRONMENT } from './spec.ts';
import type { WorkerClient } from './workerclient.ts';

/** Options of one run; everything is optional. */
export interface RunInit {
  /** Wall clock in milliseconds; 0 or absent: none. */
  readonly timeoutMs?: number;
  /** Guest memory, template included. May only lower what the sandbox was forked with. */
  readonly memoryBytes?: number;
  /** stdout and stderr together; default 64 MiB. */
  readonly outputBytes?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory in the sandbox; default /home/user. */
  readonly cwd?: string;
  /** sys.argv[1:]. */
  readonly args?: readonly string[];
  /** Name shown in tracebacks; default "<string>", as for `python3 -c`; "<stdin>" is as for `python3 -`. */
  readonly filename?: string;
  /** All of standard input, or pieces as they come; absent: empty. */
  readonly stdin?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /** Called with output as it is produced. */
  readonly onStdout?: (bytes: Uint8Array) => void;
  readonly onStderr?: (bytes: Uint8Array) => void;
  /** One line per system call, as `strace -f` prints it. */
  readonly onTrace?: (text: string) => void;
  /** False: output is only streamed, `stdout` and `stderr` of the result stay empty. */
  readonly capture?: boolean;
  /** Ends the run; its result then has limit 'cancelled' and what was printed so far. */
  readonly signal?: AbortSignal;
}

/** What a run returns, however it ended. */
export interface RunResult {
  readonly id: string;
  readonly template: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** The program's exit code; 128+n when signal n ended it; 124 on timeout. */
  readonly exitCode: number;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly limit: LimitReached;
  readonly reason: string | null;
  /** The VM had been forked in advance and waited for a request. It never ran anything else either way. */
  readonly pooled: boolean;
  /** Making the VM, as far as the run waited for it. */
  readonly forkTimeMs: number;
  readonly execTimeMs: number;
  readonly totalTimeMs: number;
  readonly dirtyPages: number;
  readonly syscalls: number;
  readonly unimplemented: Readonly<Record<string, number>>;
}

const OUTPUT_BYTES = 64 << 20;
const REQUEST_BYTES_MAX = 16 << 20;
/** What Python has in sys.argv[0] for programs that are no file. */
const ARGV0: Readonly<Record<string, string>> = { '<string>': '-c', '<stdin>': '-' };

/** One forked VM. Made by `Template.fork()`. Runs one program in its life: fork again for the next. */
export class Sandbox {
  /** Unique among all sandboxes ever. */
  readonly id: string;
  private readonly number: number;
  private readonly worker: WorkerClient;
  private readonly template: string;
  private readonly memoryBytes: number;
  private used = false;
  private closed = false;

  constructor(worker: WorkerClient, number: number, id: string, template: string, memoryBytes: number) {
    this.worker = worker;
    this.number = number;
    this.id = id;
    this.template = template;
    this.memoryBytes = memoryBytes;
  }

  /** Runs Python source as `python3 FILE` would. Rejects only for bad arguments or a lost worker, never for what the code does. */
  run(code: string | Uint8Array, init: RunInit = {}): Promise<RunResult> {
    const filename = init.filename ?? '<string>';
    const slash = filename.lastIndexOf('/');
    return this.start({
      kind: 'code', code: typeof code === 'string' ? Buffer.from(code) : code, filename,
      argv: [ARGV0[filename] ?? filename, ...(init.args ?? [])],
      path0: filename in ARGV0 ? '' : slash > 0 ? filename.slice(0, slash) : '/home/user',
    }, init);
  }

  /** Runs a program of the image instead of Python: `argv[0]` is looked up in PATH. */
  exec(argv: readonly string[], init: RunInit = {}): Promise<RunResult> {
    if (argv.length === 0) return Promise.reject(new OffshootError('bad-argument', 'exec needs a command.'));
    return this.start({ kind: 'exec', argv }, init);
  }

  /** Ends the sandbox and gives its memory back. Safe to call twice. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.worker.detach(this.number);
    this.worker.post({ type: 'close', sandbox: this.number });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async start(request: RunRequest, init: RunInit): Promise<RunResult> {
    if (this.closed) throw new OffshootError('sandbox-ended', 'This sandbox is closed.');
    if (this.used) throw new OffshootError('sandbox-ended', 'This sandbox has run its program: fork another.');
    const limits = this.limits(init);
    checkSize(request, init);
    this.used = true;
    const output = collect(this.worker, this.number, init);
    const cancel = (): void => this.worker.post({ type: 'cancel', sandbox: this.number });
    init.signal?.addEventListener('abort', cancel, { once: true });
    const options = {
      request, limits, env: { ...ENVIRONMENT, ...init.env }, cwd: init.cwd ?? '/home/user', strace: init.onTrace !== undefined,
    };
    try {
      const ending = this.worker.call({ type: 'run', sandbox: this.number, options }) as Promise<RunEnd>;
      void this.feed(init.stdin);
      if (init.signal?.aborted) cancel();
      const end = await ending;
      return {
        id: this.id, template: this.template, ...end, timedOut: end.limit === 'timeout',
        stdout: Buffer.concat(output.stdout), stderr: Buffer.concat(output.stderr),
      };
    } finally {
      init.signal?.removeEventListener('abort', cancel);
      this.worker.detach(this.number);
    }
  }

  private limits(init: RunInit): RunLimits {
    const memoryBytes = init.memoryBytes ?? this.memoryBytes;
    const timeoutMs = init.timeoutMs ?? 0;
    if (!(timeoutMs >= 0)) throw new OffshootError('bad-argument', 'timeoutMs must be 0 or more.');
    if (memoryBytes > this.memoryBytes) {
      throw new OffshootError('bad-argument', 'memoryBytes may not pass what the sandbox was forked with: give it to fork().');
    }
    return { timeoutMs, memoryBytes, outputBytes: init.outputBytes ?? OUTPUT_BYTES };
  }

  private async feed(stdin: RunInit['stdin']): Promise<void> {
    const push = (bytes: Uint8Array | null): Promise<void> =>
      new Promise((sent) => this.worker.post({ type: 'stdin', sandbox: this.number, bytes }, sent));
    if (typeof stdin === 'string') await push(Buffer.from(stdin));
    else if (stdin instanceof Uint8Array) await push(stdin);
    else if (stdin) {
      try {
        for await (const piece of stdin) await push(piece);
      } catch { /* a source that fails, or is closed when the run is over, ends there */ }
    }
    await push(null);
  }
}

/** What a sandbox is given must fit into its control channel (kernel/fs/control.ts). */
function checkSize(request: RunRequest, init: RunInit): void {
  const texts = [...request.argv, ...Object.entries(init.env ?? {}).flat(), init.cwd ?? ''];
  const bytes = texts.reduce((sum, text) => sum + text.length, request.kind === 'code' ? request.code.length : 0);
  if (bytes > REQUEST_BYTES_MAX) throw new OffshootError('bad-argument', 'The program with its arguments and environment is larger than 16 MiB.');
}

function collect(worker: WorkerClient, sandbox: number, init: RunInit): { stdout: Buffer[]; stderr: Buffer[] } {
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  worker.attach(sandbox, {
    output(stream, bytes) {
      if (init.capture !== false) kept[stream === 1 ? 'stdout' : 'stderr'].push(Buffer.from(bytes));
      if (stream === 1) init.onStdout?.(bytes);
      else init.onStderr?.(bytes);
    },
    trace: (text) => init.onTrace?.(text),
  });
  return kept;
}
