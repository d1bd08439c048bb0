// Rows of a benchmark: percentiles of what was measured, and ratios of two quantities measured in turn; the rest between samples.

import type { Engine } from '../engine/engine.ts';
import type { Template } from '../engine/template.ts';

/** One measured quantity. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  /** Samples. */
  readonly n: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
}

const SHARES = { p50: 0.5, p95: 0.95, p99: 0.99, p999: 0.999 } as const;

/** Percentiles of `values`. */
export function row(name: string, unit: string, values: readonly number[]): Row {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  return { name, unit, n: sorted.length, p50: at(SHARES.p50), p95: at(SHARES.p95), p99: at(SHARES.p99), p999: at(SHARES.p999) };
}

/** Ratios of the percentiles of two quantities. */
export function ratio(name: string, a: readonly number[], b: readonly number[]): Row {
  const [x, y] = [row('', '', a), row('', '', b)];
  return { name, unit: 'ratio', n: x.n, p50: round(x.p50 / y.p50), p95: round(x.p95 / y.p95), p99: round(x.p99 / y.p99), p999: round(x.p999 / y.p999) };
}

/** A quantity with one value. */
export function single(name: string, unit: string, value: number): Row {
  return row(name, unit, [value]);
}

function round(value: number): number {
  return Number(value.toFixed(3));
}

/** Between samples: pools are filled and slots rewound; longer, and other work takes the processors' caches from all sides. */
export const REST_MS = 6;

/** Runs in a row before sampling begins: after some hundreds V8 has compiled what a service runs all day. Fewer where few samples are wanted. */
export async function compile(engine: Engine, template: Template, code: string, samples: number): Promise<void> {
  for (let i = 0; i < Math.min(600, 10 * samples); i++) await engine.run(template, code, { reuse: i % 2 === 0 });
}

/** Nothing is asked for meanwhile. */
export function rest(ms = REST_MS): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Throws when a benchmarked run did not print what it should. */
export function check(output: string, expected: RegExp): void {
  if (!expected.test(output)) throw new Error(`a benchmarked run printed ${JSON.stringify(output)} instead of ${expected}`);
}
