// What one tenant may hold at a time: the options, checked, and what of it is seen by the caller's process itself.

import { OffshootError } from './errors.ts';
import type { Account } from './protocol.ts';

/** What one tenant may hold at a time, in all its live sandboxes together. */
export interface TenantLimits {
  /** Live sandboxes, running or not. */
  readonly sandboxes: number;
  /** Their memory limits. */
  readonly memoryBytes: number;
  /** Processors that they use, at most; 0.5: half of one. What would use more is slowed down. */
  readonly cpus: number;
  /** Bytes in files that they wrote. Beyond: ENOSPC. */
  readonly diskBytes: number;
  /** Files, directories and links that they made. Beyond: ENOSPC. */
  readonly inodes: number;
  /** Their processes and threads. Beyond: EAGAIN; and no more sandboxes than that. */
  readonly processes: number;
  /** Open files of all their processes (open file descriptions, as /proc/sys/fs/file-nr counts them). Beyond: ENFILE. */
  readonly files: number;
  /** What the runs under way have printed. The one that passes it is ended. */
  readonly outputBytes: number;
  /** Our own memory for them: `LimitInit.kernelMemoryBytes`. The sandbox that passes it is ended. */
  readonly kernelMemoryBytes: number;
  /** Wall clock of any run or program of it, milliseconds from 1: one that asks for more, or for none, has this. */
  readonly timeoutMs: number;
}

const TENANT_LIMITS: TenantLimits = {
  sandboxes: 2048, memoryBytes: Infinity, cpus: Infinity, diskBytes: Infinity, inodes: Infinity, processes: Infinity, files: Infinity, outputBytes: Infinity,
  kernelMemoryBytes: Infinity, timeoutMs: Infinity,
};
const CPUS_MIN = 0.05;
const PAGE_BYTES = 4096;

/** All of them. Throws OffshootError 'bad-argument'. */
export function checkedTenantLimits(given: Partial<TenantLimits> = {}): TenantLimits {
  const limits = { ...TENANT_LIMITS, ...given };
  if (!(limits.cpus >= CPUS_MIN)) throw new OffshootError('bad-argument', `cpus must be a number from ${CPUS_MIN}.`);
  if (!(limits.timeoutMs >= 1)) throw new OffshootError('bad-argument', 'timeoutMs of tenantLimits must be a number from 1.');
  for (const [name, value] of Object.entries(limits)) {
    if (typeof value === 'number' && value >= 0) continue;
    throw new OffshootError('bad-argument', `${name} of tenantLimits must be a number from 0.`);
  }
  return limits;
}

/** Those that the kernels of the tenant's sandboxes see to. */
export function accountLimits({ diskBytes, inodes, processes, files, kernelMemoryBytes }: TenantLimits): Account['limits'] {
  const pages = (bytes: number): number => Math.floor(bytes / PAGE_BYTES);
  const all = { diskPages: pages(diskBytes), inodes, processes, files, kernelPages: pages(kernelMemoryBytes) };
  return Object.fromEntries(Object.entries(all).filter(([, limit]) => limit !== Infinity));
}

/** A run's time limit, which its tenant's may lower. 0: none. */
export function cappedTimeout({ timeoutMs }: { readonly timeoutMs: number }, { timeoutMsMax }: { readonly timeoutMsMax: number }): Capped {
  if (timeoutMsMax === Infinity || (timeoutMs > 0 && timeoutMs <= timeoutMsMax)) return { timeoutMs };
  return { timeoutMs: timeoutMsMax, timeoutIsTenants: true };
}

interface Capped { readonly timeoutMs: number; readonly timeoutIsTenants?: true }

/** What the runs of a tenant that are under way have printed together. */
export class TenantOutput {
  private readonly limitBytes: number;
  private bytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** How much of so many bytes there is room for; that is taken. */
  take(wanted: number): number {
    const taken = Math.max(0, Math.min(wanted, this.limitBytes - this.bytes));
    this.bytes += taken;
    return taken;
  }

  give(bytes: number): void {
    this.bytes -= bytes;
  }
}
