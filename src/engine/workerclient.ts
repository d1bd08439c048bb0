// The caller's end of one worker process: starts it, matches replies to calls, hands output to its sandbox.
// No VM ever runs on the caller's thread.

import type { ChildProcess } from 'node:child_process';
import { OffshootError, type ErrorCode } from './errors.ts';
import { HANDOVER_FD, type FromWorker, type ToWorker } from './protocol.ts';
import type { Offer } from './provide.ts';
import { startWorker } from './workerprocess.ts';

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What a sandbox hears from its worker while it runs. */
export interface SandboxEvents {
  output(stream: number, bytes: Uint8Array): void;
  trace(text: string): void;
}

type Unnumbered<T> = T extends { readonly call: number } ? Omit<T, 'call'> : never;
/** A request that is answered, before it has its number. */
export type WorkerCall = Unnumbered<ToWorker>;

export class WorkerClient {
  private readonly child: ChildProcess;
  private readonly calls = new Map<number, Call>();
  private readonly sandboxes = new Map<number, SandboxEvents>();
  private nextCall = 1;
  private gone = false;
  /** Sandboxes placed here and not closed: the least loaded worker gets the next. */
  get load(): number { return this.sandboxes.size; }
  /** The process has ended, by itself or by close(). */
  get isGone(): boolean { return this.gone; }

  /** `home`: where the self-test's findings and compiled code are kept. */
  constructor(home: string) {
    this.child = startWorker(home);
    this.child.on('message', (message) => this.receive(message as FromWorker));
    this.child.on('exit', (code, signal) => this.lost(signal ?? `exit code ${code}`));
    this.child.on('error', (error) => this.lost(error.message));
    this.idle();
  }

  /** Sends a request and resolves with its reply. Rejects with OffshootError. */
  call(message: WorkerCall): Promise<unknown> {
    if (this.gone) return Promise.reject(new OffshootError('worker-lost', 'The worker process of this sandbox has ended.'));
    const call = this.nextCall++;
    return new Promise((resolve, reject) => {
      this.calls.set(call, { resolve, reject });
      this.child.ref();
      this.child.channel?.ref();
      this.child.send({ ...message, call });
    });
  }

  /** Sends a message that has no answer; false when the channel is full (wait for the callback). */
  post(message: ToWorker, sent?: () => void): void {
    if (this.gone) sent?.();
    else this.child.send(message, () => sent?.());
  }

  /** Hands over a template's open files; false when it does not fit this host's processor. Rejects with OffshootError. */
  async handOver({ header, indexBytes, fds }: Offer): Promise<boolean> {
    const { sendDescriptors } = await import('../host/descriptors.ts'); // 10 ms, while the worker starts
    const socket = this.child.stdio[HANDOVER_FD] as unknown as { readonly _handle: { readonly fd: number } | null };
    try {
      if (!this.gone && socket._handle !== null) sendDescriptors(socket._handle.fd, fds);
    } catch {
      this.lost('its socket is closed');
    }
    return await this.call({ type: 'template', header, indexBytes }) as boolean;
  }

  attach(sandbox: number, events: SandboxEvents): void {
    this.sandboxes.set(sandbox, events);
  }

  detach(sandbox: number): void {
    this.sandboxes.delete(sandbox);
  }

  /** Ends the process; calls still open are rejected. */
  close(): Promise<void> {
    if (this.gone) return Promise.resolve();
    return new Promise((resolve) => {
      this.child.once('exit', () => resolve());
      this.child.ref();
      this.child.kill('SIGKILL');
    });
  }

  private receive(message: FromWorker): void {
    if (message.type === 'output') return this.sandboxes.get(message.sandbox)?.output(message.stream, message.bytes);
    if (message.type === 'trace') return this.sandboxes.get(message.sandbox)?.trace(message.text);
    const call = this.calls.get(message.call);
    if (!call) return;
    this.calls.delete(message.call);
    if (this.calls.size === 0) this.idle();
    if (message.type === 'reply') call.resolve(message.value);
    else call.reject(new OffshootError(message.code as ErrorCode, message.message));
  }

  /** A worker nobody waits for does not keep the caller's process alive. */
  private idle(): void {
    this.child.unref();
    this.child.channel?.unref();
  }

  private lost(how: string): void {
    if (this.gone) return;
    this.gone = true;
    for (const call of this.calls.values()) {
      call.reject(new OffshootError('worker-lost', `The worker process ended (${how}) before the run did.`));
    }
    this.calls.clear();
  }
}
