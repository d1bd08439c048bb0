// The engine: entry point of the library. Everything that touches KVM happens in its worker processes (workers.ts).

import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { OffshootError } from './errors.ts';
import { HostMemory } from './hostmemory.ts';
import { DEFAULT_TENANT, type LayoutInit } from './layouts.ts';
import type { Lease } from './place.ts';
import type { Progress, RunRequest, SelfTestReport } from './protocol.ts';
import type { QueueLimits } from './queue.ts';
import { cancelledRun, checkedMemory, execProgram, performRun, prepareRun, pythonProgram, type RunInit, type RunResult } from './run.ts';
import { isBuiltIn } from './spec.ts';
import { Template, type TemplateDefaults } from './template.ts';
import type { TemplateHeader } from './templatefile.ts';
import { hostProblem } from './supported.ts';
import { removeIfUnused, removeTemplate, restoreImage } from './usage.ts';
import { keepSpec, makeSpec, refreshedSpec, requireSpec, type TemplateRecipe } from './userspec.ts';
import { checkedTenantLimits, type TenantLimits } from './tenantlimits.ts';
import { Workers, type EngineStats, type PlaceRequest } from './workers.ts';
import { offshootHome } from '../image/home.ts';
import { findImage } from '../image/store.ts';

/** Options of `Engine.open`. */
export interface EngineInit {
  /** Where images and templates are kept; default $OFFSHOOT_HOME, else $XDG_DATA_HOME/offshoot, else ~/.local/share/offshoot. */
  readonly home?: string;
  /** Worker processes over which the runs of one tenant are spread; default the number of processors. They are started when needed. */
  readonly workers?: number;
  /** Most worker processes at a time, of all tenants; default 64, or four for each processor where that is more. */
  readonly processes?: number;
  /** Most runs at a time in one worker process; default 32. */
  readonly slots?: number;
  /** Most live sandboxes in one worker process; default 768. A tenant that forks more gets more processes. */
  readonly sandboxes?: number;
  /** A worker process without sandboxes is ended after so many milliseconds, but for the last; default 60,000. */
  readonly idleMs?: number;
  /** What may wait for a worker. Beyond: error 'busy'. Default 4,096 runs, 1,024 of one tenant, 256 MiB of code. */
  readonly queue?: Partial<QueueLimits>;
  /**
   * What one tenant may hold at a time. More sandboxes or memory: forks are refused ('tenant-limit'), runs wait. `cpus`, from 0.05: what would
   * use more is slowed down. More files, processes or open files: an errno for the program, and `limitsMet` of its result says so. More
   * output, or more of our own memory: the run is ended. `timeoutMs`: no run takes longer. Default 2,048 sandboxes, of the rest any amount.
   */
  readonly tenantLimits?: Partial<TenantLimits>;
  /** Host memory that sandboxes never get; default a sixteenth of all, from 128 MiB to 2 GiB. Error 'host-memory'. */
  readonly keepFreeBytes?: number;
  /** How long tenants keep their build of a template: addresses, stack canary and hash seed are the same in all forks of a build. */
  readonly layouts?: LayoutInit;
  /** Hears what a first use builds. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Options of `Engine.run`. */
export interface OneShotInit extends RunInit {
  /** Whose run it is: no two tenants share a process. Default 'default'. */
  readonly tenant?: string;
  /** Most guest memory it may use, template included; default 512 MiB or what the template was built with, from 16 MiB to 4 GiB. */
  readonly memoryBytes?: number;
  /** True: it may be a VM that ran something of the same tenant before and was brought back to the template. See `ForkInit.reuse`. */
  readonly reuse?: boolean;
}

const TENANT_LENGTH_MAX = 200;
const QUEUE: QueueLimits = { requests: 4096, requestsPerTenant: 1024, bytes: 256 << 20 };

/** Entry point of the library. */
export class Engine {
  readonly home: string;
  private readonly workers: Workers;

  private constructor(init: EngineInit) {
    this.home = init.home ?? usualHome();
    const workers = atLeastOne(init, 'workers', availableParallelism());
    this.workers = new Workers({
      home: this.home, workers, onProgress: init.onProgress, memory: new HostMemory(init.keepFreeBytes),
      processes: atLeastOne(init, 'processes', Math.max(64, 4 * availableParallelism())), slots: atLeastOne(init, 'slots', 32),
      sandboxes: atLeastOne(init, 'sandboxes', 768),
      idleMs: init.idleMs ?? 60_000, queue: { ...QUEUE, ...init.queue }, tenant: checkedTenantLimits(init.tenantLimits),
      layouts: init.layouts ?? {},
    });
  }

  /** Starts the first worker. Cheap: nothing is built or loaded before `template()`. */
  static async open(init: EngineInit = {}): Promise<Engine> {
    const problem = hostProblem();
    if (problem !== null) throw new OffshootError('host-unsupported', problem);
    return new Engine(init);
  }

  /** Loads a template, building it and its image first when they are missing, damaged or out of date. */
  async template(name: string, init: { readonly rebuild?: boolean } = {}): Promise<Template> {
    const header = await this.workers.load(DEFAULT_TENANT, name, init.rebuild ?? false);
    return new Template(this, name, defaultsOf(header));
  }

  /**
   * Builds a template of one's own: from other Debian packages, a directory or a container image, with Python packages and a setup
   * (docs/images.md). It is kept under its name, replacing another of that name. When it fails, what was there before stays.
   * Without `recipe`, what is there is built again, from its files as they are now.
   */
  async build(name: string, recipe?: TemplateRecipe): Promise<Template> {
    const stamp = new Date().toISOString();
    const spec = recipe ? makeSpec(name, recipe, stamp) : refreshedSpec(requireSpec(this.home, name), stamp);
    if (isBuiltIn(name)) return this.template(name, { rebuild: true });
    const image = findImage(this.home, spec.image.name);
    const undo = keepSpec(this.home, spec);
    try {
      const template = await this.template(name, { rebuild: true });
      if (image) removeIfUnused(this.home, image.id);
      return template;
    } catch (error) {
      undo();
      restoreImage(this.home, spec.image.name, image);
      throw error;
    }
  }

  /**
   * Runs Python source in a sandbox of its own: forked for it, closed after it. Waits while there is no room. Rejects only for bad
   * arguments, a full queue ('busy'), too little memory ('host-memory') or a lost worker, never for what the code does.
   */
  async run(template: string | Template, code: string | Uint8Array, init: OneShotInit = {}): Promise<RunResult> {
    return this.runOnce(template, pythonProgram(code, init), init);
  }

  /** The same with a program of the image: `argv[0]` is looked up in PATH. */
  async exec(template: string | Template, argv: readonly string[], init: OneShotInit = {}): Promise<RunResult> {
    return this.runOnce(template, execProgram(argv), init);
  }

  /** What the self-test found out about this host's KVM: its kind, and each check. */
  async selfTest(): Promise<SelfTestReport> {
    return this.workers.any(DEFAULT_TENANT).call({ type: 'selftest' });
  }

  /** What lives and waits in this engine now. */
  stats(): EngineStats {
    return this.workers.stats();
  }

  /** Removes a template: what it is built from, its file, and it is forgotten by the workers. False when there was none. */
  remove(name: string): boolean {
    this.workers.forget(name);
    return removeTemplate(this.home, name);
  }

  /** Ends all workers and with them all sandboxes. */
  async close(): Promise<void> {
    await this.workers.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Room for a sandbox, with its template loaded; null when `signal` came first. For `Template.fork`. */
  place(request: Omit<PlaceRequest, 'tenant'> & { readonly tenant: string | undefined }): Promise<Lease | null> {
    return this.workers.acquire({ ...request, tenant: tenantName(request.tenant) });
  }

  private async runOnce(template: string | Template, request: RunRequest, init: OneShotInit): Promise<RunResult> {
    const name = typeof template === 'string' ? template : template.name;
    const run = prepareRun(request, init, checkedMemory(init.memoryBytes, defaultsOf(this.workers.header(name)).memoryBytes));
    const lease = await this.place({
      tenant: init.tenant, template: name, kind: 'run', memoryBytes: run.limits.memoryBytes, sizeBytes: run.sizeBytes, signal: init.signal,
    });
    if (!lease) return cancelledRun(name);
    try {
      const { env, memoryBytes: usual } = defaultsOf(this.workers.header(name)); // known now, at the latest
      const memoryBytes = checkedMemory(init.memoryBytes, usual);
      const { place: { worker }, number, output, timeoutMsMax } = lease;
      const place = { worker, number, id: randomUUID(), template: name, env, output, timeoutMsMax };
      const fork = { template: name, memoryBytes, pooled: true, reuse: init.reuse ?? false };
      return await performRun(place, { ...run, limits: { ...run.limits, memoryBytes } }, fork);
    } finally {
      lease.release();
    }
  }
}

function defaultsOf(header: TemplateHeader | undefined): TemplateDefaults {
  return { env: header?.env ?? {}, memoryBytes: header?.memoryLimitBytes ?? 0 };
}

function usualHome(): string {
  try {
    return offshootHome();
  } catch (error) {
    throw new OffshootError('home-unusable', (error as Error).message);
  }
}

function atLeastOne(init: EngineInit, name: 'workers' | 'processes' | 'slots' | 'sandboxes', otherwise: number): number {
  const value = init[name] ?? otherwise;
  if (Number.isInteger(value) && value >= 1) return value;
  throw new OffshootError('bad-argument', `${name} must be a whole number from 1.`);
}

function tenantName(tenant = DEFAULT_TENANT): string {
  if (typeof tenant === 'string' && tenant.length > 0 && tenant.length <= TENANT_LENGTH_MAX) return tenant;
  throw new OffshootError('bad-argument', `tenant must be a text of 1 to ${TENANT_LENGTH_MAX} characters.`);
}
