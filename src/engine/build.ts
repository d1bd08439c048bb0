// Builds a template: starts the agent in a fresh VM, runs it to its snapshot point, writes memory and state to a file.

import { readFileSync } from 'node:fs';
import { serialize } from 'node:v8';
import { PARK_PATH } from '../guest/park.ts';
import { findImage, type Image } from '../image/store.ts';
import { describeEnd } from '../kernel/end.ts';
import { runSlice, type RunState } from '../kernel/run.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { smaps } from '../kernel/mm/describe.ts';
import { saveKernel } from '../kernel/save.ts';
import { shareText } from '../kernel/mm/sharedtext.ts';
import { prepareForkChild } from '../kernel/process/snapshot.ts';
import { createMachine } from '../vmm/machine.ts';
import { pythonOf } from './bake.ts';
import { OffshootError } from './errors.ts';
import { bootGuestKernel } from './guestkernel.ts';
import type { KvmHost } from './kvmhost.ts';
import { sendStream } from './request.ts';
import { ENVIRONMENT, USUAL_MODULES, specId, type TemplateSpec } from './spec.ts';
import { templateKey, writeTemplate, type TemplateContents, type TemplateHeader } from './templatefile.ts';

/** Memory a template may use while it is built. */
const MEMORY_BYTES = 1 << 30;
const BUDGET_NS = 100_000_000;
/** A setup that has not reached its snapshot point by then never will. */
const BUILD_MS_MAX = 600_000;
/** Room for a fork's first pages inside memory slot 0, so that most runs never need another slot. */
const HEADROOM_BYTES = 8 << 20;

/** Most names of modules, and of mappings, that a template file lists. */
const NAMES_MAX = 300;

/** Runs the agent, which comes as a message, under a name of its own, so that its frames can be told from the user's. */
const LOADER = "import os; exec(compile(os.read(3, 65536), '<offshoot>', 'exec'))";

/**
 * Symbols are bound when a library is loaded: bound at their first call, each would be looked up again in every fork, and a
 * look-up reads some thirty pages all over the libraries. The agent takes the variable out of its environment.
 */
const BUILD_ENVIRONMENT = { LD_BIND_NOW: '1' };

/** Builds `spec` on `image` and writes it to `path`. Throws OffshootError with what the setup printed when it fails. */
export function buildTemplate(host: KvmHost, spec: TemplateSpec, image: Image, builder: string, path: string): void {
  const startMs = performance.now();
  const printed: Buffer[] = [];
  const env = { ...ENVIRONMENT, ...findImage(host.home, spec.image.name)?.env, ...spec.env };
  const python = pythonOf(host.home, image, spec.image.name);
  if (!python && (spec.preload.length > 0 || spec.setup)) {
    throw new OffshootError('template-setup', 'The template could not be built: its image has no python3 in its PATH, which modules and a setup need.');
  }
  const machine = createMachine(host.kvm, { fd: null }, spec.memoryBytes || MEMORY_BYTES);
  try {
    const kernel = bootGuestKernel(host, image.id, machine, (_stream, bytes) => void printed.push(Buffer.from(bytes)), {
      argv: python ? [python, '-B', '-c', LOADER] : [PARK_PATH],
      uid: spec.uid, gid: spec.gid, cwd: spec.cwd, control: true, env: { ...env, ...BUILD_ENVIRONMENT }, limits: {},
    });
    if (python) sendAgent(kernel, spec);
    let ready: Ready = { random: [], importMs: {}, modules: [] };
    kernel.control.onMessage((message) => {
      ready = parseReady(message);
      kernel.snapshotArmed = true;
    });
    runToSnapshot(host, kernel, printed);
    const mappings = kernel.main ? mappingsOf(smaps(kernel.main.mm)) : [];
    prepareForkChild(kernel);
    const shared = kernel.main ? shareText(kernel.main.mm, HEADROOM_BYTES) : null;
    const state = saveKernel(kernel);
    const used = shared ? shared.gpa + shared.sizeBytes : Math.min(machine.memory.sizeBytes, roundUp(kernel.frames.highWaterBytes + HEADROOM_BYTES));
    writeTemplate(path, templateKey(host.home), machine.snapshotMemory().subarray(0, used), serialize(state), {
      kind: 'linux-user', name: spec.name, imageId: image.id, fingerprint: host.fingerprint, builder,
      createdAt: new Date().toISOString(), specId: specId(spec), env, cwd: spec.cwd, random: ready.random, shared,
      memoryLimitBytes: spec.memoryBytes,
      about: { importMs: ready.importMs, modules: ready.modules, mappings, buildMs: Math.round(performance.now() - startMs) },
    });
  } finally {
    machine.destroy();
  }
}

const RANDOM_RANGES_MAX = 16;
const RANDOM_BYTES_MAX = 1 << 16;

/** The agent, then what it shall load: see main() in guest/agent.py. */
function sendAgent(kernel: Kernel, spec: TemplateSpec): void {
  kernel.control.send(readFileSync(new URL('../guest/agent.py', import.meta.url)));
  const options = { preload: spec.preload, usual: spec.usual ? USUAL_MODULES : [], setup: spec.setup?.filename ?? null };
  sendStream(kernel.control, Buffer.from(JSON.stringify(options)), Buffer.from(spec.setup?.source ?? ''));
}

/** What the agent says at its snapshot point. */
interface Ready {
  /** Memory that must be random in each fork. */
  readonly random: TemplateHeader['random'];
  readonly importMs: Readonly<Record<string, number>>;
  readonly modules: readonly string[];
}

/** It comes from the guest: what is only shown is dropped when it is not as it should be. */
function parseReady(message: Uint8Array): Ready {
  const { random = [], import_ms: times = {}, modules = [] } = JSON.parse(Buffer.from(message).toString()) as {
    random?: TemplateHeader['random']; import_ms?: Record<string, unknown>; modules?: readonly unknown[];
  };
  const isRange = ([gva, bytes]: readonly [number, number]): boolean => Number.isSafeInteger(gva) && gva > 0 && bytes > 0 && bytes <= RANDOM_BYTES_MAX;
  if (random.length > RANDOM_RANGES_MAX || !random.every(isRange)) {
    throw new OffshootError('template-setup', 'The template could not be built: its agent asks for random memory where there is none.');
  }
  const known = Object.entries(times).filter((pair): pair is [string, number] => typeof pair[1] === 'number').slice(0, NAMES_MAX);
  const names = Array.isArray(modules) ? modules.filter((name) => typeof name === 'string').slice(0, NAMES_MAX) : [];
  return { random, importMs: Object.fromEntries(known), modules: names };
}

/** Resident memory by name out of the text of /proc/PID/smaps, largest first. */
function mappingsOf(smaps: string): TemplateContents['mappings'] {
  const sums = new Map<string, number>();
  let name = '';
  for (const line of smaps.split('\n')) {
    const area = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$/.exec(line);
    if (area) name = area[1] === '' ? '[anonymous]' : area[1];
    const rss = /^Rss: +(\d+) kB$/.exec(line);
    if (rss) sums.set(name, (sums.get(name) ?? 0) + Number(rss[1]) * 1024);
  }
  const all = [...sums].map(([file, residentBytes]) => ({ name: file, residentBytes })).sort((a, b) => b.residentBytes - a.residentBytes);
  return all.filter(({ residentBytes }) => residentBytes > 0).slice(0, NAMES_MAX);
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / (1 << 20)) * (1 << 20);
}

function runToSnapshot(host: KvmHost, kernel: Kernel, printed: Buffer[]): void {
  const endMs = performance.now() + BUILD_MS_MAX;
  while (performance.now() < endMs) {
    host.refreshClock();
    const state = runSlice(kernel, BUDGET_NS);
    if (state.kind === 'snapshot') return;
    const failure = failureOf(state);
    if (failure) throw new OffshootError('template-setup', `The template could not be built: ${[failure, tail(printed)].filter(Boolean).join(': ')}.`);
  }
  throw new OffshootError('template-setup', `The template could not be built: no snapshot point after ${BUILD_MS_MAX / 1000} s.`);
}

function failureOf(state: RunState): string | null {
  switch (state.kind) {
    case 'failed': return state.reason;
    case 'exited': return `its program ${describeEnd(state.reason)} before its snapshot point`;
    case 'blocked': return state.wakeAtNs === Infinity ? 'its program waits for something that cannot come' : null;
    default: return null;
  }
}

/** The last thing the program printed: usually the exception, and then the last line of the user's that is in its traceback. */
function tail(printed: Buffer[]): string {
  const lines = Buffer.concat(printed).toString('utf8').trim().split('\n');
  const frame = lines.findLast((line) => /^ {2}File "/.test(line) && !line.includes('"<'));
  const at = /^ {2}File "([^"]*)", line (\d+)/.exec(frame ?? '');
  return `${at ? `${at[1]}, line ${at[2]}: ` : ''}${lines.at(-1) ?? ''}`.slice(0, 500);
}
