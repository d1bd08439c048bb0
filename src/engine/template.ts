// A template as the caller holds it: a name for a frozen program that sandboxes are forked from.

import { randomUUID } from 'node:crypto';
import type { Engine } from './engine.ts';
import { OffshootError } from './errors.ts';
import type { Lease } from './place.ts';
import type { StatefulOptions } from './protocol.ts';
import { checkedLimits, checkedMemory, type LimitInit } from './run.ts';
import { Sandbox } from './sandbox.ts';
import { StatefulSandbox } from './statefulsandbox.ts';

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

/** Options of a fork that is a stateful sandbox. Its limits are of all that runs in it together. */
export interface StatefulInit extends ForkInit, Omit<LimitInit, 'timeoutMs' | 'outputBytes' | 'memoryBytes'> {
  readonly stateful: true;
  /** What its programs and interpreters have beside the template's environment. */
  readonly env?: Readonly<Record<string, string>>;
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
   * With `stateful`, many programs run in it, one after the other and at once; else one.
   */
  async fork(init: StatefulInit): Promise<StatefulSandbox>;
  async fork(init?: ForkInit & { readonly stateful?: false }): Promise<Sandbox>;
  async fork(init: StatefulInit | (ForkInit & { readonly stateful?: false }) = {}): Promise<Sandbox | StatefulSandbox> {
    const memoryBytes = checkedMemory(init.memoryBytes, this.defaults.memoryBytes);
    const env = init.stateful ? { ...this.defaults.env, ...init.env } : this.defaults.env;
    const stateful = init.stateful ? { limits: checkedLimits(init, memoryBytes), env } : undefined;
    const lease = await this.place(init, memoryBytes, stateful);
    const { place: { worker }, number, output, timeoutMsMax } = lease;
    const place = { worker, number, id: randomUUID(), template: this.name, env, output, timeoutMsMax };
    return stateful ? new StatefulSandbox(place, lease) : new Sandbox(place, memoryBytes, () => lease.release());
  }

  private async place(init: ForkInit, memoryBytes: number, stateful: StatefulOptions | undefined): Promise<Lease> {
    const lease = await this.engine.place({
      tenant: init.tenant, template: this.name, kind: 'fork', memoryBytes, sizeBytes: 0, signal: undefined,
    });
    if (!lease) throw new OffshootError('internal', 'A fork was cancelled by nobody.');
    const { place: { worker }, number } = lease;
    try {
      const options = { template: this.name, memoryBytes, pooled: init.pooled ?? true, reuse: init.reuse ?? false };
      const fork = stateful ? { ...options, stateful } : options;
      await worker.call({ type: 'fork', sandbox: number, fork });
    } catch (error) {
      lease.release();
      throw error;
    }
    return lease;
  }
}
