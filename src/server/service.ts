// What every operation works with: the engine, the settings, who calls, what is counted. Built by start.ts, handed to the routes.

import type { Engine } from '../engine/engine.ts';
import type { Progress } from '../engine/protocol.ts';
import type { Afterwards } from './afterwards.ts';
import type { Callers } from './callers.ts';
import type { Metrics } from './metrics.ts';
import type { Requests } from './requests.ts';
import type { Sandboxes } from './sandboxes.ts';
import type { Settings } from './settings.ts';

/** What the service logs to. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Service {
  readonly engine: Engine;
  readonly settings: Settings;
  readonly callers: Callers;
  readonly metrics: Metrics;
  readonly sandboxes: Sandboxes;
  readonly version: string;
  readonly startedMs: number;
  /** Templates loaded at the start: 'ready', 'loading', or why not. */
  readonly loading: Map<string, string>;
  /** Hear what is built. */
  readonly builders: Set<(progress: Progress) => void>;
  /** Those that have no whole answer yet. */
  readonly requests: Requests;
  readonly log: Log;
  readonly afterwards: Afterwards;
  /** No new work is taken. */
  isStopping: boolean;
}
