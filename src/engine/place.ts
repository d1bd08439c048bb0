// One worker process in the books of workers.ts: its tenant, the templates it has, the sandboxes placed in it.

import type { Layouts } from './layouts.ts';
import { handOver, type Offer } from './provide.ts';
import type { TemplateHeader } from './templatefile.ts';
import type { TenantOutput } from './tenantlimits.ts';
import type { WorkerClient } from './workerclient.ts';

/** Room for one sandbox in a worker. */
export interface Lease {
  readonly place: Place;
  /** The sandbox's number in messages. */
  readonly number: number;
  /** Of its tenant's runs. */
  readonly output: TenantOutput;
  /** The longest that one of them may take. */
  readonly timeoutMsMax: number;
  /** Another number for messages, for something in the sandbox. */
  newNumber(): number;
  /** Room for copies of the sandbox, in the same process: all or none. Throws OffshootError. */
  more(count: number): Lease[];
  /** Gives the room back. Safe to call twice. */
  release(): void;
}

export class Place {
  readonly worker: WorkerClient;
  readonly tenant: string;
  readonly startedMs = performance.now();
  /** When it last had something to do. */
  usedMs = performance.now();
  /** It gets no more sandboxes and ends with the last it has. */
  isDraining = false;
  private readonly layouts: Layouts;
  private readonly ready: Promise<void>;
  private readonly leases = new Set<Lease>();
  /** By name: loaded, or being loaded. */
  private readonly templates = new Map<string, Promise<TemplateHeader>>();
  private readonly loaded = new Set<string>();
  private loading = 0;
  private timer: NodeJS.Timeout | null = null;

  /** `ready`: resolves when templates may come. */
  constructor(worker: WorkerClient, tenant: string, layouts: Layouts, ready: Promise<void>) {
    this.worker = worker;
    this.tenant = tenant;
    this.layouts = layouts;
    this.ready = ready;
    ready.catch(() => { /* who loads a template hears of it */ });
  }

  get sandboxes(): number { return this.leases.size; }
  /** Of them those that are one run. */
  runs = 0;
  /** Nothing lives in it or is about to. */
  get isUnused(): boolean { return this.leases.size === 0 && this.loading === 0; }

  /** Whether a template can be forked at once. */
  has(template: string): boolean {
    return this.loaded.has(template);
  }

  /** Whether it has a template, or is about to. */
  wants(template: string): boolean {
    return this.templates.has(template);
  }

  /** Loads a template, building it first where needed. Rejects with OffshootError. */
  load(template: string, rebuild: boolean): Promise<TemplateHeader> {
    const known = this.templates.get(template);
    if (known && !rebuild) return known;
    const loading = this.ready.then(() => this.layouts.provide(this.worker, this.tenant, template, rebuild));
    this.templates.set(template, loading);
    this.loading++;
    const isWanted = (): boolean => this.templates.get(template) === loading; // not forgotten meanwhile
    loading.then(() => isWanted() && this.loaded.add(template), () => isWanted() && this.forget(template)).finally(() => this.loading--);
    return loading;
  }

  /** Sandboxes are forked from another build of the template from now on. */
  async replace(template: string, offer: Offer): Promise<void> {
    const known = this.templates.get(template);
    await known; // this one comes behind
    if (!known || this.templates.get(template) !== known) return;
    const header = await handOver(this.worker, offer);
    if (header && this.templates.get(template) === known) this.templates.set(template, Promise.resolve(header));
  }

  /** The template's file has changed: the next sandbox has it loaded again. */
  forget(template: string): void {
    this.templates.delete(template);
    this.loaded.delete(template);
  }

  /** Has `then` called once nothing has called this for `ms`. */
  afterIdle(ms: number, then: () => void): void {
    if (this.timer) this.timer.refresh();
    else this.timer = setTimeout(then, ms).unref();
  }

  stopTimer(): void {
    if (this.timer) clearTimeout(this.timer);
  }

  /** `newNumber` gives numbers that nobody else has; the rest is as in a lease. */
  lease(kind: 'run' | 'fork', given: Pick<Lease, 'output' | 'timeoutMsMax' | 'newNumber' | 'more'>, onRelease: () => void): Lease {
    const runs = kind === 'run' ? 1 : 0;
    const lease = {
      ...given, place: this, number: given.newNumber(),
      release: () => {
        if (!this.leases.delete(lease)) return;
        this.runs -= runs;
        onRelease();
      },
    };
    this.leases.add(lease);
    this.runs += runs;
    return lease;
  }

  releaseAll(): void {
    for (const lease of [...this.leases]) lease.release();
  }
}
