// The caller's end of a builder process: starts one for one template, hears what it does, and ends it.

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { OffshootError, type ErrorCode } from './errors.ts';
import type { Progress } from './protocol.ts';
import { compileCache } from './workerprocess.ts';

/** What to build. */
export interface BuildRequest {
  readonly home: string;
  readonly name: string;
  /** Build it even if it is there and fits. */
  readonly rebuild: boolean;
  /** Another build of it, in this file; the template itself is left alone. */
  readonly layout?: string;
}

export type FromBuilder =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'done' }
  | { readonly type: 'error'; readonly code: ErrorCode; readonly message: string };

/**
 * Resolves when the template is there and its checksums have been verified. With a `signal` it is in the background: this process may end meanwhile, and the
 * build ends at the signal. Throws OffshootError.
 */
export function build(request: BuildRequest, onProgress: ((progress: Progress) => void) | undefined, signal?: AbortSignal): Promise<void> {
  const self = fileURLToPath(import.meta.url);
  const child = fork(self.replace(/builderclient\.(ts|js)$/, 'builderprocess.$1'), [String(process.pid)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: ['--no-warnings'], killSignal: 'SIGKILL', ...(signal && { signal }),
    env: { ...compileCache(request.home), ...process.env },
  });
  child.send(request);
  if (signal) {
    child.unref();
    child.channel?.unref();
  }
  return new Promise<void>((resolve, reject) => {
    child.on('message', (message: FromBuilder) => {
      if (message.type === 'progress') return onProgress?.(message.progress);
      if (message.type === 'done') resolve();
      else reject(new OffshootError(message.code, message.message));
    });
    const lost = (how: string): void => reject(new OffshootError('worker-lost', `The process that builds templates ended (${how}) before it was done.`));
    child.on('error', (error) => (signal?.aborted ? whenEnded(child, () => lost(error.message)) : lost(error.message)));
    child.on('exit', (code, signal) => lost(signal ?? `exit code ${code}`));
  }).finally(() => child.kill('SIGKILL'));
}

/** It writes to no file any more then. */
function whenEnded(child: ChildProcess, then: () => void): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return then();
  child.ref();
  child.once('exit', then);
}
