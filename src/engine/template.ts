// A template as the caller holds it: a name for a frozen program that sandboxes are forked from.

import { randomUUID } from 'node:crypto';
import type { Engine } from './engine.ts';
import { OffshootError } from './errors.ts';
import { checkedMemory } from './run.ts';
import { Sandbox } from './sandbox.ts';

/** Options of a fork. */
export interface ForkInit {
  /** Whose sandbox it is: no two tenants share a process. Default 'default'. */
  readonly tenant?: string;
  /** Most guest memory it may use, template included; default 512 MiB or what the template was built with, from 16 MiB to 4 GiB. */
  readonly memoryBytes?: number;
  /** False: a VM made now, also where there are some made in advance (for measurements). */
  readonly pooled?: boolean;
  /**
   * True: it may be a VM that ran something of this engine's before, and was brought back to the template: no byte, register or
   * translation of that is left, but it is not a new VM. Faster. The VM may then be used again in the same way. Default false.
   */
  readonly reuse?: boolean;
}

/** What its sandboxes have unless the caller says otherwise. */
export interface TemplateDefaults {
  readonly env: Readonly<Record<string, string>>;
  /** 0: as for all templates. */
  readonly memoryBytes: number;
}

/** A loaded template. Made by `Engine.template()`. */
export class Template {
  readonly name: string;
  /** What its sandboxes have unless the caller says otherwise. */
  readonly defaults: TemplateDefaults;
  private readonly engine: Engine;

  constructor(engine: Engine, name: string, defaults: TemplateDefaults) {
    this.engine = engine;
    this.name = name;
    this.defaults = defaults;
  }

  /**
   * A new KVM VM over a copy-on-write view of the template, parked at its snapshot point. Rejects when its tenant has too many
   * ('tenant-limit') or the host too little memory ('host-memory'); waits while all worker processes are taken by other tenants.
   */
  async fork(init: ForkInit = {}): Promise<Sandbox> {
    const memoryBytes = checkedMemory(init.memoryBytes, this.defaults.memoryBytes);
    const lease = await this.engine.place({
      tenant: init.tenant, template: this.name, kind: 'fork', memoryBytes, sizeBytes: 0, signal: undefined,
    });
    if (!lease) throw new OffshootError('internal', 'A fork was cancelled by nobody.');
    const { place: { worker }, number } = lease;
    try {
      const fork = { template: this.name, memoryBytes, pooled: init.pooled ?? true, reuse: init.reuse ?? false };
      await worker.call({ type: 'fork', sandbox: number, fork });
    } catch (error) {
      lease.release();
      throw error;
    }
    const place = { worker, number, id: randomUUID(), template: this.name, env: this.defaults.env };
    return new Sandbox(place, memoryBytes, () => lease.release());
  }
}
