// Builds of templates that are there when a test says so: their files are /dev/null.

import { fstatSync, openSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Layouts, type LayoutInit } from '../../src/engine/layouts.ts';
import type { Offer } from '../../src/engine/provide.ts';
import type { WorkerClient } from '../../src/engine/workerclient.ts';

/** All there ever were. */
export const offers: Offer[] = [];

function newOffer(): Offer {
  const open = (): number => openSync('/dev/null', 'r');
  const offer = { header: {} as Offer['header'], indexBytes: 0, fds: [open(), open(), open()] } as const;
  offers.push(offer);
  return offer;
}

export function isOpen({ fds }: Offer): boolean {
  return fds.every((fd) => {
    try {
      return fstatSync(fd).isCharacterDevice();
    } catch {
      return false;
    }
  });
}

/** Builds that are there when the test says so. */
export class Builds {
  readonly layouts: Layouts;
  readonly rotated: Offer[] = [];
  readonly signals: AbortSignal[] = [];
  isServed = true;
  private readonly waiting: ((offer: Offer | null) => void)[] = [];

  constructor(init: LayoutInit) {
    this.layouts = new Layouts('/nowhere', init, undefined, (_template, signal) => new Promise((resolve, reject) => {
      this.signals.push(signal);
      this.waiting.push((offer) => (offer ? resolve(offer) : reject(new Error('no build'))));
    }));
    this.layouts.onRotated = async (_tenant, _template, offer) => void this.rotated.push(offer);
    this.layouts.isServed = () => this.isServed;
  }

  /** Under way now. */
  get begun(): number { return this.waiting.length; }

  /** The first build that is under way is there; with false it failed. */
  async finish(isMade = true): Promise<Offer | null> {
    const offer = isMade ? newOffer() : null;
    this.waiting.shift()?.(offer);
    await turn();
    return offer;
  }

  async provide(handOver: () => Promise<boolean> = async () => true, tenant = 'tenant'): Promise<void> {
    await this.layouts.provide({ handOver } as unknown as WorkerClient, tenant, 'python', false);
  }

  async fork(tenant = 'tenant'): Promise<void> {
    this.layouts.noteFork(tenant, 'python');
    await turn();
  }
}

/** With a build in use. */
export async function inUse(init: LayoutInit): Promise<{ builds: Builds; first: Offer }> {
  const builds = new Builds(init);
  const provided = builds.provide();
  await turn();
  const first = await builds.finish() as Offer;
  await provided;
  return { builds, first };
}
