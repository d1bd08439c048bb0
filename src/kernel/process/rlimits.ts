// The resource limits a first process starts with: getrlimit(2). Everybody else inherits.

import {
  RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RTPRIO, RLIMIT_SIGPENDING, RLIMIT_STACK,
  RLIM_NLIMITS,
} from '../../abi/linux/sched.ts';
import type { Limits } from '../limits.ts';
import type { Rlimit } from './process.ts';

/** Linux's defaults, within what the sandbox has. */
export function defaultRlimits(limits: Limits): Rlimit[] {
  const list: Rlimit[] = Array.from({ length: RLIM_NLIMITS }, () => ({ soft: Infinity, hard: Infinity }));
  list[RLIMIT_STACK] = { soft: 8 << 20, hard: Infinity };
  list[RLIMIT_CORE] = { soft: 0, hard: 0 };
  list[RLIMIT_NPROC] = { soft: limits.processesMax, hard: limits.processesMax };
  list[RLIMIT_NOFILE] = { soft: Math.min(1024, limits.filesMax), hard: limits.filesMax };
  list[RLIMIT_MEMLOCK] = { soft: 8 << 20, hard: 8 << 20 };
  list[RLIMIT_SIGPENDING] = { soft: 1024, hard: 1024 };
  list[RLIMIT_MSGQUEUE] = { soft: 819200, hard: 819200 };
  list[RLIMIT_NICE] = { soft: 0, hard: 0 };
  list[RLIMIT_RTPRIO] = { soft: 0, hard: 0 };
  return list;
}
