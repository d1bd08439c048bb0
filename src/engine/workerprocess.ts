// Starts worker processes (worker.ts). The command starts one ahead, before it reads its arguments, because starting Node and
// loading our code takes longer than anything else in a short run.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { CHANNEL_FD, HANDOVER_FD } from './protocol.ts';

/** A process and this side's end of the socket pair to it (channel.ts). */
export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly socket: Socket;
}

interface Ahead extends WorkerProcess { readonly home: string }

let ahead: Ahead | null = null;

/** A worker process; `home` is where the self-test's findings and compiled code are kept. Takes the one that was started ahead, if it still runs. */
export function startWorker(home: string): WorkerProcess {
  const first = ahead;
  ahead = null;
  if (first === null) return start(home);
  if (first.home === home && first.child.pid !== undefined && first.child.exitCode === null && first.child.signalCode === null) return first;
  first.child.kill('SIGKILL');
  return start(home);
}

/** Starts what the next `startWorker` will return. It does not keep this process alive. */
export function startAhead(home: string): void {
  const { child, socket } = start(home);
  child.on('error', () => {}); // it has no pid then, and nobody takes it
  child.unref();
  socket.unref();
  ahead = { home, child, socket };
}

/** Few threads: each is memory and mappings (host/lowaddresses.ts), and there is a worker for each processor. */
const NODE_FLAGS = ['--no-warnings', '--max-semi-space-size=32', '--v8-pool-size=1'];

function start(home: string): WorkerProcess {
  const self = fileURLToPath(import.meta.url);
  const entry = self.replace(/workerprocess\.(ts|js)$/, 'worker.$1');
  const child = spawn(process.execPath, [...NODE_FLAGS, entry, home, String(process.pid)], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'], env: workerEnvironment(home),
  });
  (child.stdio[HANDOVER_FD] as Socket | undefined)?.on('error', () => {}).unref();
  return { child, socket: child.stdio[CHANNEL_FD] as Socket };
}

/** Of the caller's environment, which may hold secrets, a worker gets what Node itself may need. */
const KEPT = ['LD_LIBRARY_PATH', 'NODE_COMPILE_CACHE', 'NODE_OPTIONS', 'OFFSHOOT_DEBUG'];

export function workerEnvironment(home: string): NodeJS.ProcessEnv {
  const kept = KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...compileCache(home), ...Object.fromEntries(kept) };
}

/** Where Node keeps compiled code; nowhere before there is a home: Node tries for ever to make a directory below /proc. */
export function compileCache(home: string): NodeJS.ProcessEnv {
  return existsSync(home) ? { NODE_COMPILE_CACHE: `${home}/cache/node` } : {};
}
