// A sandbox as the caller holds it: one forked VM in a worker process. Runs one program, streams its output, is closed.

import { OffshootError } from './errors.ts';
import type { RunRequest } from './protocol.ts';
import { execProgram, performRun, prepareRun, pythonProgram, type RunInit, type RunResult, type SandboxPlace } from './run.ts';

/** One forked VM. Made by `Template.fork()`. Runs one program in its life: fork again for the next. */
export class Sandbox {
  /** Unique among all sandboxes ever. */
  readonly id: string;
  private readonly place: SandboxPlace;
  private readonly memoryBytes: number;
  private readonly onClose: () => void;
  private used = false;
  private closed = false;

  constructor(place: SandboxPlace, memoryBytes: number, onClose: () => void) {
    this.place = place;
    this.id = place.id;
    this.memoryBytes = memoryBytes;
    this.onClose = onClose;
  }

  /** Runs Python source as `python3 FILE` would. Rejects only for bad arguments or a lost worker, never for what the code does. */
  async run(code: string | Uint8Array, init: RunInit = {}): Promise<RunResult> {
    return this.start(pythonProgram(code, init), init);
  }

  /** Runs a program of the image instead of Python: `argv[0]` is looked up in PATH. */
  async exec(argv: readonly string[], init: RunInit = {}): Promise<RunResult> {
    return this.start(execProgram(argv), init);
  }

  /** Ends the sandbox, a run in it too, and gives its memory back. Safe to call twice. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.place.worker.post({ type: 'close', sandbox: this.place.number });
    this.onClose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private start(request: RunRequest, init: RunInit): Promise<RunResult> {
    if (this.closed) throw new OffshootError('sandbox-ended', 'This sandbox is closed.');
    if (this.used) throw new OffshootError('sandbox-ended', 'This sandbox has run its program: fork another.');
    const run = prepareRun(request, init, this.memoryBytes);
    this.used = true;
    return performRun(this.place, run);
  }
}
