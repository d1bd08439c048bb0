// The resource limits a first process starts with: getrlimit(2). Everybody else inherits.

import {
  RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RTPRIO, RLIMIT_SIGPENDING, RLIMIT_STACK,
  RLIM_NLIMITS,
} from '../../abi/linux/sched.ts';
import type { Kernel } from '../kernel.ts';
import type { Limits } from '../limits.ts';
import type { Rlimit } from './process.ts';

/** Linux's defaults, within what the sandbox has. */
export function defaultRlimits(limits: Limits): Rlimit[] {
  const list: Rlimit[] = Array.from({ length: RLIM_NLIMITS }, () => ({ soft: Infinity, hard: Infinity }));
  list[RLIMIT_STACK] = { soft: 8 << 20, hard: Infinity };
  list[RLIMIT_CORE] = { soft: 0, hard: Infinity };
  list[RLIMIT_NPROC] = { soft: limits.processesMax, hard: limits.processesMax };
  list[RLIMIT_NOFILE] = { soft: Math.min(1024, limits.filesMax), hard: limits.filesMax };
  list[RLIMIT_MEMLOCK] = { soft: 8 << 20, hard: 8 << 20 };
  list[RLIMIT_SIGPENDING] = { soft: 1024, hard: 1024 };
  list[RLIMIT_MSGQUEUE] = { soft: 819200, hard: 819200 };
  list[RLIMIT_NICE] = { soft: 0, hard: 0 };
  list[RLIMIT_RTPRIO] = { soft: 0, hard: 0 };
  return list;
}

/** Puts other limits on a sandbox that stands before its run: its programs see them in getrlimit(2) and statfs(2). */
export function applyLimits(kernel: Kernel, limits: Partial<Limits>): void {
  const before = kernel.limits;
  kernel.setLimits({ ...before, ...limits });
  const { processesMax, filesMax } = kernel.limits;
  if (processesMax === before.processesMax && filesMax === before.filesMax) return;
  const defaults = defaultRlimits(kernel.limits);
  for (const process of kernel.processes.values()) {
    // What a setup has set itself stays when nobody asks for something else.
    if (processesMax !== before.processesMax) process.rlimits[RLIMIT_NPROC] = { ...defaults[RLIMIT_NPROC] };
    if (filesMax === before.filesMax) continue;
    process.rlimits[RLIMIT_NOFILE] = { ...defaults[RLIMIT_NOFILE] };
    process.files.limit = defaults[RLIMIT_NOFILE].soft;
  }
}
