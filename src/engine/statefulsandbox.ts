// A stateful sandbox as the caller holds it: one forked VM in a worker process in which many programs run, one after the other and at
// once, and find what others left: variables of an interpreter, files, background processes.

import { OffshootError } from './errors.ts';
import type { Lease } from './place.ts';
import { performProgram, programOptions } from './program.ts';
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

/** One forked VM for many runs. Made by `Template.fork({ stateful: true })`. */
export class StatefulSandbox {
  /** Unique among all sandboxes ever. */
  readonly id: string;
  readonly template: string;
  private readonly place: SandboxPlace;
  private readonly lease: Lease;
  private closed = false;
  private endedBecause: string | null = null;

  constructor(place: SandboxPlace, lease: Lease) {
    this.place = place;
    this.lease = lease;
    this.id = place.id;
    this.template = place.template;
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
    const options = programOptions({ kind: 'cell', context, filename: init.filename ?? '<string>', argv: argvOf(init) }, init.env ?? {}, init, bytes);
    this.checkOpen();
    const result = await performProgram(this.place, this.lease.newNumber(), options, init, bytes);
    return { contextLost: false, contextFresh: false, ...result, context };
  }

  /** Runs a program of the image: `argv[0]` is looked up in PATH. Any number at once. It ends with all its session on a time-out or `signal`. */
  async exec(argv: readonly string[], init: RunInit = {}): Promise<RunResult> {
    if (argv.length === 0) throw new OffshootError('bad-argument', 'exec needs a command.');
    const options = programOptions({ kind: 'exec', argv, isBackground: false }, { ...this.place.env, ...init.env }, init);
    this.checkOpen();
    return performProgram(this.place, this.lease.newNumber(), options, init);
  }

  /** Ends the sandbox with all that runs in it, and gives its memory back. Safe to call twice. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.place.worker.detach(this.place.number);
    this.place.worker.post({ type: 'close', sandbox: this.place.number });
    this.lease.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private checkOpen(): void {
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
