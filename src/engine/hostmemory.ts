// What the host has left: sandboxes are admitted only while some memory stays free, so that neither swap nor the kernel's
// out-of-memory killer is needed. A sandbox costs little until it writes, so limits may add up to more than there is; when memory
// does run short, the biggest is ended (workers.ts).

import { readFileSync } from 'node:fs';
import { OffshootError } from './errors.ts';

/** Memory of the machine, or of the control group this process is in when that has less. */
export interface MemoryState {
  readonly totalBytes: number;
  /** What can be used without swapping: MemAvailable of proc(5). */
  readonly availableBytes: number;
}

/** A look costs as much as sending a run to a worker: with plenty left, an older one will do. */
const SAMPLE_MS = 1000;
const SAMPLE_WHEN_SCARCE_MS = 20;
const KEEP_MIN_BYTES = 128 << 20;
const KEEP_MAX_BYTES = 2 ** 31;

export class HostMemory {
  /** Never given to sandboxes. */
  readonly keepFreeBytes: number;
  private readonly read: () => MemoryState;
  private state: MemoryState;
  private sampledMs = performance.now();
  /** Admitted since the sample was taken, and not seen in it. */
  private promisedBytes = 0;

  /** `keepFreeBytes`: default a sixteenth of all memory, from 128 MiB to 2 GiB. */
  constructor(keepFreeBytes?: number, read: () => MemoryState = readMemory) {
    this.read = read;
    this.state = read();
    this.keepFreeBytes = keepFreeBytes ?? Math.min(KEEP_MAX_BYTES, Math.max(KEEP_MIN_BYTES, this.state.totalBytes / 16));
  }

  /** Throws OffshootError 'host-memory' when `bytes` more would not leave enough free. */
  admit(bytes: number): void {
    const ageMs = performance.now() - this.sampledMs;
    if (ageMs > SAMPLE_MS || (ageMs > SAMPLE_WHEN_SCARCE_MS && this.left(bytes) < 2 * this.keepFreeBytes)) this.sample();
    if (this.left(bytes) < this.keepFreeBytes) {
      throw new OffshootError('host-memory', `The host has ${mb(this.state.availableBytes)} MB of memory left and keeps ${mb(this.keepFreeBytes)} MB `
        + 'free: close sandboxes, or wait until runs have ended.');
    }
    this.promisedBytes += bytes;
  }

  /** True when so little is left that something has to end. */
  get isShort(): boolean {
    this.sample();
    return this.untilShortBytes < 0;
  }

  /** What could still be used before memory is short, when it was last looked at. */
  get untilShortBytes(): number {
    return this.state.availableBytes - this.keepFreeBytes / 2;
  }

  private left(bytes: number): number {
    return this.state.availableBytes - this.promisedBytes - bytes;
  }

  private sample(): void {
    this.state = this.read();
    this.sampledMs = performance.now();
    this.promisedBytes = 0;
  }
}

function mb(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

/** From /proc/meminfo, and the limits of the control groups this process is in (cgroup v2). */
export function readMemory(): MemoryState {
  const text = readFileSync('/proc/meminfo', 'latin1');
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;
  let totalBytes = of('MemTotal');
  let availableBytes = of('MemAvailable');
  for (const group of controlGroups()) {
    const max = readNumber(`${group}/memory.max`);
    if (max === null) continue;
    const cache = /^inactive_file (\d+)$/m.exec(readText(`${group}/memory.stat`))?.[1] ?? '0';
    totalBytes = Math.min(totalBytes, max);
    availableBytes = Math.min(availableBytes, max - (readNumber(`${group}/memory.current`) ?? 0) + Number(cache));
  }
  return { totalBytes, availableBytes };
}

let groups: readonly string[] | null = null;

/** Directories of the control groups, own one first, that limit memory; found once. */
function controlGroups(): readonly string[] {
  if (groups) return groups;
  const own = /^0::(\/.*)$/m.exec(readText('/proc/self/cgroup'))?.[1];
  const found: string[] = [];
  for (let path = own; path !== undefined; path = path === '/' || path === '' ? undefined : path.slice(0, path.lastIndexOf('/'))) {
    const directory = `/sys/fs/cgroup${path === '/' ? '' : path}`;
    if (readNumber(`${directory}/memory.max`) !== null) found.push(directory);
  }
  groups = found;
  return found;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** The number in a file; null when there is none ("max", or no such file). */
function readNumber(path: string): number | null {
  const text = readText(path).trim();
  return /^\d+$/.test(text) ? Number(text) : null;
}
