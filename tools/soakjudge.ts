// How the results of a soak are judged (soakkinds.ts), and its dice.
//
// A busy machine may keep a run from its output for as long as it likes, so nothing here depends on how fast anything is.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine, RunResult } from '../src/engine/index.ts';

export interface Work { readonly engine: Engine; readonly tenant: string; readonly nonce: string }

/** Does one piece of work; returns what was wrong about it, or null. */
export type Kind = (work: Work) => Promise<string | null>;

/** The host had no memory left for it: nothing is known of how it would have gone on. */
export class HostShort extends Error {}

export const MESSAGE_MAX = 400;

function described({ exitCode, limit, reason, stdout, stderr }: RunResult): string {
  const text = (bytes: Buffer): string => JSON.stringify(bytes.toString().slice(0, MESSAGE_MAX));
  return `exit ${exitCode}, limit ${limit}, ${reason ?? 'no reason'}, stdout ${text(stdout)}, stderr ${text(stderr)}`;
}

/** What was printed and how it ended, exactly. */
export function is(result: RunResult, stdout: string, code = 0, limit: RunResult['limit'] = null): string | null {
  if (result.limit === 'memory' && limit !== 'memory') throw new HostShort(result.reason ?? '');
  return result.stdout.toString() === stdout && result.exitCode === code && result.limit === limit ? null : described(result);
}

/** It was ended at some moment by `limit`: what it had printed by then is the beginning of `stdout`, maybe nothing of it. */
export function isStopped(result: RunResult, stdout: string, code: number, limit: RunResult['limit']): string | null {
  if (result.limit === 'memory' && limit !== 'memory') throw new HostShort(result.reason ?? '');
  return stdout.startsWith(result.stdout.toString()) && result.exitCode === code && result.limit === limit ? null : described(result);
}

export const chance = (of: number): boolean => Math.random() < of;

/** Half of them none, the others of up to 32 ms: an interpreter is started and warmed meanwhile. */
export const pause = (): Promise<void> => (chance(0.5) ? Promise.resolve() : sleep(2 ** (5 * Math.random())));
