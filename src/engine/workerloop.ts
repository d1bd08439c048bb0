// A worker process: owns /dev/kvm, templates and the VMs forked from them. Speaks protocol.ts with its parent and ends when
// the parent does. It opens nothing after its start: its parent hands it templates and images as open files. Started by
// workerprocess.ts as `worker HOME PARENT-PID`.

import { closeSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { Socket } from 'node:net';
import { hostClock } from '../host/clock.ts';
import { receiveDescriptors } from '../host/descriptors.ts';
import { HostError } from '../host/errors.ts';
import { exitNow } from '../host/libc.ts';
import { openPagemap } from '../host/pagemap.ts';
import { ImageError } from '../image/errors.ts';
import { ImageIndexError } from '../kernel/fs/imageindex.ts';
import { Channel } from './channel.ts';
import { collect } from './collect.ts';
import { confine } from './confine.ts';
import { CpuShare } from './cpushare.ts';
import { KvmHost } from './kvmhost.ts';
import { OffshootError } from './errors.ts';
import { explain } from './explain.ts';
import { Guest } from './guest.ts';
import { LoadedTemplate } from './loaded.ts';
import { endWithParent } from './parent.ts';
import { TRACE_STREAM } from './outlet.ts';
import { Pacing } from './pacing.ts';
import { Pool } from './pool.ts';
import {
  CHANNEL_FD, HANDOVER_FD, PIECE_BYTES_MAX, TO_WORKER_BYTES_MAX, type Account, type CollectOptions, type Confinement, type ForkOptions,
  type FromWorker, type Request, type RunEnd, type StatefulOptions, type ToWorker,
} from './protocol.ts';
import { Slots } from './rest.ts';
import { Scheduler } from './scheduler.ts';
import type { Session, SessionEvents } from './session.ts';
import { TemplateRefused, type TemplateHeader } from './templatefile.ts';
import { TenantAccount } from './tenantaccount.ts';
import { allLayers } from '../vmm/layers.ts';

/** VMs that are open, beside those of the pools. */
const slots = new Slots(8);
/** Of its tenant's limit. */
const share = new CpuShare(undefined, () => hostClock.threadCpuNs() / 1e6);
const scheduler = new Scheduler(slots, undefined, share);
/** What its tenant's sandboxes have together; null: nobody counts. */
let account: TenantAccount | null = null;
const templates = new Map<string, LoadedTemplate>();
const guests = new Map<number, Guest>();
const pools = new Map<string, Pool>();
/** Whose template each guest is a fork of: its pool hears of their runs. */
const poolOf = new WeakMap<Guest, Pool>();
/** Guests that may be rewound for another run, with the memory they have. */
const reusable = new WeakMap<Guest, number>();
/** Pieces of files that guests were given and that have not come to their end, by tree and entry. */
const contents = new WeakMap<Guest, Map<string, Buffer[]>>();
/** Runs whose output is taken at its reader's speed. */
const paced = new Map<number, Pacing>();
/** What the caller knows of the memory in layers, and how much it may be wrong. */
let reportedBytes = 0;
const REPORT_BYTES = 16 << 20;
let isRefilling = false;
/** When guests want to run, the pools look again after so long. */
const BUSY_MS = 1;
/** What a run leaves to do waits so long: it would take a processor from those who bring the answer where it is wanted. */
const AFTERWARDS_MS = 1;
/** Forks kept ready for each template. */
const PARKED_MAX = 4;
/** /dev/kvm and all that goes with it, or why it cannot be used. */
let opened: { readonly host: KvmHost } | { readonly error: unknown };
let confinement: readonly Confinement[] = [];

const channel = new Channel(new Socket({ fd: CHANNEL_FD, readable: true, writable: true }), {
  frameBytesMax: TO_WORKER_BYTES_MAX,
  onMessage: (header, bytes) => receive(header as ToWorker, bytes),
  onClose: () => exitNow(0), // Node's own end would want calls that a confined worker may not make
});

function send(message: FromWorker, bytes?: Uint8Array, sent?: () => void): void {
  channel.send(message, bytes, sent);
}

/** Opens everything this process will ever open, then gives up the right to (confine.ts). */
function start(home: string, parentPid: number): void {
  endWithParent(parentPid);
  try {
    const host = KvmHost.open(home);
    host.kvm.kicker.drain();
    openPagemap();
    opened = { host };
  } catch (error) {
    opened = { error };
  }
  flushCompileCache();
  confinement = confine(parentPid);
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

/** Its tenant's sandboxes are counted from now on, in a table that comes as a descriptor. */
function joinAccount(given: Account): void {
  const [fd] = receiveDescriptors(HANDOVER_FD, 1);
  try {
    account = TenantAccount.map(kvmHost().kvm.arena, fd, given);
  } finally {
    closeSync(fd);
  }
}

/** `isForRun`: that begins at once. */
function forkSandbox(sandbox: number, isForRun: boolean, { template: name, memoryBytes, pooled, reuse, stateful }: ForkOptions): Guest {
  const template = templates.get(name);
  const pool = pools.get(name);
  if (!template || !pool) throw new OffshootError('template-unknown', `Template "${name}" is not loaded.`);
  const fromPool = (): Guest => (stateful && !reuse ? pool.takeSession(memoryBytes) : pool.take(memoryBytes, reuse));
  const guest = pooled ? fromPool() : Guest.fork(kvmHost(), template, memoryBytes, !isForRun);
  poolOf.set(guest, pool);
  if (reuse) reusable.set(guest, memoryBytes);
  guest.willBeRewound = reuse;
  if (account) guest.join(account);
  listen(guest, sandbox);
  guests.set(sandbox, guest);
  if (!isForRun) slots.waits(guest);
  if (stateful) openSession(guest, sandbox, stateful);
  return guest;
}

/** What a guest says goes to the caller, under its number. */
function listen(guest: Guest, sandbox: number): void {
  guest.attach({
    output: (stream, bytes, sent) => {
      const message: FromWorker = stream === TRACE_STREAM ? { type: 'trace', sandbox } : { type: 'output', sandbox, stream: stream === 2 ? 2 : 1 };
      const pacing = stream === TRACE_STREAM ? undefined : paced.get(sandbox);
      pacing?.sent(bytes.length, sent);
      sendPieces(message, bytes, pacing ? undefined : sent);
    },
    want: (tree, entry) => send({ type: 'want', sandbox, tree, entry }),
    wake: () => scheduler.wake(guest),
  });
}

/** From now on it has many runs: `program` messages. */
function openSession(guest: Guest, sandbox: number, options: StatefulOptions): void {
  guest.prepareToBranch();
  guest.open(options, sessionEvents(guest), (end) => isOver(sandbox, end));
  scheduler.wake(guest);
}

function sessionEvents(guest: Guest): SessionEvents {
  return {
    output: (number, stream, bytes, sent) => {
      const pacing = paced.get(number);
      pacing?.sent(bytes.length, sent);
      sendPieces({ type: 'output', sandbox: number, stream: stream === 2 ? 2 : 1 }, bytes, pacing ? undefined : sent);
    },
    wake: () => scheduler.wake(guest),
  };
}

function isOver(sandbox: number, { limit, reason }: RunEnd): void {
  send({ type: 'over', sandbox, limit, reason: reason ?? 'its first program ended.' });
}

function branch(source: Guest, numbers: readonly number[]): Guest[] {
  try {
    return source.branch(numbers.map((number) => (end) => isOver(number, end)));
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new OffshootError('host-memory', `The host has no room for ${numbers.length} more sandboxes: ${error.message}.`);
  }
}

/** Copies of a stateful sandbox, all or none. */
function branchSandbox({ sandbox, branches }: Extract<ToWorker, { type: 'branch' }>): void {
  const source = guests.get(sandbox);
  if (!source?.session || !source.isLive) throw new OffshootError('sandbox-ended', 'This sandbox has ended.');
  const made = branch(source, branches);
  made.forEach((guest, i) => {
    guests.set(branches[i], guest);
    listen(guest, branches[i]);
    if (account) guest.join(account);
    guest.session?.listen(sessionEvents(guest));
    scheduler.wake(guest);
  });
}

/** Of an open stateful sandbox. Throws OffshootError. */
function sessionOf(sandbox: number): Session {
  const session = guests.get(sandbox)?.session;
  if (!session) throw new OffshootError('sandbox-ended', 'This sandbox is closed.');
  return session;
}

function startProgram({ call, sandbox, number, options }: Extract<ToWorker, { type: 'program' }>, code: Buffer): void {
  if (options.paced) paced.set(number, new Pacing());
  // A piece of what came, which is reused: it may have to wait.
  const job = sessionOf(sandbox).add(number, options, Buffer.from(code));
  if (job.log) return send({ type: 'started', call, pid: job.process?.pid ?? 0 });
  job.whenOver((end) => {
    paced.delete(number);
    send({ type: 'end', call, end });
    refillSoon();
  });
}

function sendPieces(message: FromWorker, bytes: Uint8Array, sent: (() => void) | undefined): void {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
    const isLast = at + PIECE_BYTES_MAX >= bytes.length;
    send(message, bytes.subarray(at, at + PIECE_BYTES_MAX), isLast ? sent : undefined);
  }
}

/** Answers when the run has ended, in the same turn: its last output and its end leave in one write. */
function runGuest({ call, sandbox, options, fork }: Extract<ToWorker, { type: 'run' }>, code: Buffer): void {
  const guest = fork ? forkSandbox(sandbox, true, fork) : guests.get(sandbox);
  if (!guest) throw new OffshootError('sandbox-ended', 'This sandbox is closed.');
  const { request } = options;
  if (options.paced) paced.set(sandbox, new Pacing());
  const pool = poolOf.get(guest);
  const whole = { ...options, request: request.kind === 'code' ? { ...request, code } : request };
  const onEnd = (end: RunEnd): void => {
    if (end.limit !== 'kernel-bug' && options.collect) sendFiles(guest, sandbox, options.collect);
    if (fork) guest.leave();
    channel.sendNow({ type: 'end', call, end } satisfies FromWorker);
    if (request.kind === 'code' && !reusable.has(guest)) pool?.noteEnd(guest);
    setTimeout(() => {
      if (fork) closeGuest(sandbox);
      refillSoon();
    }, AFTERWARDS_MS);
  };
  try {
    guest.start(whole, onEnd);
  } catch (error) {
    if (fork) closeGuest(sandbox); // nobody else knows of it
    throw error;
  }
  pool?.noteStart(whole);
  if (options.noStdin) guest.stdin(null);
  scheduler.wake(guest);
}

/** What the run leaves behind, in pieces. */
function sendFiles(guest: Guest, sandbox: number, wanted: CollectOptions): void {
  collect(guest.kernel, wanted, (path, content, problem) => {
    const pieces = Math.max(1, Math.ceil((content?.length ?? 0) / PIECE_BYTES_MAX));
    for (let i = 0; i < pieces; i++) {
      const bytes = content?.subarray(i * PIECE_BYTES_MAX, (i + 1) * PIECE_BYTES_MAX);
      send({ type: 'file', sandbox, path, last: i === pieces - 1, problem }, bytes);
    }
  });
}

/** Puts together what comes in pieces. */
function content({ sandbox, tree, entry, last, errno }: Extract<ToWorker, { type: 'content' }>, bytes: Buffer): void {
  const guest = guests.get(sandbox);
  if (!guest) return; // it was closed meanwhile
  const files = contents.get(guest) ?? new Map<string, Buffer[]>();
  contents.set(guest, files);
  const key = `${tree} ${entry}`;
  const pieces = files.get(key) ?? [];
  pieces.push(Buffer.from(bytes));
  files.set(key, pieces);
  if (!last) return;
  files.delete(key);
  guest.content(tree, entry, errno ?? Buffer.concat(pieces));
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
  if (scheduler.isBusy && pool.hasLearned) { // a worker that is always busy needs it most
    isRefilling = true;
    setTimeout(refill, BUSY_MS);
    return;
  }
  const start = performance.now();
  pool.step();
  share.use(performance.now() - start); // the tenant's runs made it necessary
  refillSoon();
}

function closeGuest(sandbox: number): void {
  const guest = guests.get(sandbox);
  if (!guest) return;
  guests.delete(sandbox);
  paced.delete(sandbox);
  scheduler.remove(guest);
  slots.forget(guest);
  const pool = poolOf.get(guest);
  const memoryBytes = reusable.get(guest);
  if (!pool || memoryBytes === undefined) return guest.destroy();
  pool.giveBack(guest, memoryBytes);
  refillSoon();
}

function receive(message: ToWorker, bytes: Buffer): void {
  switch (message.type) {
    case 'stdin':
      return stdin(message.sandbox, bytes, message.last);
    case 'content':
      return content(message, bytes);
    case 'cancel':
      return guests.get(message.sandbox)?.stop(message.why ?? 'cancelled');
    case 'taken':
      return paced.get(message.sandbox)?.take(message.bytes);
    case 'close':
      return closeGuest(message.sandbox);
    case 'stop':
      return guests.get(message.sandbox)?.session?.stop(message.number, message.why);
    case 'shed':
      return shed();
    case 'share':
      return share.set(message.share);
    default:
      return perform(message, bytes);
  }
}

/** If the host runs out of memory all the same, its kernel takes a worker before anything else (proc_pid_oom_score_adj(5)). */
function volunteer(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch { /* a sandboxed /proc: then by size, as usual */ }
}

/** Gives memory back: ends the sandbox of which that gives back most. */
function shed(): void {
  const sizes = [...guests].map(([sandbox, guest]) => ({ sandbox, guest, bytes: guest.ownBytes })).sort((a, b) => b.bytes - a.bytes);
  if (sizes.length === 0) return;
  sizes[0].guest.stop('memory');
  setImmediate(closeGuest, sizes[0].sandbox);
}

/** The caller watches the host's memory, and cannot see what lies in layers. */
function reportLayers(): void {
  if (Math.abs(allLayers.bytes - reportedBytes) < REPORT_BYTES && allLayers.bytes > 0) return;
  if (allLayers.bytes === reportedBytes) return;
  reportedBytes = allLayers.bytes;
  send({ type: 'layers', bytes: reportedBytes });
}

function stdin(sandbox: number, bytes: Buffer, last: boolean): void {
  const guest = guests.get(sandbox);
  if (bytes.length > 0) guest?.stdin(bytes);
  if (last) guest?.stdin(null);
}

function perform(message: Request & { readonly call: number }, bytes: Buffer): void {
  const { call } = message;
  try {
    switch (message.type) {
      case 'template':
        return send({ type: 'fits', call, fits: loadTemplate(message.header, message.indexBytes) });
      case 'account':
        joinAccount(message.account);
        return send({ type: 'done', call });
      case 'fork':
        forkSandbox(message.sandbox, false, message.fork);
        if (message.fork.stateful) refillSoon();
        return send({ type: 'done', call });
      case 'run':
        return runGuest(message, bytes);
      case 'program':
        return startProgram(message, bytes);
      case 'input':
        return sessionOf(message.sandbox).stdin(message.number, Buffer.from(bytes), message.last, () => send({ type: 'done', call }));
      case 'await':
        return sessionOf(message.sandbox).background(message.number).whenOver((end) => send({ type: 'end', call, end }));
      case 'signal':
        return send({ type: 'signalled', call, isAlive: sessionOf(message.sandbox).signal(message.number, message.signo) });
      case 'tail':
        return sessionOf(message.sandbox).background(message.number).tail(message, (piece) => {
          if (piece) send({ type: 'tail', call, stream: piece.stream, at: piece.at }, piece.bytes.subarray(0, PIECE_BYTES_MAX));
          else send({ type: 'tail', call, stream: 0, at: 0 });
        });
      case 'context':
        sessionOf(message.sandbox).changeContext(message.context, message.init);
        return send({ type: 'done', call });
      case 'files': {
        const { answer, bytes: found } = sessionOf(message.sandbox).visit(message.operation, bytes);
        guests.get(message.sandbox)?.recount();
        return send({ type: 'files', call, answer }, found);
      }
      case 'measure':
        return send({ type: 'measured', call, stats: sessionOf(message.sandbox).measure() });
      case 'branch':
        branchSandbox(message);
        return send({ type: 'done', call });
      case 'selftest':
        return send({ type: 'selftest', call, report: { ...kvmHost().selfTest, confinement } });
    }
  } catch (error) {
    refuse(call, error);
  }
}

function refuse(call: number, error: unknown): void {
  const { code, message, errno } = explain(error);
  send({ type: 'error', call, code, message, ...(errno === undefined ? {} : { errno }) });
}

allLayers.changed = reportLayers;
volunteer();
start(process.argv[2], Number(process.argv[3]));
// The terminal's Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => {});
// A terminal that changes its size says so to this process too. Node's streams on it would ask for the size, which a confined process may not.
for (const { isTTY } of [process.stdout, process.stderr]) if (isTTY) process.removeAllListeners('SIGWINCH');
