// What a load leaves to be judged: latencies, memory of the service and its workers, what is left; and what of it must not be.

import { readFileSync, readdirSync } from 'node:fs';

/** Milliseconds. */
export interface Latency { readonly n: number; readonly p50: number; readonly p99: number }

/** Resident memory in MB, shared files not counted: the service without and with its workers. */
export interface MemorySample { readonly service: number; readonly all: number }

export interface LoadReport {
  readonly clients: number;
  readonly seconds: number;
  /** By kind of work: how many came out right. */
  readonly done: Readonly<Record<string, number>>;
  /** Answers that are not what they should be: kind, status of the run, all they say. One that is empty and does not say why is here too. */
  readonly wrong: readonly string[];
  /** Runs that were ended and say why, by that. */
  readonly ended: Readonly<Record<string, number>>;
  /** Errors by status and code; 429 and 503 with Retry-After have been tried again. */
  readonly errors: Readonly<Record<string, number>>;
  /** Of `print(1+1)`: of the tenant that floods, of the other meanwhile, and of the other alone, before. */
  readonly printMs: Readonly<Record<'flood' | 'other' | 'alone', Latency>>;
  /** Means of the first and the last third of the samples, those of the start left out. */
  readonly memoryMb: { readonly first: MemorySample; readonly last: MemorySample; readonly most: MemorySample };
  /** Sandboxes and processes that are left when all clients are gone. */
  readonly left: { readonly sandboxes: number; readonly processesAfterStop: number };
}

/** p99 of `print(1+1)` over its p50. */
const SPREAD_MAX = 10;
/** Of the tenant that does not flood: its median over that of its own when it is alone. It has half of the machine then, and 180 others beside it. */
const STARVED = 20;
/** Memory of the last third over that of the first: V8 and the allocator's slack. */
const GROWTH_MAX = 1.3;
const GROWTH_MB = 48;

/** What must not be, in sentences. Empty: all is well. */
export function violations({ wrong, ended, errors, printMs, memoryMb: { first, last }, left }: LoadReport): string[] {
  const grew = (name: keyof MemorySample): boolean => last[name] > first[name] * GROWTH_MAX + GROWTH_MB;
  const spread = (['flood', 'other'] as const).filter((name) => printMs[name].p99 > SPREAD_MAX * printMs[name].p50);
  return [
    ...(wrong.length > 0 ? [`${wrong.length} answers were wrong, first: ${wrong[0]}`] : []),
    ...Object.entries(ended).map(([why, count]) => `${count} runs were ended: ${why}`),
    ...Object.entries(errors).map(([code, count]) => `${count} requests failed: ${code}`),
    ...spread.map((name) => `print(1+1) of ${name}: p99 is ${printMs[name].p99} ms, more than ${SPREAD_MAX} times its p50 of ${printMs[name].p50} ms`),
    ...(printMs.other.p50 > STARVED * printMs.alone.p50 ? [`the other tenant waits ${printMs.other.p50} ms, alone ${printMs.alone.p50} ms: it starves`] : []),
    ...(['service', 'all'] as const).filter(grew).map((name) => `memory (${name}) grew from ${first[name]} to ${last[name]} MB`),
    ...(left.sandboxes > 0 ? [`${left.sandboxes} sandboxes are left`] : []),
    ...(left.processesAfterStop > 0 ? [`${left.processesAfterStop} processes are left`] : []),
  ];
}

export function latency(times: readonly number[]): Latency {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number): number => Math.round((sorted[Math.floor(part * sorted.length)] ?? NaN) * 10) / 10;
  return { n: sorted.length, p50: at(0.5), p99: at(0.99) };
}

/** The first fifth, in which workers start and heaps take their size, is left out. */
export function memoryReport(samples: readonly MemorySample[]): LoadReport['memoryMb'] {
  const later = samples.slice(Math.floor(samples.length / 5));
  const third = Math.max(1, Math.floor(later.length / 3));
  const mean = (of: readonly MemorySample[], name: keyof MemorySample): number => Math.round(of.reduce((sum, each) => sum + each[name], 0) / of.length);
  const means = (of: readonly MemorySample[]): MemorySample => ({ service: mean(of, 'service'), all: mean(of, 'all') });
  return {
    first: means(later.slice(0, third)), last: means(later.slice(-third)),
    most: { service: Math.max(...samples.map(({ service }) => service)), all: Math.max(...samples.map(({ all }) => all)) },
  };
}

export function memoryOf(pid: number): MemorySample {
  const service = residentMb(pid);
  return { service, all: Math.round(childrenOf(pid).reduce((sum, child) => sum + residentMb(child), service)) };
}

export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => readFileSync(`/proc/${pid}/task/${tid}/children`, 'latin1').split(' ').filter(Boolean).map(Number));
}

/** Memory of its own, without what it maps from files; 0: it is gone. */
export function residentMb(pid: number): number {
  try {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ').map(Number);
    return Math.round(((resident - shared) * 4096) / 2 ** 20);
  } catch {
    return 0;
  }
}
