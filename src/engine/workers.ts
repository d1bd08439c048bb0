// The worker processes of an engine: which tenant each serves, which of them gets the next sandbox, when another is started and
// when one ends.
//
// A worker serves one tenant in its life: no two tenants share a heap or a mapping, and a worker that is not needed is ended, never
// passed on. Each holds a bounded number of sandboxes, so the cost of a run does not grow with what lives elsewhere. Who finds no room
// waits (queue.ts); when all processes are taken, the tenant with the most gives one up as soon as nothing runs in it.

import { OffshootError } from './errors.ts';
import type { HostMemory } from './hostmemory.ts';
import { Layouts, type LayoutInit } from './layouts.ts';
import { MemoryGuard, ownBytes } from './memoryguard.ts';
import { Place, type Lease } from './place.ts';
import type { Progress } from './protocol.ts';
import { FairQueue, type QueueLimits, type Waiting } from './queue.ts';
import type { CancelSignal } from './run.ts';
import type { TemplateHeader } from './templatefile.ts';
import { TenantLedger } from './tenantledger.ts';
import { TenantOutput, accountLimits, type TenantLimits } from './tenantlimits.ts';
import { WorkerClient } from './workerclient.ts';

/** What lives and waits now. */
export interface EngineStats {
  /** Worker processes. */
  readonly workers: number;
  /** Live sandboxes of all tenants. */
  readonly sandboxes: number;
  /** Runs that wait for a worker. */
  readonly waiting: number;
  /** Memory of the workers that they share with no file: what ending them gives back. */
  readonly workerBytes: number;
}

export interface WorkersInit {
  readonly home: string;
  /** Processes over which the runs of one tenant are spread. */
  readonly workers: number;
  /** Most processes of all tenants. */
  readonly processes: number;
  /** Runs at a time in one process, and live sandboxes. */
  readonly slots: number;
  readonly sandboxes: number;
  /** A worker without sandboxes is ended after so long. */
  readonly idleMs: number;
  readonly queue: QueueLimits;
  readonly tenant: TenantLimits;
  readonly memory: HostMemory;
  readonly layouts: LayoutInit;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/** What is wanted: room for one sandbox. */
export interface PlaceRequest extends Waiting {
  readonly template: string;
  /** A fork lives until it is closed and is refused when its tenant has too many; a run waits. */
  readonly kind: 'run' | 'fork';
  readonly memoryBytes: number;
  readonly signal: CancelSignal | undefined;
}

interface Ticket extends PlaceRequest {
  readonly resolve: (lease: Lease | null) => void;
  readonly reject: (error: unknown) => void;
}

interface Usage { sandboxes: number; memoryBytes: number; readonly output: TenantOutput }

/** A tenant may have as many processes at a time, and as many that are about to end. */
const ENDING_FACTOR = 2;
/** A worker that is fuller is not one of those over which a tenant's runs are spread: it will take no more soon. */
const ROOMY = 7 / 8;

/** What a sandbox costs when it starts, and a worker process with its first templates. */
const SANDBOX_BYTES = 4 << 20;
const WORKER_BYTES = 96 << 20;

export class Workers {
  private readonly init: WorkersInit;
  private readonly places: Place[] = [];
  private readonly queue: FairQueue<Ticket>;
  /** What is known of templates that have been loaded. */
  private readonly headers = new Map<string, TemplateHeader>();
  private readonly usage = new Map<string, Usage>();
  private readonly guard: MemoryGuard;
  private readonly layouts: Layouts;
  private readonly ledger: TenantLedger;
  /** Started, and not anybody's yet. */
  private spare: WorkerClient | null;
  private hasManyTenants = false;
  private nextNumber = 1;
  private closed = false;

  constructor(init: WorkersInit) {
    this.init = init;
    this.queue = new FairQueue(init.queue);
    this.ledger = new TenantLedger(accountLimits(init.tenant), ENDING_FACTOR * init.processes);
    this.layouts = new Layouts(init.home, init.layouts, init.onProgress);
    this.layouts.onRotated = async (tenant, template, offer) => {
      // A worker that is lost meanwhile needs none.
      await Promise.allSettled(this.places.filter((place) => place.tenant === tenant).map((place) => place.replace(template, offer)));
    };
    const isServed = (tenant: string, template: string): boolean => this.places.some((place) => place.tenant === tenant && place.wants(template));
    this.layouts.isServed = isServed;
    this.guard = new MemoryGuard(init.memory, () =>
      this.places.filter((place) => place.sandboxes > 0).map((place) => place.worker));
    this.spare = new WorkerClient(init.home);
  }

  /** Room for a sandbox in a worker of the tenant that has the template; null when the request's signal came first. Throws OffshootError. */
  async acquire(request: PlaceRequest): Promise<Lease | null> {
    this.checkOpen();
    const { signal, template } = request;
    if (signal?.aborted) return null;
    const now = this.queue.hasTenant(request.tenant) ? null : this.tryPlace(request);
    const lease = now ?? await this.wait(request);
    if (!lease) return null;
    try {
      const isThere = lease.place.has(template) || await unlessAborted(this.loadInto(lease.place, template, false), signal);
      if (isThere) {
        this.layouts.noteFork(request.tenant, template);
        return lease;
      }
    } catch (error) {
      lease.release();
      throw error;
    }
    lease.release();
    return null;
  }

  /** Loads a template into a worker of the tenant, building it first where needed. Throws OffshootError. */
  async load(tenant: string, template: string, rebuild: boolean): Promise<TemplateHeader> {
    this.checkOpen();
    const place = this.placesOf(tenant)[0] ?? this.start(tenant);
    if (!place) throw new OffshootError('busy', 'All worker processes are in use: try again when some runs have ended.');
    const header = await this.loadInto(place, template, rebuild);
    if (rebuild) {
      await this.layouts.forgetTemplate(template, tenant);
      for (const other of this.places) if (other !== place) other.forget(template);
    }
    return header;
  }

  /** What a template is, once it has been loaded. */
  header(template: string): TemplateHeader | undefined {
    return this.headers.get(template);
  }

  stats(): EngineStats {
    const sandboxes = this.places.reduce((sum, place) => sum + place.sandboxes, 0);
    const workerBytes = this.places.reduce((sum, { worker }) => sum + ownBytes(worker.pid ?? 0), 0);
    return { workers: this.processes, sandboxes, waiting: this.queue.size, workerBytes };
  }

  /** A template's file is gone. */
  forget(template: string): void {
    this.headers.delete(template);
    void this.layouts.forgetTemplate(template);
    for (const place of this.places) place.forget(template);
  }

  /** Some worker of the tenant. */
  any(tenant: string): WorkerClient {
    this.checkOpen();
    const worker = (this.placesOf(tenant)[0] ?? this.start(tenant))?.worker;
    if (!worker) throw new OffshootError('busy', 'All worker processes are in use: try again when some runs have ended.');
    return worker;
  }

  /** Ends all workers and with them all sandboxes. */
  async close(): Promise<void> {
    this.closed = true;
    this.guard.stop();
    for (const ticket of this.queue.drain()) ticket.reject(new OffshootError('closed', 'The engine is closed.'));
    const workers = this.places.map((place) => place.worker);
    if (this.spare) workers.push(this.spare);
    await Promise.all([this.layouts.close(), ...workers.map((worker) => worker.close())]);
  }

  private checkOpen(): void {
    if (this.closed) throw new OffshootError('closed', 'The engine is closed.');
  }

  private async loadInto(place: Place, template: string, rebuild: boolean): Promise<TemplateHeader> {
    const header = await place.load(template, rebuild);
    this.headers.set(template, header);
    return header;
  }

  private placesOf(tenant: string): Place[] {
    return this.places.filter((place) => place.tenant === tenant && !place.isDraining);
  }

  private wait(request: PlaceRequest): Promise<Lease | null> {
    return new Promise((resolve, reject) => {
      const { signal } = request;
      const cancel = (): void => {
        if (this.queue.drop(ticket)) resolve(null);
      };
      const forget = (): void => signal?.removeEventListener('abort', cancel);
      const ticket: Ticket = {
        ...request,
        resolve: (lease) => {
          forget();
          resolve(lease);
        },
        reject: (error) => {
          forget();
          reject(error);
        },
      };
      this.queue.push(ticket);
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** Gives room to those who wait, a tenant at a time; first who has the fewest workers. */
  private pump(): void {
    for (let placed = true; placed && !this.closed;) {
      placed = false;
      const heads = this.queue.heads().map((ticket) => ({ ticket, places: this.placesOf(ticket.tenant).length }));
      heads.sort((a, b) => a.places - b.places);
      for (const { ticket } of heads) {
        try {
          const lease = this.tryPlace(ticket);
          if (!lease) continue;
          this.queue.take(ticket);
          ticket.resolve(lease);
        } catch (error) {
          this.queue.take(ticket);
          ticket.reject(error);
        }
        placed = true;
      }
    }
  }

  /** Null: it has to wait. Throws OffshootError when waiting would not help. */
  private tryPlace(request: PlaceRequest): Lease | null {
    if (!this.isWithinLimits(request)) return null;
    const place = this.choose(request);
    return place ? this.placeIn(place, request) : null;
  }

  /** Throws OffshootError 'host-memory'. */
  private placeIn(place: Place, request: PlaceRequest): Lease {
    this.init.memory.admit(SANDBOX_BYTES);
    const { tenant, memoryBytes } = request;
    const usage = this.usage.get(tenant) ?? this.noUsage();
    this.usage.set(tenant, usage);
    usage.sandboxes++;
    usage.memoryBytes += memoryBytes;
    this.guard.start();
    const { output } = usage;
    const more = (count: number): Lease[] => this.more(place, request, count);
    const given = { output, timeoutMsMax: this.init.tenant.timeoutMs, newNumber: () => this.nextNumber++, more };
    return place.lease(request.kind, given, () => {
      usage.sandboxes--;
      usage.memoryBytes -= memoryBytes;
      if (usage.sandboxes === 0) this.usage.delete(tenant);
      if (place.sandboxes === 0) this.idle(place);
      this.pump();
    });
  }

  /** Room for `count` more sandboxes like the one `request` was for, beside it: all or none. Throws OffshootError. */
  private more(place: Place, request: PlaceRequest, count: number): Lease[] {
    this.checkOpen();
    const room = place.isDraining ? 0 : Math.max(0, this.init.sandboxes - place.sandboxes);
    if (count > room) {
      throw new OffshootError('busy', `The process of this sandbox has room for ${room} more of at most ${this.init.sandboxes}, not for ${count}: `
        + 'close some of those in it first.');
    }
    const leases: Lease[] = [];
    try {
      for (let i = 0; i < count; i++) {
        this.isWithinLimits({ ...request, kind: 'fork' });
        leases.push(this.placeIn(place, request));
      }
      return leases;
    } catch (error) {
      for (const lease of leases) lease.release();
      throw error;
    }
  }

  private noUsage(): Usage {
    return { sandboxes: 0, memoryBytes: 0, output: new TenantOutput(this.init.tenant.outputBytes) };
  }

  private isWithinLimits({ tenant, kind, memoryBytes }: PlaceRequest): boolean {
    const limits = this.init.tenant;
    const usage = this.usage.get(tenant) ?? this.noUsage();
    const sandboxesMax = Math.min(limits.sandboxes, limits.processes); // each has one, at least
    const hasRoom = usage.sandboxes < sandboxesMax && usage.memoryBytes + memoryBytes <= limits.memoryBytes;
    if (hasRoom || (kind === 'run' && memoryBytes <= limits.memoryBytes)) return hasRoom;
    throw new OffshootError('tenant-limit', usage.sandboxes >= sandboxesMax
      ? `This tenant has ${usage.sandboxes} live sandboxes, which is its limit${limits.processes < limits.sandboxes ? ' of processes' : ''}: close some first.`
      : `The memory limits of this tenant's sandboxes may not pass ${Math.floor(limits.memoryBytes / 2 ** 20)} MB together: close some first.`);
  }

  /** The least loaded worker that has room. Another one is started when that one is busy, or there is none. */
  private choose({ tenant, kind, template }: PlaceRequest): Place | null {
    const mine = this.placesOf(tenant);
    const { slots, sandboxes } = this.init;
    const open = mine.filter((place) => place.sandboxes < sandboxes && (kind === 'fork' || place.runs < slots));
    const ready = open.filter((place) => place.has(template));
    const best = leastLoaded(ready.length > 0 ? ready : open);
    const roomy = mine.filter((place) => place.sandboxes < ROOMY * sandboxes);
    const mayGrow = roomy.length < Math.min(this.init.workers, Math.ceil(this.init.tenant.cpus)) || (kind === 'fork' && !best);
    if (!mayGrow || best?.sandboxes === 0) return best;
    if (!best) return this.start(tenant);
    // It takes a while to start: this request goes to the one that is there.
    const more = this.startIfEasy(tenant);
    if (more) this.loadInto(more, template, false).then(() => this.pump(), () => { /* whoever needs it will be told */ });
    return best;
  }

  /** Another worker while there is room and memory for it; nobody gives one up. */
  private startIfEasy(tenant: string): Place | null {
    try {
      return this.processes < this.init.processes ? this.start(tenant) : null;
    } catch {
      return null;
    }
  }

  private get processes(): number {
    return this.places.length + (this.spare ? 1 : 0);
  }

  /** A new worker for the tenant; null when all processes are taken. Throws OffshootError 'host-memory'. */
  private start(tenant: string): Place | null {
    const { spare } = this;
    if ((!spare || spare.isGone) && this.processes >= this.init.processes && !this.makeRoom(tenant)) return null;
    if (!spare || spare.isGone) this.init.memory.admit(WORKER_BYTES);
    const worker = spare && !spare.isGone ? spare : new WorkerClient(this.init.home);
    this.spare = null;
    this.hasManyTenants ||= this.places.some((place) => place.tenant !== tenant);
    const place = new Place(worker, tenant, this.layouts, this.ledger.join(tenant, worker));
    this.places.push(place);
    this.share(tenant);
    const gone = (): void => this.gone(place);
    worker.onGone = gone;
    if (this.hasManyTenants) setImmediate(() => this.startSpare());
    return place;
  }

  /** Where tenants come and go, the next one finds a process that has started. */
  private startSpare(): void {
    if (this.closed || this.spare || this.processes >= this.init.processes) return;
    try {
      this.init.memory.admit(WORKER_BYTES);
      this.spare = new WorkerClient(this.init.home);
    } catch { /* no memory for what nobody waits for */ }
  }

  /** Ends a worker that nobody uses; where there is none, one of the tenant with the most gets no more sandboxes. */
  private makeRoom(tenant: string): boolean {
    const others = this.places.filter((place) => place.tenant !== tenant);
    const unused = others.filter((place) => place.isUnused).sort((a, b) => a.usedMs - b.usedMs)[0];
    if (unused) {
      this.end(unused);
      return true;
    }
    if (this.placesOf(tenant).length > 0 || others.some((place) => place.isDraining)) return false;
    const counts = new Map<string, number>();
    for (const place of others) counts.set(place.tenant, (counts.get(place.tenant) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const victims = others.filter((place) => counts.get(place.tenant) === most).sort((a, b) => a.sandboxes - b.sandboxes || a.startedMs - b.startedMs);
    if (victims.length > 0) victims[0].isDraining = true;
    return false;
  }

  private idle(place: Place): void {
    place.usedMs = performance.now();
    if (place.worker.isGone) return;
    if (place.isDraining) return this.end(place);
    place.afterIdle(this.init.idleMs, () => {
      const isLast = this.places.every((other) => other === place);
      if (place.isUnused && !isLast) this.end(place);
    });
  }

  private end(place: Place): void {
    this.remove(place);
    place.stopTimer();
    void place.worker.close();
    setImmediate(() => this.pump());
  }

  private gone(place: Place): void {
    this.remove(place);
    place.releaseAll();
    this.pump();
  }

  private remove(place: Place): void {
    const at = this.places.indexOf(place);
    if (at >= 0) this.places.splice(at, 1);
    this.share(place.tenant);
    if (!this.places.some(({ tenant }) => tenant === place.tenant)) this.layouts.noteUnserved(place.tenant);
  }

  /** A tenant's processor time is divided among its workers: that many runs spread over them evenly. */
  private share(tenant: string): void {
    const { cpus } = this.init.tenant;
    if (cpus === Infinity) return;
    const mine = this.places.filter((place) => place.tenant === tenant);
    for (const { worker } of mine) if (!worker.isGone) worker.post({ type: 'share', share: cpus / mine.length });
  }
}

function leastLoaded(places: readonly Place[]): Place | null {
  return places.reduce<Place | null>((best, place) => (best && best.sandboxes <= place.sandboxes ? best : place), null);
}

/** False when the signal came first. */
function unlessAborted(work: Promise<unknown>, signal: CancelSignal | undefined): Promise<boolean> {
  if (!signal) return work.then(() => true);
  return new Promise((resolve, reject) => {
    const abort = (): void => resolve(false);
    signal.addEventListener('abort', abort, { once: true });
    work.then(() => resolve(true), reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
