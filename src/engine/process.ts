// A background program of a stateful sandbox as the caller holds it.

import { OffshootError } from './errors.ts';
import { monotonicMs, resultOf, type RunResult, type SandboxPlace } from './run.ts';
import type { RunEnd } from './protocol.ts';
import { signalNumber } from './signals.ts';

/** Bytes of each stream, counted from the program's start. */
export interface OutputPosition {
  readonly stdout: number;
  readonly stderr: number;
}

/** A piece of what a background program printed. */
export interface OutputPiece {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
  /** Bytes of this stream before the piece that were printed and are not kept any more. */
  readonly dropped: number;
  /** Where to go on after this piece. */
  readonly position: OutputPosition;
}

const INPUT_BYTES = 256 << 10;
const NO_BYTES: Uint8Array = new Uint8Array();

/** Made by `StatefulSandbox.start()`. Runs until it ends, is killed, or its sandbox is closed. */
export class Process {
  /** Of the process, in its sandbox. */
  readonly pid: number;
  readonly argv: readonly string[];
  readonly startedAt: Date;
  private readonly place: SandboxPlace;
  private readonly job: number;
  private readonly askedMs = monotonicMs();
  /** Resolves when it is over. */
  readonly ended: Promise<unknown>;
  private readonly ending: Promise<RunEnd>;
  private end: RunEnd | null = null;
  private isInputOpen = true;

  /** `job`: its number in messages. */
  constructor(place: SandboxPlace, job: number, pid: number, argv: readonly string[], startedAt = new Date()) {
    this.place = place;
    this.job = job;
    this.pid = pid;
    this.argv = argv;
    this.startedAt = startedAt;
    this.ending = place.worker.call({ type: 'await', sandbox: place.number, number: job });
    this.ended = this.ending.then((end) => this.end = end);
    this.ended.catch(() => { /* who waits is told */ });
  }

  /** The same program in a copy of its sandbox that was made just now. */
  copyIn(place: SandboxPlace): Process {
    return new Process(place, this.job, this.pid, this.argv, this.startedAt);
  }

  /** How it ended; null while it runs. */
  get exitCode(): number | null {
    return this.end?.exitCode ?? null;
  }

  readonly stdin = {
    /** Resolves when less than a megabyte of its input waits to be read, or it has ended. */
    write: (bytes: Uint8Array | string): Promise<void> => this.write(typeof bytes === 'string' ? Buffer.from(bytes) : bytes),
    end: (): Promise<void> => this.send(NO_BYTES, true),
  };

  /** Sends a signal ('SIGTERM' unless another is named) to it and its process group. False: it has ended. */
  async kill(signal: string | number = 'SIGTERM'): Promise<boolean> {
    const signo = signalNumber(signal);
    if (this.end) return false;
    try {
      return await this.place.worker.call({ type: 'signal', sandbox: this.place.number, number: this.job, signo });
    } catch (error) {
      if (error instanceof OffshootError && error.code === 'bad-argument') return false; // long gone
      throw error;
    }
  }

  /** Waits for its end. `stdout` and `stderr` of the result are what is kept of its output. */
  async wait(): Promise<RunResult> {
    const end = await this.ending;
    const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    try {
      for await (const { stream, bytes } of this.output()) kept[stream].push(bytes);
    } catch (error) {
      if (!(error instanceof OffshootError && error.code === 'bad-argument')) throw error; // it ended long ago, and is forgotten there
    }
    return resultOf(this.place, end, this.askedMs, kept);
  }

  /**
   * What it printed from a position on (its start unless one is given), and what it prints until it ends. The last megabyte is kept, for
   * any number of readers at any time; a piece says how much was lost before it.
   */
  async* output(from: OutputPosition = { stdout: 0, stderr: 0 }): AsyncIterable<OutputPiece> {
    let { stdout, stderr } = from;
    if (!Number.isSafeInteger(stdout) || !Number.isSafeInteger(stderr) || stdout < 0 || stderr < 0) {
      throw new OffshootError('bad-argument', 'A position in the output of a process is two counts of bytes.');
    }
    for (;;) {
      const { stream, at, bytes } = await this.place.worker.call({ type: 'tail', sandbox: this.place.number, number: this.job, stdout, stderr });
      if (stream === 0) return;
      const before = stream === 1 ? stdout : stderr;
      if (stream === 1) stdout = at + bytes.length;
      else stderr = at + bytes.length;
      yield { stream: stream === 1 ? 'stdout' : 'stderr', bytes, dropped: Math.max(0, at - before), position: { stdout, stderr } };
    }
  }

  private async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += INPUT_BYTES) await this.send(bytes.subarray(at, at + INPUT_BYTES), false);
  }

  private async send(bytes: Uint8Array, last: boolean): Promise<void> {
    if (!this.isInputOpen) throw new OffshootError('bad-argument', 'The input of this process has ended.');
    if (last) this.isInputOpen = false;
    const { worker, number: sandbox } = this.place;
    await worker.call({ type: 'input', sandbox, number: this.job, last }, bytes);
  }
}
