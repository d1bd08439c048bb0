// A template as the caller holds it: a name for a frozen program that sandboxes are forked from.

import { randomUUID } from 'node:crypto';
import type { Engine } from './engine.ts';
import { OffshootError } from './errors.ts';
import { Sandbox } from './sandbox.ts';

/** Options of a fork. */
export interface ForkInit {
  /** Most guest memory it may use, template included; default 512 MiB or what the template was built with, at most 4 GiB. */
  readonly memoryBytes?: number;
  /** False: a VM made now, also where there are some made in advance (for measurements). */
  readonly pooled?: boolean;
  /**
   * True: it may be a VM that ran something of this engine's before, and was brought back to the template: no byte, register or
   * translation of that is left, but it is not a new VM. Faster. The VM may then be used again in the same way. Default false.
   */
  readonly reuse?: boolean;
}

const MEMORY_BYTES = 512 << 20;
const MEMORY_BYTES_MAX = 2 ** 32;
const MEMORY_BYTES_MIN = 16 << 20;

/** What its sandboxes have unless the caller says otherwise. */
export interface TemplateDefaults {
  readonly env: Readonly<Record<string, string>>;
  /** 0: as for all templates. */
  readonly memoryBytes: number;
}

/** A loaded template. Made by `Engine.template()`. */
export class Template {
  readonly name: string;
  private readonly engine: Engine;

  private readonly defaults: TemplateDefaults;

  constructor(engine: Engine, name: string, defaults: TemplateDefaults) {
    this.engine = engine;
    this.name = name;
    this.defaults = defaults;
  }

  /** A new KVM VM over a copy-on-write view of the template, parked at its snapshot point. */
  async fork(init: ForkInit = {}): Promise<Sandbox> {
    const memoryBytes = init.memoryBytes ?? (this.defaults.memoryBytes || MEMORY_BYTES);
    if (!(memoryBytes >= MEMORY_BYTES_MIN && memoryBytes <= MEMORY_BYTES_MAX)) {
      throw new OffshootError('bad-argument', 'memoryBytes must be between 16 MiB and 4 GiB.');
    }
    const { worker, number } = await this.engine.place(this.name);
    try {
      await worker.call({ type: 'fork', sandbox: number, fork: { template: this.name, memoryBytes, pooled: init.pooled ?? true, reuse: init.reuse ?? false } });
    } catch (error) {
      worker.detach(number);
      throw error;
    }
    const place = { worker, number, id: randomUUID(), template: this.name, env: this.defaults.env };
    return new Sandbox(place, memoryBytes, () => worker.detach(number));
  }
}
