// Layouts: what is fixed when a program starts (addresses, stack canary, pointer guard, hash seed) is the same in all forks of one
// build of a template. So each tenant gets a build of its own, and a new one after so many forks or so much time. Such a file
// has no name once it is open: it is gone with the engine.
//
// The time of a build begins with its first fork: before, nobody can have seen what is in it. So a tenant that does nothing gets one new build,
// and no other until it has used that. One without a process gets none: when its time is over its build is given up, and made anew for the next use.
//
// The template in the home directory is the default tenant's, until its first rotation.
//
// Interface: Layouts: `provide` a template to a worker of a tenant, `noteFork`, `noteUnserved`, `close`.

import { rmSync } from 'node:fs';
import { build } from './builderclient.ts';
import { BuildTurns } from './buildturns.ts';
import { OffshootError } from './errors.ts';
import { layoutPath } from './home.ts';
import type { Progress } from './protocol.ts';
import { closeOffer, handOver, openLayout, provideTemplate, type Offer } from './provide.ts';
import type { TemplateHeader } from './templatefile.ts';
import type { WorkerClient } from './workerclient.ts';

/** Whose runs share a build of a template, and for how long. */
export interface LayoutInit {
  /** False: all tenants share the template of the home directory until it is rotated. Default true. */
  readonly perTenant?: boolean;
  /** A build is replaced after so many forks; default 10,000, 0 for never. */
  readonly forks?: number;
  /** And so many milliseconds after its first fork; default an hour, 0 for never. */
  readonly ms?: number;
}

/** Whose runs are those without a tenant. */
export const DEFAULT_TENANT = 'default';

const FORKS = 10_000;
const MS = 3_600_000;
/** What setTimeout takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Builds of tenants that have no process are files of some 60 MB each: the oldest beyond so many are given up. */
const UNSERVED_MAX = 64;

interface Layout {
  readonly tenant: string;
  readonly template: string;
  /** Null: the template of the home directory. */
  readonly offer: Offer | null;
  forks: number;
  /** With so many it is replaced. */
  forksMax: number;
  /** Until it is replaced or given up; null before its first fork. */
  timer: NodeJS.Timeout | null;
  /** Who needs its files: being the current one is one use, being handed to a worker another. */
  users: number;
}

/** One use of a layout is over; with the last its files are closed. */
function leave(layout: Layout): void {
  if (--layout.users === 0 && layout.offer) closeOffer(layout.offer);
}

/** Makes a build of a template that only this engine knows; gives up when `signal` says so. */
type MakeBuild = (template: string, signal: AbortSignal) => Promise<Offer>;

export class Layouts {
  private readonly home: string;
  private readonly init: Required<LayoutInit>;
  private readonly onProgress: ((progress: Progress) => void) | undefined;
  private readonly makeBuild: MakeBuild;
  private readonly turns = new BuildTurns();
  private readonly current = new Map<string, Promise<Layout>>();
  /** Those of `current` that are there. */
  private readonly made = new Map<string, Layout>();
  private readonly replacing = new Map<string, Promise<void>>();
  /** For whom the template of the home directory has served its time. */
  private readonly hasLeftHome = new Set<string>();
  private readonly closing = new AbortController();
  /** A tenant has a new build of a template: all its workers should have it. */
  onRotated: (tenant: string, template: string, offer: Offer) => Promise<void> = async () => {};
  /** Whether a worker of the tenant has the template, or is about to. */
  isServed: (tenant: string, template: string) => boolean = () => true;

  /** `makeBuild`: tests have their own. Throws OffshootError 'bad-argument'. */
  constructor(home: string, init: LayoutInit, onProgress: ((progress: Progress) => void) | undefined, makeBuild?: MakeBuild) {
    this.home = home;
    this.init = { perTenant: init.perTenant ?? true, forks: numberFrom0('forks', init.forks ?? FORKS), ms: numberFrom0('ms', init.ms ?? MS) };
    this.onProgress = onProgress;
    this.makeBuild = makeBuild ?? ((template, signal) => buildLayout(home, template, onProgress, signal));
  }

  /** Loads the tenant's build of a template into one of its workers, making it first when there is none. Throws OffshootError. */
  async provide(worker: WorkerClient, tenant: string, template: string, rebuild: boolean): Promise<TemplateHeader> {
    const key = keyOf(tenant, template);
    if (rebuild) await this.forget(key);
    const isHomes = (tenant === DEFAULT_TENANT || !this.init.perTenant) && !this.hasLeftHome.has(key);
    const known = this.current.get(key)
      ?? this.start(key, isHomes ? Promise.resolve(this.layoutOf(tenant, template, null)) : this.makeAwaited(tenant, template));
    const layout = await known;
    if (!layout.offer) return provideTemplate(worker, this.home, template, rebuild, this.onProgress);
    layout.users++;
    const header = await handOver(worker, layout.offer).finally(() => leave(layout));
    if (!header) throw new OffshootError('internal', `The template "${template}" does not fit this worker's processor.`);
    return header;
  }

  /** A sandbox is forked. In the background a build that has served its time is replaced. */
  noteFork(tenant: string, template: string): void {
    const layout = this.made.get(keyOf(tenant, template));
    if (!layout) return;
    if (layout.forks++ === 0 && this.init.ms > 0) this.arm(layout, this.init.ms);
    if (layout.forks >= layout.forksMax) this.replaceSoon(layout);
  }

  /** The last worker of the tenant has ended: its builds are kept for a while only. */
  noteUnserved(tenant: string): void {
    const unserved = [...this.made.values()].filter((layout) => layout.offer && !this.isServed(layout.tenant, layout.template));
    for (const layout of unserved) if (layout.tenant === tenant && !layout.timer) this.arm(layout, this.init.ms || MS);
    for (const layout of unserved.slice(0, -UNSERVED_MAX)) this.drop(layout);
  }

  /** A template is another one now: builds of the old one are given up, and who forks next gets a new one. `tenant` has it already. */
  async forgetTemplate(template: string, tenant?: string): Promise<void> {
    const has = tenant === undefined ? null : keyOf(tenant, template);
    const keys = [...this.current.keys(), ...this.hasLeftHome].filter((key) => key.startsWith(keyOf('', template)) && key !== has);
    await Promise.all(keys.map((key) => this.forget(key)));
  }

  /** Gives all files up; who waits for a build waits no more. */
  async close(): Promise<void> {
    this.turns.close();
    this.closing.abort();
    await Promise.all([...this.current.keys()].map((key) => this.forget(key)));
    await Promise.all(this.replacing.values());
  }

  private arm(layout: Layout, ms: number): void {
    const stepMs = Math.min(ms, TIMER_MS_MAX);
    if (layout.timer) clearTimeout(layout.timer);
    layout.timer = setTimeout(() => {
      layout.timer = null;
      if (ms > stepMs) this.arm(layout, ms - stepMs);
      else this.timeIsOver(layout);
    }, stepMs).unref();
  }

  private timeIsOver(layout: Layout): void {
    const isUsed = layout.forks > 0 && this.init.ms > 0;
    if (!this.isServed(layout.tenant, layout.template)) {
      if (layout.offer || isUsed) this.drop(layout);
    } else if (isUsed) {
      this.replaceSoon(layout);
    }
  }

  /** Who uses it next gets a new one. */
  private drop(layout: Layout): void {
    const key = keyOf(layout.tenant, layout.template);
    void this.forget(key);
    if (layout.tenant === DEFAULT_TENANT || !this.init.perTenant) this.hasLeftHome.add(key);
  }

  private replaceSoon(layout: Layout): void {
    const key = keyOf(layout.tenant, layout.template);
    if (this.replacing.has(key) || this.closing.signal.aborted) return;
    this.replacing.set(key, this.replace(key, layout).finally(() => this.replacing.delete(key)));
  }

  private async replace(key: string, old: Layout): Promise<void> {
    const { tenant, template } = old;
    const isWanted = (): boolean => this.made.get(key) === old; // the template is no other one since
    const isServed = (): boolean => this.isServed(tenant, template);
    const made = await this.turns.take(false, async () => (isWanted() && isServed() ? this.make(tenant, template) : null)).catch(() => null);
    if (!made && isWanted()) return isServed() ? this.renew(old) : this.drop(old);
    if (!made) return;
    if (this.closing.signal.aborted || !isWanted()) return leave(made);
    this.retire(old);
    this.start(key, Promise.resolve(made));
    made.users++;
    await this.onRotated(tenant, template, made.offer as Offer).finally(() => leave(made));
  }

  /** It goes on for as long again. */
  private renew(layout: Layout): void {
    const { forks, ms } = this.init;
    layout.forksMax = layout.forks + (forks || Infinity);
    if (ms > 0) this.arm(layout, ms);
  }

  private start(key: string, made: Promise<Layout>): Promise<Layout> {
    this.current.set(key, made);
    const isCurrent = (): boolean => this.current.get(key) === made;
    made.then((layout) => isCurrent() && this.made.set(key, layout), () => isCurrent() && this.current.delete(key));
    return made;
  }

  private async forget(key: string): Promise<void> {
    const layout = this.current.get(key);
    this.current.delete(key);
    this.made.delete(key);
    this.hasLeftHome.delete(key);
    const known = await layout?.catch(() => null);
    if (known) this.retire(known);
  }

  /** It is not the current one any more. */
  private retire(layout: Layout): void {
    if (layout.timer) clearTimeout(layout.timer);
    leave(layout);
  }

  /** A build that somebody waits for: this process does not end meanwhile. */
  private async makeAwaited(tenant: string, template: string): Promise<Layout> {
    const hold = setInterval(() => {}, TIMER_MS_MAX);
    return this.turns.take(true, () => this.make(tenant, template)).finally(() => clearInterval(hold));
  }

  private async make(tenant: string, template: string): Promise<Layout> {
    return this.layoutOf(tenant, template, await this.makeBuild(template, this.closing.signal));
  }

  private layoutOf(tenant: string, template: string, offer: Offer | null): Layout {
    return { tenant, template, offer, forks: 0, forksMax: this.init.forks || Infinity, timer: null, users: 1 };
  }
}

async function buildLayout(home: string, template: string, onProgress: ((progress: Progress) => void) | undefined, signal: AbortSignal): Promise<Offer> {
  const path = layoutPath(home);
  try {
    await build({ home, name: template, rebuild: true, layout: path }, onProgress, signal);
    return openLayout(home, template, path);
  } finally {
    rmSync(path, { force: true });
  }
}

function keyOf(tenant: string, template: string): string {
  return `${template}\0${tenant}`;
}

function numberFrom0(name: string, value: number): number {
  if (typeof value === 'number' && value >= 0) return value;
  throw new OffshootError('bad-argument', `${name} of layouts must be a number from 0.`);
}
