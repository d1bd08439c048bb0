// Builds a template: starts the agent in a fresh VM, runs it to its snapshot point, writes memory and state to a file.

import { readFileSync } from 'node:fs';
import { serialize } from 'node:v8';
import type { Image } from '../image/store.ts';
import { describeEnd } from '../kernel/end.ts';
import { runSlice, type RunState } from '../kernel/run.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { saveKernel } from '../kernel/save.ts';
import { shareText } from '../kernel/mm/sharedtext.ts';
import { prepareForkChild } from '../kernel/process/snapshot.ts';
import { createMachine } from '../vmm/machine.ts';
import { OffshootError } from './errors.ts';
import { bootGuestKernel } from './guestkernel.ts';
import type { KvmHost } from './kvmhost.ts';
import { ENVIRONMENT, type TemplateSpec } from './spec.ts';
import { templateKey, writeTemplate, type TemplateHeader } from './templatefile.ts';

/** Memory a template may use while it is built. */
const MEMORY_BYTES = 1 << 30;
const BUDGET_NS = 100_000_000;
/** A setup that has not reached its snapshot point by then never will. */
const BUILD_MS_MAX = 600_000;
/** Room for a fork's first pages inside memory slot 0, so that most runs never need another slot. */
const HEADROOM_BYTES = 8 << 20;

/** Runs the agent, which comes as a message, under a name of its own, so that its frames can be told from the user's. */
const LOADER = "import os; exec(compile(os.read(3, 65536), '<offshoot>', 'exec'))";

/**
 * Symbols are bound when a library is loaded: bound at their first call, each would be looked up again in every fork, and a
 * look-up reads some thirty pages all over the libraries. The agent takes the variable out of its environment.
 */
const BUILD_ENVIRONMENT = { LD_BIND_NOW: '1' };

/** Builds `spec` on `image` and writes it to `path`. Throws OffshootError with what the setup printed when it fails. */
export function buildTemplate(host: KvmHost, spec: TemplateSpec, image: Image, builder: string, path: string): void {
  const printed: Buffer[] = [];
  const machine = createMachine(host.kvm, { fd: null }, MEMORY_BYTES);
  try {
    const agent = readFileSync(new URL('../guest/agent.py', import.meta.url));
    const kernel = bootGuestKernel(host, image.id, machine, (_stream, bytes) => void printed.push(Buffer.from(bytes)), {
      argv: ['/usr/bin/python3', '-B', '-c', LOADER],
      uid: spec.uid, gid: spec.gid, cwd: spec.cwd, control: true, env: BUILD_ENVIRONMENT, limits: {},
    });
    kernel.control.send(agent);
    kernel.control.send(Buffer.from(JSON.stringify({ preload: spec.preload, setup: spec.setup })));
    let random: TemplateHeader['random'] = [];
    kernel.control.onMessage((message) => {
      random = parseReady(message);
      kernel.snapshotArmed = true;
    });
    runToSnapshot(host, kernel, printed);
    prepareForkChild(kernel);
    const shared = kernel.main ? shareText(kernel.main.mm, HEADROOM_BYTES) : null;
    const state = saveKernel(kernel);
    const used = shared ? shared.gpa + shared.sizeBytes : Math.min(machine.memory.sizeBytes, roundUp(kernel.frames.highWaterBytes + HEADROOM_BYTES));
    writeTemplate(path, templateKey(host.home), machine.snapshotMemory().subarray(0, used), serialize(state), {
      kind: 'linux-user', name: spec.name, imageId: image.id, fingerprint: host.fingerprint, builder,
      createdAt: new Date().toISOString(), preload: spec.preload, env: ENVIRONMENT, cwd: spec.cwd, random, shared,
    });
  } finally {
    machine.destroy();
  }
}

const RANDOM_RANGES_MAX = 16;
const RANDOM_BYTES_MAX = 1 << 16;

/** What the agent says at its snapshot point: the memory that must be random in each fork. */
function parseReady(message: Uint8Array): TemplateHeader['random'] {
  const { random } = JSON.parse(Buffer.from(message).toString()) as { random: TemplateHeader['random'] };
  const isRange = ([gva, bytes]: readonly [number, number]): boolean => Number.isSafeInteger(gva) && gva > 0 && bytes > 0 && bytes <= RANDOM_BYTES_MAX;
  if (random.length > RANDOM_RANGES_MAX || !random.every(isRange)) {
    throw new OffshootError('template-setup', 'The template could not be built: its agent asks for random memory where there is none.');
  }
  return random;
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

/** The last thing the program printed: usually the exception. */
function tail(printed: Buffer[]): string {
  const lines = Buffer.concat(printed).toString('utf8').trim().split('\n');
  return lines.at(-1) ?? '';
}
