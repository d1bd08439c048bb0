// Layouts: what is fixed when a program starts (addresses, stack canary, pointer guard, hash seed) is the same in all forks of one
// build of a template. So each tenant gets a build of its own, and a new one after so many forks or so much time. Such a file
// has no name once it is open: it is gone with the engine.
//
// Interface: Layouts: `offer` for a worker of a tenant, `noteFork`, `close`.

import { rmSync } from 'node:fs';
import { build } from './builderclient.ts';
import { layoutPath } from './home.ts';
import type { Progress } from './protocol.ts';
import { closeOffer, openLayout, type Offer } from './provide.ts';

/** When a tenant's build is replaced; 0 for never. */
export interface RotationLimits {
  readonly forks: number;
  readonly ms: number;
}

interface Layout {
  readonly offer: Offer;
  readonly builtMs: number;
  forks: number;
}

export class Layouts {
  private readonly home: string;
  private readonly limits: RotationLimits;
  private readonly onProgress: ((progress: Progress) => void) | undefined;
  private readonly current = new Map<string, Promise<Layout>>();
  private readonly replacing = new Set<string>();
  /** A tenant has a new build of a template: all its workers should have it. */
  onRotated: (tenant: string, template: string, offer: Offer) => Promise<void> = async () => {};
  private closed = false;

  constructor(home: string, limits: RotationLimits, onProgress: ((progress: Progress) => void) | undefined) {
    this.home = home;
    this.limits = limits;
    this.onProgress = onProgress;
  }

  /** The tenant's build of a template, made when there is none. The offer stays ours. Throws OffshootError. */
  async offer(tenant: string, template: string): Promise<Offer> {
    const key = keyOf(tenant, template);
    let layout = this.current.get(key);
    if (!layout) {
      layout = this.make(template);
      this.current.set(key, layout);
      layout.catch(() => this.current.delete(key));
    }
    return (await layout).offer;
  }

  /** A sandbox is forked. In the background a build that has served its time is replaced. */
  async noteFork(tenant: string, template: string): Promise<void> {
    const key = keyOf(tenant, template);
    const layout = await this.current.get(key)?.catch(() => null);
    if (!layout) return;
    layout.forks++;
    const { forks, ms } = this.limits;
    const isDue = (forks > 0 && layout.forks >= forks) || (ms > 0 && performance.now() - layout.builtMs >= ms);
    if (!isDue || this.replacing.has(key) || this.closed) return;
    this.replacing.add(key);
    try {
      await this.replace(tenant, template, layout);
    } catch {
      // The old build goes on; the next fork tries again.
    } finally {
      this.replacing.delete(key);
    }
  }

  /** Gives all files up. */
  async close(): Promise<void> {
    this.closed = true;
    for (const layout of this.current.values()) await layout.then(({ offer }) => closeOffer(offer), () => {});
    this.current.clear();
  }

  private async replace(tenant: string, template: string, old: Layout): Promise<void> {
    const made = await this.make(template);
    if (this.closed) return closeOffer(made.offer);
    await this.onRotated(tenant, template, made.offer);
    this.current.set(keyOf(tenant, template), Promise.resolve(made));
    closeOffer(old.offer);
  }

  private async make(template: string): Promise<Layout> {
    const path = layoutPath(this.home);
    try {
      await build({ home: this.home, name: template, rebuild: true, layout: path }, this.onProgress);
      return { offer: openLayout(this.home, template, path), builtMs: performance.now(), forks: 0 };
    } finally {
      rmSync(path, { force: true });
    }
  }
}

function keyOf(tenant: string, template: string): string {
  return `${template}\0${tenant}`;
}
