// The caller's end of one worker process: starts it, matches answers to requests, hands output to its sandbox.
// No VM ever runs on the caller's thread. A worker that breaks the protocol is ended: a guest may have taken it over.

import { Channel } from './channel.ts';
import { OffshootError, type ErrorCode } from './errors.ts';
import { BadMessage, checkedMessage } from './inbound.ts';
import {
  FROM_WORKER_BYTES_MAX, HANDOVER_FD, type Account, type Answer, type FileAnswer, type LimitReached, type Notice, type Request, type RunEnd, type SandboxStats,
  type SelfTestReport,
} from './protocol.ts';
import type { Offer } from './provide.ts';
import { startWorker, type WorkerProcess } from './workerprocess.ts';

/** What answers each request. */
interface Answers {
  readonly template: boolean;
  readonly account: null;
  readonly fork: null;
  readonly run: RunEnd;
  /** Of a background program: its pid. */
  readonly program: RunEnd | number;
  readonly input: null;
  readonly await: RunEnd;
  readonly signal: boolean;
  readonly tail: TailPiece;
  readonly context: null;
  readonly files: { readonly answer: FileAnswer; readonly bytes: Buffer };
  readonly measure: SandboxStats;
  readonly branch: null;
  readonly selftest: SelfTestReport;
}

/** A piece of a background program's output; `stream` 0: there is no more. */
export interface TailPiece {
  readonly stream: 0 | 1 | 2;
  readonly at: number;
  readonly bytes: Buffer;
}

interface Call {
  readonly answers: readonly Answer['type'][];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What a sandbox hears from its worker while it runs. */
export interface SandboxEvents {
  output(stream: 1 | 2, bytes: Uint8Array): void;
  trace(text: string): void;
  want(tree: number, entry: number): void;
  /** A stateful sandbox is over. */
  over?(limit: LimitReached, reason: string): void;
  file(path: string, bytes: Uint8Array, last: boolean, problem: string | null): void;
}

const ANSWERS: Readonly<Record<Request['type'], readonly Answer['type'][]>> = {
  template: ['fits'], account: ['done'], fork: ['done'], run: ['end'], program: ['end', 'started'], input: ['done'], await: ['end'],
  signal: ['signalled'], tail: ['tail'],
  context: ['done'], files: ['files'], measure: ['measured'], branch: ['done'], selftest: ['selftest'],
};

export class WorkerClient {
  private readonly child: WorkerProcess['child'];
  private readonly socket: WorkerProcess['socket'];
  private readonly channel: Channel;
  private readonly calls = new Map<number, Call>();
  private readonly sandboxes = new Map<number, SandboxEvents>();
  private nextCall = 1;
  private lostBecause: string | null = null;
  /** Memory of its sandboxes that /proc does not show as its own. */
  layerBytes = 0;
  /** Called once when the process has ended, by itself or by close(). */
  onGone: () => void = () => {};
  /** The process has ended, or is about to. */
  get isGone(): boolean { return this.lostBecause !== null; }
  get pid(): number | undefined { return this.child.pid; }

  /** `home`: where the self-test's findings and compiled code are kept. */
  constructor(home: string) {
    const { child, socket } = startWorker(home);
    this.child = child;
    this.socket = socket;
    this.channel = new Channel(socket, {
      frameBytesMax: FROM_WORKER_BYTES_MAX,
      onMessage: (header, bytes) => this.receive(header, bytes),
      onClose: (why) => this.lost(why === null ? null : `it sent ${why}`),
    });
    this.child.on('exit', (code, signal) => this.lost(signal ?? `exit code ${code}`));
    this.child.on('error', (error) => this.lost(error.message));
    this.child.unref();
    this.socket.unref();
  }

  /** Sends a request and resolves with its answer. Rejects with OffshootError. */
  call<R extends Request>(request: R, bytes?: Uint8Array): Promise<Answers[R['type']]> {
    if (this.isGone) return Promise.reject(new OffshootError('worker-lost', 'The worker process of this sandbox has ended.'));
    const call = this.nextCall++;
    return new Promise((resolve, reject) => {
      this.calls.set(call, { answers: ANSWERS[request.type], resolve: resolve as (value: unknown) => void, reject });
      if (this.calls.size === 1) this.socket.ref();
      this.channel.sendNow({ ...request, call }, bytes);
    });
  }

  /** Sends a message that has no answer; `sent` is called when the channel has taken it. */
  post(notice: Notice, bytes?: Uint8Array, sent?: () => void): void {
    this.channel.send(notice, bytes, sent);
  }

  /** Hands over a template's open files; false when it does not fit this host's processor. Rejects with OffshootError. */
  handOver({ header, indexBytes, fds }: Offer): Promise<boolean> {
    return this.callWith(fds, { type: 'template', header, indexBytes });
  }

  /** Hands over the table of its tenant. Rejects with OffshootError. */
  async handOverAccount(fd: number, account: Account): Promise<void> {
    await this.callWith([fd], { type: 'account', account });
  }

  /** A request that descriptors belong to: they come right before it. */
  private async callWith<R extends Request>(fds: readonly number[], request: R): Promise<Answers[R['type']]> {
    const { sendDescriptors } = await import('../host/descriptors.ts'); // 10 ms, while the worker starts
    const socket = this.child.stdio[HANDOVER_FD] as unknown as { readonly _handle: { readonly fd: number } | null };
    try {
      if (!this.isGone && socket._handle !== null) sendDescriptors(socket._handle.fd, fds);
    } catch {
      this.fail('its socket is closed');
    }
    return this.call(request);
  }

  /** Calls `listener` when the process has ended. */
  whenEnded(listener: () => void): void {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) listener();
    else this.child.once('exit', listener);
  }

  attach(sandbox: number, events: SandboxEvents): void {
    this.sandboxes.set(sandbox, events);
  }

  detach(sandbox: number): void {
    this.sandboxes.delete(sandbox);
  }

  /** Ends the process; calls still open are rejected. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.whenEnded(resolve);
      this.child.ref();
      this.child.kill('SIGKILL');
    });
  }

  private receive(header: unknown, bytes: Buffer): void {
    try {
      const message = checkedMessage(header, bytes.length);
      if (message.type === 'output') this.sandboxes.get(message.sandbox)?.output(message.stream, bytes);
      else if (message.type === 'trace') this.sandboxes.get(message.sandbox)?.trace(bytes.toString('utf8'));
      else if (message.type === 'want') this.sandboxes.get(message.sandbox)?.want(message.tree, message.entry);
      else if (message.type === 'layers') this.layerBytes = message.bytes;
      else if (message.type === 'file') this.sandboxes.get(message.sandbox)?.file(message.path, bytes, message.last, message.problem);
      else if (message.type === 'over') this.sandboxes.get(message.sandbox)?.over?.(message.limit, message.reason);
      else this.settle(message, bytes);
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      this.fail(`it sent ${error.message}`);
    }
  }

  private settle(answer: Answer, bytes: Buffer): void {
    const call = this.calls.get(answer.call);
    if (!call || (answer.type !== 'error' && !call.answers.includes(answer.type))) throw new BadMessage('an answer nobody waits for');
    this.calls.delete(answer.call);
    if (this.calls.size === 0) this.socket.unref(); // a worker nobody waits for does not keep the caller's process alive
    if (answer.type === 'error') call.reject(new OffshootError(answer.code as ErrorCode, answer.message, answer.errno));
    else call.resolve(valueOf(answer, bytes));
  }

  /** Ends a worker that cannot be trusted any more; its runs are lost. */
  fail(why: string): void {
    this.lost(why);
  }

  /** `why` is null when the channel closed and the process is about to tell how it ended. */
  private lost(why: string | null): void {
    if (why === null && this.child.exitCode === null && this.child.signalCode === null) {
      if (this.calls.size > 0) this.child.ref();
      this.child.kill('SIGKILL');
      return;
    }
    if (this.isGone) return;
    this.lostBecause = why ?? this.child.signalCode ?? `exit code ${this.child.exitCode}`;
    this.child.kill('SIGKILL');
    this.channel.close(null);
    for (const call of this.calls.values()) {
      call.reject(new OffshootError('worker-lost', `The worker process ended (${this.lostBecause}) before the run did.`));
    }
    this.calls.clear();
    const sandboxes = [...this.sandboxes.values()];
    this.sandboxes.clear();
    for (const sandbox of sandboxes) sandbox.over?.(null, `its worker process ended (${this.lostBecause}).`);
    this.onGone();
  }
}

function valueOf(answer: Answer, bytes: Buffer): unknown {
  switch (answer.type) {
    case 'end': return answer.end;
    case 'started': return answer.pid;
    case 'signalled': return answer.isAlive;
    case 'tail': return { stream: answer.stream, at: answer.at, bytes: Buffer.from(bytes) };
    case 'files': return { answer: answer.answer, bytes: Buffer.from(bytes) };
    case 'measured': return answer.stats;
    case 'fits': return answer.fits;
    case 'selftest': return answer.report;
    default: return null;
  }
}
