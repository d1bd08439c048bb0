// The engine: owns the worker processes and knows which templates they have loaded. Everything that touches KVM happens
// in the workers.

import { availableParallelism } from 'node:os';
import { OffshootError } from './errors.ts';
import type { Progress, SelfTestReport } from './protocol.ts';
import { provideTemplate } from './provide.ts';
import { isBuiltIn } from './spec.ts';
import { Template } from './template.ts';
import type { TemplateHeader } from './templatefile.ts';
import { removeIfUnused } from './usage.ts';
import { keepSpec, makeSpec, refreshedSpec, requireSpec, type TemplateRecipe } from './userspec.ts';
import { WorkerClient } from './workerclient.ts';
import { offshootHome } from '../image/home.ts';
import { findImage } from '../image/store.ts';

/** Options of `Engine.open`. */
export interface EngineInit {
  /** Where images and templates are kept; default $OFFSHOOT_HOME, else $XDG_DATA_HOME/offshoot, else ~/.local/share/offshoot. */
  readonly home?: string;
  /** Most worker processes; default the number of processors. They are started when needed. */
  readonly workers?: number;
  /** Hears what a first use builds. */
  readonly onProgress?: (progress: Progress) => void;
}

interface Place {
  readonly worker: WorkerClient;
  /** Templates this worker has, or is loading. */
  readonly templates: Map<string, Promise<TemplateHeader>>;
}

/** Entry point of the library. */
export class Engine {
  readonly home: string;
  private readonly workersMax: number;
  private readonly onProgress: ((progress: Progress) => void) | undefined;
  private readonly places: Place[] = [];
  private nextSandbox = 1;
  private closed = false;

  private constructor(init: EngineInit) {
    this.home = init.home ?? offshootHome();
    this.workersMax = Math.max(1, init.workers ?? availableParallelism());
    this.onProgress = init.onProgress;
    this.places.push({ worker: new WorkerClient(this.home), templates: new Map() });
  }

  /** Starts the first worker. Cheap: nothing is built or loaded before `template()`. */
  static async open(init: EngineInit = {}): Promise<Engine> {
    return new Engine(init);
  }

  /** Loads a template, building it and its image first when they are missing, damaged or out of date. */
  async template(name: string, init: { readonly rebuild?: boolean } = {}): Promise<Template> {
    if (this.closed) throw new OffshootError('closed', 'The engine is closed.');
    const { env, memoryLimitBytes } = await this.load(this.livePlaces()[0], name, init.rebuild ?? false);
    return new Template(this, name, { env, memoryBytes: memoryLimitBytes });
  }

  /**
   * Builds a template of one's own: from other Debian packages, a directory or a container image, with Python packages and a setup
   * (docs/images.md). It is kept under its name, replacing another of that name. When it fails, what was there before stays.
   * Without `recipe`, what is there is built again, from its files as they are now.
   */
  async build(name: string, recipe?: TemplateRecipe): Promise<Template> {
    const stamp = new Date().toISOString();
    const spec = recipe ? makeSpec(name, recipe, stamp) : refreshedSpec(requireSpec(this.home, name), stamp);
    const oldImage = findImage(this.home, spec.image.name)?.id;
    const undo = isBuiltIn(name) ? () => {} : keepSpec(this.home, spec);
    try {
      const template = await this.template(name, { rebuild: true });
      if (oldImage !== undefined) removeIfUnused(this.home, oldImage);
      return template;
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** What the self-test found out about this host's KVM: its kind, and each check. */
  async selfTest(): Promise<SelfTestReport> {
    return this.livePlaces()[0].worker.call({ type: 'selftest' });
  }

  /** Picks the least loaded worker, starting another while there are busy ones and room. */
  async place(template: string): Promise<{ worker: WorkerClient; number: number }> {
    if (this.closed) throw new OffshootError('closed', 'The engine is closed.');
    let best = this.livePlaces().reduce((a, b) => (b.worker.load < a.worker.load ? b : a));
    if (best.worker.load > 0 && this.places.length < this.workersMax) {
      best = { worker: new WorkerClient(this.home), templates: new Map() };
      this.places.push(best);
    }
    const number = this.nextSandbox++;
    best.worker.attach(number, { output() {}, trace() {} });
    try {
      await this.load(best, template, false);
    } catch (error) {
      best.worker.detach(number);
      throw error;
    }
    return { worker: best.worker, number };
  }

  /** Workers that run; one that was killed is replaced. Never empty. */
  private livePlaces(): Place[] {
    for (let i = this.places.length - 1; i >= 0; i--) if (this.places[i].worker.isGone) this.places.splice(i, 1);
    if (this.places.length === 0) this.places.push({ worker: new WorkerClient(this.home), templates: new Map() });
    return this.places;
  }

  /** Ends all workers and with them all sandboxes. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.places.map((place) => place.worker.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private load(place: Place, name: string, rebuild: boolean): Promise<TemplateHeader> {
    const known = place.templates.get(name);
    if (known && !rebuild) return known;
    const loading = provideTemplate(place.worker, this.home, name, rebuild, this.onProgress);
    place.templates.set(name, loading);
    loading.catch(() => place.templates.delete(name));
    return loading;
  }
}
