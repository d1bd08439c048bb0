// Runs a template's program to its snapshot point and writes what it is then, in a process that may do nothing else
// (freezeprocess.ts): what a template is built of, a setup above all, is as foreign as what runs in a sandbox.

import { serialize } from 'node:v8';
import { PARK_PATH } from '../guest/park.ts';
import { describeEnd } from '../kernel/end.ts';
import { runSlice, type RunState } from '../kernel/run.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { smaps } from '../kernel/mm/describe.ts';
import { shareText } from '../kernel/mm/sharedtext.ts';
import { prepareForkChild } from '../kernel/process/snapshot.ts';
import { saveKernel } from '../kernel/save.ts';
import { createMachine } from '../vmm/machine.ts';
import { OffshootError, type ErrorCode } from './errors.ts';
import { bootGuestKernel } from './guestkernel.ts';
import type { KvmHost } from './kvmhost.ts';
import type { OneShotEnd } from './oneshot.ts';
import { sendStream } from './request.ts';
import { writeContent, type TemplateContents, type TemplateHeader } from './templatefile.ts';

/** What is open in the process that does it: image index, image blob, the file to write; of a program, what it reads. */
export const INDEX_FD = 3, BLOB_FD = 4, OUTPUT_FD = 5, INPUT_FD = 6;

/** What to freeze. */
export interface FreezeJob {
  readonly imageId: string;
  /** The image's Python, which runs the agent; null: the template has none. */
  readonly python: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
  readonly memoryBytes: number;
  /** Source of the agent, what it is told (main() in guest/agent.py), source of the setup. */
  readonly agent: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly setup: string;
}

/** What became of it: parts of a template's header. */
export type Frozen = Pick<TemplateHeader, 'random' | 'shared' | 'memoryBytes' | 'stateBytes' | 'sha256'>
  & Pick<TemplateContents, 'importMs' | 'modules' | 'mappings'>;

/** What the process says, as JSON. */
export type FromFreezer =
  | { readonly frozen: Frozen } | { readonly end: OneShotEnd }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

const BUDGET_NS = 100_000_000;
/** A setup that has not reached its snapshot point by then never will. */
const BUILD_MS_MAX = 600_000;
/** Room for a fork's first pages inside memory slot 0, so that most runs never need another slot. */
const HEADROOM_BYTES = 8 << 20;

/** Most names of modules, and of mappings, that a template file lists. */
const NAMES_MAX = 300;

/** Runs the agent, which comes as a message, under a name of its own, so that its frames can be told from the user's. */
const LOADER = "import os; exec(compile(os.read(3, 65536), '<offshoot>', 'exec'))";

/** Runs it and writes memory and state to `fd`. Throws OffshootError with what the setup printed when it fails. */
export function freeze(host: KvmHost, job: FreezeJob, fd: number): Frozen {
  const printed: Buffer[] = [];
  const { python, uid, gid, cwd, env } = job;
  const machine = createMachine(host.kvm, { fd: null }, job.memoryBytes);
  try {
    const kernel = bootGuestKernel(host, job.imageId, machine, (_stream, bytes) => void printed.push(Buffer.from(bytes)), {
      argv: python ? [python, '-B', '-c', LOADER] : [PARK_PATH], uid, gid, cwd, control: true, env, limits: {},
    });
    if (python) {
      kernel.control.send(Buffer.from(job.agent));
      sendStream(kernel.control, Buffer.from(JSON.stringify(job.options)), Buffer.from(job.setup));
    }
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
    return { ...ready, shared, mappings, ...writeContent(fd, machine.snapshotMemory().subarray(0, used), serialize(state)) };
  } finally {
    machine.destroy();
  }
}

const RANDOM_RANGES_MAX = 16;
const RANDOM_BYTES_MAX = 1 << 16;

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
