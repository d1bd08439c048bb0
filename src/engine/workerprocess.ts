// Starts worker processes (worker.ts). The command starts one ahead, before it reads its arguments, because starting Node and
// loading our code takes longer than anything else in a short run.

import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { HANDOVER_FD } from './protocol.ts';

interface Ahead { readonly home: string; readonly child: ChildProcess }

let ahead: Ahead | null = null;

/** A worker process; `home` is where the self-test's findings and compiled code are kept. Takes the one that was started ahead, if it still runs. */
export function startWorker(home: string): ChildProcess {
  const first = ahead;
  ahead = null;
  if (first === null) return start(home);
  if (first.home === home && first.child.connected) return first.child;
  first.child.kill('SIGKILL');
  return start(home);
}

/** Starts what the next `startWorker` will return. It does not keep this process alive. */
export function startAhead(home: string): void {
  const child = start(home);
  child.on('error', () => {}); // it is not connected then, and nobody takes it
  child.unref();
  child.channel?.unref();
  ahead = { home, child };
}

function start(home: string): ChildProcess {
  const self = fileURLToPath(import.meta.url);
  const entry = self.replace(/workerprocess\.(ts|js)$/, 'worker.$1');
  const child = spawn(process.execPath, ['--no-warnings', '--max-semi-space-size=32', entry, home, String(process.pid)], {
    serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    env: { NODE_COMPILE_CACHE: `${home}/cache/node`, ...process.env },
  });
  (child.stdio[HANDOVER_FD] as Socket | undefined)?.on('error', () => {}).unref();
  return child;
}
