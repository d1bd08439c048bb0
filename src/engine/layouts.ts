// Layouts: what is fixed when a program starts (addresses, stack canary, pointer guard, hash seed) is the same in all forks of one
// build of a template. So each tenant gets a build of its own, and a new one after so many forks or so much time. Such a file
// has no name once it is open: it is gone with the engine.
//
// The template in the home directory is the default tenant's, until its first rotation.
//
// Interface: Layouts: `provide` a template to a worker of a tenant, `noteFork`, `close`.

import { rmSync } from 'node:fs';
import { build } from './builderclient.ts';
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
  /** And after so many milliseconds; default an hour, 0 for never. */
  readonly ms?: number;
}

/** Whose runs are those without a tenant. */
export const DEFAULT_TENANT = 'default';

const FORKS = 10_000;
const MS = 3_600_000;

interface Layout {
  /** Null: the template of the home directory. */
  readonly offer: Offer | null;
  sinceMs: number;
  forks: number;
  /** Who needs its files: being the current one is one use, being handed to a worker another. */
  users: number;
}

function newLayout(offer: Offer | null): Layout {
  return { offer, sinceMs: performance.now(), forks: 0, users: 1 };
}

/** One use of a layout is over; with the last its files are closed. */
function leave(layout: Layout): void {
  if (--layout.users === 0 && layout.offer) closeOffer(layout.offer);
}

/** Makes a build of a template that only this engine knows. */
type MakeBuild = (template: string) => Promise<Offer>;

export class Layouts {
  private readonly home: string;
  private readonly init: Required<LayoutInit>;
  private readonly onProgress: ((progress: Progress) => void) | undefined;
  private readonly makeBuild: MakeBuild;
  private readonly current = new Map<string, Promise<Layout>>();
  /** Those of `current` that are there. */
  private readonly made = new Map<string, Layout>();
  private readonly replacing = new Set<string>();
  /** A tenant has a new build of a template: all its workers should have it. */
  onRotated: (tenant: string, template: string, offer: Offer) => Promise<void> = async () => {};
  private closed = false;

  /** `makeBuild`: tests have their own. */
  constructor(home: string, init: LayoutInit, onProgress: ((progress: Progress) => void) | undefined, makeBuild?: MakeBuild) {
    this.home = home;
    this.init = { perTenant: init.perTenant ?? true, forks: init.forks ?? FORKS, ms: init.ms ?? MS };
    this.onProgress = onProgress;
    this.makeBuild = makeBuild ?? ((template) => buildLayout(home, template, onProgress));
  }

  /** Loads the tenant's build of a template into one of its workers, making it first when there is none. Throws OffshootError. */
  async provide(worker: WorkerClient, tenant: string, template: string, rebuild: boolean): Promise<TemplateHeader> {
    const key = keyOf(tenant, template);
    if (rebuild) await this.forget(key);
    const isShared = tenant === DEFAULT_TENANT || !this.init.perTenant;
    const known = this.current.get(key) ?? this.start(key, isShared ? Promise.resolve(newLayout(null)) : this.make(template));
    const layout = await known;
    if (!layout.offer) return provideTemplate(worker, this.home, template, rebuild, this.onProgress);
    layout.users++;
    const header = await handOver(worker, layout.offer).finally(() => leave(layout));
    if (!header) throw new OffshootError('internal', `The template "${template}" does not fit this worker's processor.`);
    return header;
  }

  /** A sandbox is forked. In the background a build that has served its time is replaced. */
  noteFork(tenant: string, template: string): void {
    const key = keyOf(tenant, template);
    const layout = this.made.get(key);
    if (!layout) return;
    layout.forks++;
    const { forks, ms } = this.init;
    const isDue = (forks > 0 && layout.forks >= forks) || (ms > 0 && performance.now() - layout.sinceMs >= ms);
    if (!isDue || this.replacing.has(key) || this.closed) return;
    this.replacing.add(key);
    void this.replace(tenant, template, layout).finally(() => this.replacing.delete(key));
  }

  /** A template is another one now: builds of the old one are given up, and who forks next gets a new one. `tenant` has it already. */
  async forgetTemplate(template: string, tenant?: string): Promise<void> {
    const has = tenant === undefined ? null : keyOf(tenant, template);
    const keys = [...this.current.keys()].filter((key) => key.startsWith(keyOf('', template)) && key !== has);
    await Promise.all(keys.map((key) => this.forget(key)));
  }

  /** Gives all files up. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.current.keys()].map((key) => this.forget(key)));
  }

  private async replace(tenant: string, template: string, old: Layout): Promise<void> {
    const key = keyOf(tenant, template);
    const made = await this.make(template).catch(() => null);
    if (!made) {
      Object.assign(old, { sinceMs: performance.now(), forks: 0 }); // it goes on for as long again
      return;
    }
    if (this.closed || this.made.get(key) !== old) return leave(made); // the template is another one since
    this.start(key, Promise.resolve(made));
    leave(old);
    made.users++;
    await this.onRotated(tenant, template, made.offer as Offer).finally(() => leave(made));
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
    const known = await layout?.catch(() => null);
    if (known) leave(known);
  }

  private async make(template: string): Promise<Layout> {
    return newLayout(await this.makeBuild(template));
  }
}

async function buildLayout(home: string, template: string, onProgress: ((progress: Progress) => void) | undefined): Promise<Offer> {
  const path = layoutPath(home);
  try {
    await build({ home, name: template, rebuild: true, layout: path }, onProgress);
    return openLayout(home, template, path);
  } finally {
    rmSync(path, { force: true });
  }
}

function keyOf(tenant: string, template: string): string {
  return `${template}\0${tenant}`;
}
