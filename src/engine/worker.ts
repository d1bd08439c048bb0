// A worker process: owns /dev/kvm, templates and the VMs forked from them. Speaks protocol.ts with its parent and ends when
// the parent does. It opens nothing after its start: its parent hands it templates and images as open files. Started by
// workerprocess.ts as `worker HOME PARENT-PID`.

import { closeSync } from 'node:fs';
import { receiveDescriptors } from '../host/descriptors.ts';
import { ImageError } from '../image/errors.ts';
import { ImageIndexError } from '../kernel/fs/imageindex.ts';
import { KvmHost } from './kvmhost.ts';
import { OffshootError } from './errors.ts';
import { explain } from './explain.ts';
import { Guest } from './guest.ts';
import { LoadedTemplate } from './loaded.ts';
import { endWithParent } from './parent.ts';
import { Pool } from './pool.ts';
import { HANDOVER_FD, type FromWorker, type RunEnd, type RunOptions, type ToWorker } from './protocol.ts';
import { Scheduler } from './scheduler.ts';
import { TemplateRefused, type TemplateHeader } from './templatefile.ts';

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
/** /dev/kvm and all that goes with it, or why it cannot be used. */
let opened: { readonly host: KvmHost } | { readonly error: unknown };

function send(message: FromWorker, sent?: () => void): void {
  if (!process.connected) process.exit(0);
  process.send?.(message, undefined, {}, () => sent?.());
}

function start(home: string): void {
  try {
    opened = { host: KvmHost.open(home) };
  } catch (error) {
    opened = { error };
  }
}

function kvmHost(): KvmHost {
  if ('error' in opened) throw opened.error;
  return opened.host;
}

/** Takes over a template whose files the parent has just sent. False when it does not fit: it must be built again. */
function loadTemplate(header: TemplateHeader, indexBytes: number): boolean {
  const [file, index, blob] = receiveDescriptors(HANDOVER_FD, 3);
  try {
    const host = kvmHost();
    if (header.fingerprint !== host.fingerprint) throw new TemplateRefused('it was made on another processor');
    host.addImage(header.imageId, index, indexBytes, blob);
    const loaded = LoadedTemplate.load(host, header, file);
    const pool = new Pool(host, loaded, PARKED_MAX);
    pools.get(header.name)?.destroy();
    pools.set(header.name, pool);
    templates.get(header.name)?.release();
    templates.set(header.name, loaded);
    return true;
  } catch (error) {
    closeSync(file);
    if (error instanceof TemplateRefused || error instanceof ImageError || error instanceof ImageIndexError) return false;
    throw error;
  } finally {
    closeSync(index);
    closeSync(blob);
  }
}

function forkSandbox({ sandbox, template: name, memoryBytes, pooled }: ToWorker & { readonly type: 'fork' }): null {
  const template = templates.get(name);
  const pool = pools.get(name);
  if (!template || !pool) throw new OffshootError('template-unknown', `Template "${name}" is not loaded.`);
  const guest = pooled ? pool.take(memoryBytes) : Guest.fork(kvmHost(), template, memoryBytes);
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
      return loadTemplate(message.header, message.indexBytes);
    case 'fork':
      return forkSandbox(message);
    case 'run':
      return runGuest(message.sandbox, message.options);
    case 'selftest':
      return kvmHost().selfTest;
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

endWithParent(Number(process.argv[3]));
start(process.argv[2]);
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
