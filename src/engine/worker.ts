// A worker process: owns /dev/kvm, templates and the VMs forked from them. Speaks protocol.ts with its parent and ends when
// the parent does. Started by workerprocess.ts.

import { HostError } from '../host/errors.ts';
import { ImageError } from '../image/errors.ts';
import { KvmUnsupported } from '../vmm/kvm.ts';
import { KvmHost } from './kvmhost.ts';
import { OffshootError, deviceError, homeError } from './errors.ts';
import { Guest } from './guest.ts';
import { LoadedTemplate } from './loaded.ts';
import type { FromWorker, Progress, RunEnd, RunOptions, ToWorker } from './protocol.ts';
import { Pool } from './pool.ts';
import { provideTemplate } from './provide.ts';
import { Scheduler } from './scheduler.ts';

const scheduler = new Scheduler();
const templates = new Map<string, LoadedTemplate>();
const guests = new Map<number, Guest>();
const pools = new Map<string, Pool>();
/** Guests taken from a pool, so that it hears of them. */
const pooledGuests = new WeakMap<Guest, Pool>();
let isRefilling = false;
/** When guests want to run, the pools look again after so long. */
const BUSY_MS = 1;
/** Forks kept ready for each template. */
const PARKED_MAX = 4;
let host: KvmHost | null = null;

function send(message: FromWorker, sent?: () => void): void {
  if (!process.connected) process.exit(0);
  process.send?.(message, undefined, {}, () => sent?.());
}

function kvmHost(home: string): KvmHost {
  host ??= KvmHost.open(home);
  return host;
}

async function loadTemplate(name: string, home: string, rebuild: boolean, onProgress: (progress: Progress) => void): Promise<null> {
  const old = templates.get(name);
  if (old && !rebuild) return null;
  const loaded = await provideTemplate(kvmHost(home), name, rebuild, onProgress);
  old?.release();
  templates.set(name, loaded);
  pools.get(name)?.destroy();
  pools.set(name, new Pool(kvmHost(home), loaded, PARKED_MAX));
  return null;
}

function forkSandbox({ sandbox, template: name, memoryBytes, pooled }: ToWorker & { readonly type: 'fork' }): null {
  const template = templates.get(name);
  const pool = pools.get(name);
  if (!template || !pool || !host) throw new OffshootError('template-unknown', `Template "${name}" is not loaded.`);
  const guest = pooled ? pool.take(memoryBytes) : Guest.fork(host, template, memoryBytes);
  if (pooled) pooledGuests.set(guest, pool);
  guest.attach({
    output: (stream, bytes, sent) => send({ type: 'output', sandbox, stream, bytes }, sent),
    trace: (text) => send({ type: 'trace', sandbox, text }),
    wake: () => scheduler.wake(guest),
  });
  guests.set(sandbox, guest);
  return null;
}

function runGuest(sandbox: number, options: RunOptions): Promise<RunEnd> {
  const guest = guests.get(sandbox);
  if (!guest) throw new OffshootError('sandbox-ended', 'This sandbox is closed.');
  const pool = pooledGuests.get(guest);
  pool?.noteStart(options);
  return new Promise((resolve) => {
    guest.start(options, (end) => {
      if (options.request.kind === 'code') pool?.noteEnd(end.dirtyPages);
      resolve(end);
      refillSoon();
    });
    scheduler.wake(guest);
  });
}

/** Fills the pools step by step, while no guest wants to run. */
function refillSoon(): void {
  if (isRefilling) return;
  isRefilling = true;
  setImmediate(refill);
}

function refill(): void {
  isRefilling = false;
  const pool = [...pools.values()].find((each) => !each.isFull);
  if (!pool) return;
  if (scheduler.isBusy) {
    isRefilling = true;
    setTimeout(refill, BUSY_MS);
    return;
  }
  pool.step();
  refillSoon();
}

function closeGuest(sandbox: number): void {
  const guest = guests.get(sandbox);
  if (!guest) return;
  guests.delete(sandbox);
  scheduler.remove(guest);
  guest.destroy();
}

function perform(message: ToWorker & { readonly call: number }): Promise<unknown> | unknown {
  switch (message.type) {
    case 'template':
      return loadTemplate(message.name, message.home, message.rebuild, (progress) => send({ type: 'progress', call: message.call, progress }));
    case 'fork':
      return forkSandbox(message);
    case 'run':
      return runGuest(message.sandbox, message.options);
    case 'selftest':
      return kvmHost(message.home).selfTest;
  }
}

async function answer(message: ToWorker & { readonly call: number }): Promise<void> {
  const { call } = message;
  try {
    send({ type: 'reply', call, value: await perform(message) });
  } catch (error) {
    const { code, message: text } = explain(error);
    send({ type: 'error', call, code, message: text });
  }
}

/** Any error as one sentence with a stable code. */
function explain(error: unknown): { code: string; message: string } {
  if (error instanceof OffshootError) return error;
  if (error instanceof ImageError) return { code: 'image-failed', message: error.message };
  if (error instanceof KvmUnsupported) return { code: 'host-unsupported', message: `${error.message}.` };
  if (error instanceof HostError) {
    return deviceError(error.op, error.code) ?? { code: 'internal', message: error.message };
  }
  const home = homeError(error);
  if (home) return home;
  return { code: 'internal', message: process.env['OFFSHOOT_DEBUG'] ? String((error as Error).stack) : String((error as Error).message) };
}

process.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'stdin':
      return guests.get(message.sandbox)?.stdin(message.bytes);
    case 'cancel':
      return guests.get(message.sandbox)?.cancel();
    case 'close':
      return closeGuest(message.sandbox);
    default:
      void answer(message);
  }
});
process.on('disconnect', () => process.exit(0));
// The terminal's Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => {});
