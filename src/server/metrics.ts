// What Prometheus reads at /v1/metrics. Nothing in it names a tenant.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { EngineStats } from '../engine/workers.ts';
import type { RunResult } from '../engine/run.ts';
import { endedOf } from './result.ts';

const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];
/** Different calls that are told apart; the rest is one. */
const CALLS_MAX = 200;

/** Gauges that are looked up when somebody asks. */
export interface Live extends EngineStats {
  readonly statefulSandboxes: number;
}

export class Metrics {
  private readonly registry = new Registry();
  private readonly runs = this.counter('offshoot_runs_total', 'Runs, by why they ended and how their VM was made', ['ended', 'vm']);
  private readonly errors = this.counter('offshoot_errors_total', 'Requests that were answered with an error, by code', ['code']);
  private readonly syscalls = this.counter('offshoot_traps_total', 'System calls that left the VMs', []);
  private readonly missing = this.counter('offshoot_unimplemented_calls_total', 'Calls the kernel does not have, by name', ['call']);
  private readonly queue = this.histogram('offshoot_queue_seconds', 'From the request to the first instruction');
  private readonly fork = this.histogram('offshoot_fork_seconds', 'Making the VM, as far as the run waited for it');
  private readonly run = this.histogram('offshoot_run_seconds', 'From the first instruction to the end');
  private readonly requests = new Histogram({
    name: 'offshoot_http_request_seconds', help: 'Requests, by route and status', labelNames: ['route', 'status'],
    buckets: SECONDS, registers: [this.registry],
  });
  private readonly cpu = this.counter('offshoot_cpu_seconds_total', 'Processor time of runs', []);
  private readonly calls = new Set<string>();

  constructor(live: () => Live) {
    collectDefaultMetrics({ register: this.registry });
    const gauge = (name: string, help: string, value: (now: Live) => number): void => {
      new Gauge({ name, help, registers: [this.registry], collect() { this.set(value(live())); } });
    };
    gauge('offshoot_live_sandboxes', 'Sandboxes that live now', (now) => now.sandboxes);
    gauge('offshoot_stateful_sandboxes', 'Sandboxes of /v1/sandboxes', (now) => now.statefulSandboxes);
    gauge('offshoot_waiting_runs', 'Runs that wait for a worker', (now) => now.waiting);
    gauge('offshoot_worker_processes', 'Worker processes', (now) => now.workers);
    gauge('offshoot_worker_memory_bytes', 'Memory that worker processes share with no file', (now) => now.workerBytes);
  }

  noteRun(result: RunResult): void {
    const vm = result.rewound ? 'reused' : result.pooled ? 'pooled' : 'fresh';
    this.runs.inc({ ended: endedOf(result), vm });
    this.syscalls.inc(result.syscalls);
    this.cpu.inc(result.cpuTimeMs / 1000);
    this.queue.observe(result.waitTimeMs / 1000);
    this.fork.observe(result.forkTimeMs / 1000);
    this.run.observe(result.execTimeMs / 1000);
    for (const [name, count] of Object.entries(result.unimplemented)) {
      if (this.calls.size < CALLS_MAX) this.calls.add(name);
      this.missing.inc({ call: this.calls.has(name) ? name : 'other' }, count);
    }
  }

  noteRequest(route: string, status: number, seconds: number): void {
    this.requests.observe({ route, status: String(status) }, seconds);
  }

  noteError(code: string): void {
    this.errors.inc({ code });
  }

  get contentType(): string { return this.registry.contentType; }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  private histogram(name: string, help: string): Histogram {
    return new Histogram({ name, help, buckets: SECONDS, registers: [this.registry] });
  }
}
