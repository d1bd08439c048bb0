// Helpers of the rewind tests: a template of rewindguest.c, slots forked from it, runs in them, and what a slot looks like.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import { hugeCopy } from '../../src/engine/loaded.ts';
import { RewindBase, rewind, type RewindReport, type RewindTuning } from '../../src/engine/rewind.ts';
import { KeptPages } from '../../src/engine/rewindheat.ts';
import { packDirectory } from '../../src/image/images.ts';
import type { Image } from '../../src/image/store.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { shareText } from '../../src/kernel/mm/sharedtext.ts';
import { completeForkChild, prepareForkChild } from '../../src/kernel/process/snapshot.ts';
import type { RunState } from '../../src/kernel/run.ts';
import { restoreKernel, saveKernel, type KernelState } from '../../src/kernel/save.ts';
import { USER_END, type AddressSpace, type FrameSource, type Host } from '../../src/platform.ts';
import { cpuInfo } from '../../src/vmm/cpuinfo.ts';
import { createMachine, type KvmMachine } from '../../src/vmm/machine.ts';
import type { SharedMemory } from '../../src/vmm/memory.ts';
import type { Views } from '../../src/vmm/views.ts';
import { IS_EMULATED, RECORDED_GUEST } from '../conformance/native.ts';
import { kvm } from './guest.ts';
import { VDSO, bootImage, hostFor } from './harness.ts';

const SOURCE = fileURLToPath(new URL('rewindguest.c', import.meta.url));
/** The emulated machine has no compiler: there it was compiled outside. */
const COMPILED = IS_EMULATED && existsSync(RECORDED_GUEST) ? RECORDED_GUEST : undefined;
const SLOW = Number(process.env['OFFSHOOT_TEST_SLOW'] ?? 1);

export const skip = COMPILED !== undefined || spawnSync('gcc', ['--version']).status === 0 ? false : 'gcc is missing';

/** An image whose only program is the guest. */
async function guestImage(dir: string): Promise<Image> {
  mkdirSync(join(dir, 'root/bin'), { recursive: true });
  for (const name of ['tmp', 'dev', 'proc', 'home']) mkdirSync(join(dir, 'root', name));
  const program = join(dir, 'root/bin/guest');
  if (COMPILED === undefined) execFileSync('gcc', ['-O1', '-w', '-static', '-o', program, SOURCE, '-lpthread']);
  else copyFileSync(COMPILED, program);
  return packDirectory(join(dir, 'root'), { home: join(dir, 'home') });
}

function runUntil(kernel: Kernel, isDone: (state: RunState) => boolean, timeoutMs: number): RunState {
  const endMs = performance.now() + timeoutMs * SLOW;
  for (;;) {
    const state = kernel.runSlice(10_000_000);
    if (isDone(state)) return state;
    const isWaiting = state.kind === 'blocked' && state.wakeAtNs !== Infinity;
    assert.ok(state.kind === 'slice' || isWaiting, `unexpected: ${JSON.stringify(state)}`);
    assert.ok(performance.now() < endMs, 'does not end');
  }
}

/** A frozen guest and what its slots are rewound to. */
export class TestTemplate {
  readonly sizeBytes: number;
  readonly fd: number;
  /** Text that all slots share. */
  readonly shared: SharedMemory | null;
  readonly base: RewindBase;
  /** Shared by the slots, as in a worker. */
  readonly state: KernelState;
  readonly #stateBytes: Buffer;
  readonly #image: Image;
  readonly #host: Host;
  printed = '';

  private constructor(image: Image, kernel: Kernel, file: string, roomBytes: number) {
    const shared = shareText(kernel.main?.mm ?? assert.fail('no process'), roomBytes);
    this.#image = image;
    this.#stateBytes = serialize(saveKernel(kernel));
    this.state = this.pristineState();
    const used = Math.ceil(kernel.frames.highWaterBytes / 4096) * 4096;
    this.sizeBytes = shared ? shared.gpa + shared.sizeBytes : Math.ceil((used + roomBytes) / 2 ** 20) * 2 ** 20;
    this.shared = hugeCopy(kvm().arena, shared, kernel.memory.u8);
    this.fd = openSync(file, 'w+');
    writeSync(this.fd, kernel.memory.u8.subarray(0, used));
    ftruncateSync(this.fd, this.sizeBytes);
    this.base = this.#newBase();
    this.#host = hostFor(image, (_stream, bytes) => {
      this.printed += Buffer.from(bytes).toString('latin1');
    });
  }

  /** `roomBytes`: memory beyond what the template uses that a slot has without growing. */
  static async make(roomBytes = 8 << 20): Promise<TestTemplate> {
    const dir = mkdtempSync(join(tmpdir(), 'offshoot-rewind-'));
    process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
    const image = await guestImage(dir);
    const booted = bootImage(image);
    const { kernel } = booted;
    const { streams, control } = kernel;
    control.onMessage(() => {
      kernel.snapshotArmed = true;
    });
    const files = [streams.openStdin(), streams.openOutput(1), streams.openOutput(2), control.openFile()];
    assert.notEqual(typeof kernel.spawn('/bin/guest', ['guest'], [], { files }), 'number');
    runUntil(kernel, (state) => state.kind === 'snapshot', 20_000);
    prepareForkChild(kernel);
    const template = new TestTemplate(image, kernel, join(dir, 'memory'), roomBytes);
    booted.destroy();
    return template;
  }

  /** The state as it was saved, whatever slots did to the shared one. */
  pristineState(): KernelState {
    return deserialize(this.#stateBytes) as KernelState;
  }

  /** `learned`: whether it knows what other slots of this template kept. */
  slot(learned = true): Slot {
    return new Slot(this, learned ? this.base : this.#newBase());
  }

  /** One whose memory is a view that a slot before it has left, where there is one. */
  slotInView(views: Views): Slot {
    return new Slot(this, this.base, views);
  }

  #newBase(): RewindBase {
    return new RewindBase(kvm().arena, this.fd, this.sizeBytes, this.state.mms.mms.map((mm) => mm.root));
  }

  restore(machine: KvmMachine, state: KernelState): Kernel {
    return restoreKernel(state, { machine, host: this.#host, index: this.#image.index, cpu: cpuInfo(kvm()), vdso: VDSO });
  }

  destroy(): void {
    this.base.release();
    closeSync(this.fd);
  }
}

/** Page tables of one address space: gpas, 0 for those that are the template's. */
export interface TableTree {
  readonly root: number;
  /** For each page that was mapped: the tables of level 3, 2, 1 that led to it. */
  readonly paths: ReadonlyMap<number, readonly number[]>;
}

/** One machine of a template, and everything that anything in it ever had mapped. */
export class Slot {
  readonly template: TestTemplate;
  readonly machine: KvmMachine;
  readonly base: RewindBase;
  readonly kept: KeptPages;
  /** Every page, with all it was allowed there. */
  readonly mapped = new Map<number, number>();
  /** Page tables of the last run that are not the template's, in the places they had. */
  trees: TableTree[] = [];
  readonly #live = new Set<AddressSpace>();

  constructor(template: TestTemplate, base = template.base, views?: Views) {
    this.template = template;
    this.base = base;
    this.machine = createMachine(kvm(), { fd: template.fd, sizeBytes: template.sizeBytes, shared: template.shared, ...(views ? { views } : {}) }, 512 << 20);
    this.kept = new KeptPages(template.sizeBytes / 4096);
    this.#record();
  }

  #record(): void {
    const { machine } = this;
    const watch = (space: AddressSpace): AddressSpace => {
      const map = space.map.bind(space);
      const destroy = space.destroy.bind(space);
      space.map = (gva, gpa, prot) => {
        this.mapped.set(gva, (this.mapped.get(gva) ?? 0) | prot);
        return map(gva, gpa, prot);
      };
      const mapRun = space.mapRun.bind(space);
      space.mapRun = (gva, gpas, prot) => {
        for (let i = 0; i < gpas.length; i++) this.mapped.set(gva + i * 4096, (this.mapped.get(gva + i * 4096) ?? 0) | prot);
        return mapRun(gva, gpas, prot);
      };
      space.destroy = () => {
        this.trees.push(this.#tree(space));
        this.#live.delete(space);
        destroy();
      };
      this.#live.add(space);
      return space;
    };
    const make = machine.newAddressSpace.bind(machine);
    const attach = machine.attachAddressSpace.bind(machine);
    machine.newAddressSpace = (frames: FrameSource) => {
      const space = make(frames);
      return space && watch(space);
    };
    machine.attachAddressSpace = (root, frames) => watch(attach(root, frames));
  }

  /** The tables that are frames of the run's own, by what they map. */
  #tree({ root }: AddressSpace): TableTree {
    const { words } = this.machine.memory;
    const made = new Set(this.machine.paging.made);
    const paths = new Map<number, readonly number[]>();
    const walk = (table: number, level: number, gva: number, path: readonly number[]): void => {
      for (let i = 0; i < (level === 4 ? 256 : 512); i++) {
        const low = words[(table >>> 2) + i * 2];
        const isLarge = (low & 0x80) !== 0;
        const at = gva + i * 4096 * 512 ** (level - 1);
        if ((low & 1) === 0 || at >= USER_END) continue;
        if (level === 1 || isLarge) {
          if (path.some((each) => made.has(each))) paths.set(at, path.map((each) => (made.has(each) ? each : 0)));
        } else walk((low & 0xffff_f000) >>> 0, level - 1, at, [...path, (low & 0xffff_f000) >>> 0]);
      }
    };
    walk(root, 4, 0, []);
    return { root: made.has(root) ? root : 0, paths };
  }

  restore(state: KernelState = this.template.state): Kernel {
    return this.template.restore(this.machine, state);
  }

  /** Runs one case of the guest to its end; what it printed. With ` stay` it is stopped in the middle, after `stayMs`. */
  run(message: string, stayMs = 60): string {
    this.trees = [];
    this.#live.clear();
    const kernel = this.restore();
    completeForkChild(kernel);
    this.template.printed = '';
    kernel.control.send(Buffer.from(message), true);
    const stopMs = performance.now() + stayMs * SLOW;
    const stays = message.endsWith(' stay');
    const state = runUntil(kernel, (at) => at.kind === 'exited' || (stays && performance.now() > stopMs), 60_000);
    for (const space of this.#live) this.trees.push(this.#tree(space));
    if (!stays) assert.deepEqual(state, { kind: 'exited', reason: { kind: 'exit', code: 7 } }, message);
    return this.template.printed;
  }

  rewind(tuning: RewindTuning = {}): RewindReport | string {
    return rewind(this.machine, this.kept, this.base, tuning);
  }

  /** The kernel's whole state after it was restored from `state`, without the time of the day. */
  kernelState(state: KernelState): KernelState {
    const saved = saveKernel(this.restore(state));
    return { ...saved, clock: { ...saved.clock, monotonicNs: 0 } };
  }

  destroy(): void {
    this.machine.destroy();
  }
}
