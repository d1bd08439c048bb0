// Why a run ended, in words and as an exit code.

import { signalName } from '../abi/linux/signal.ts';
import type { EndReason, LimitName } from '../kernel/end.ts';
import type { LimitReached } from './protocol.ts';

/** Exit codes of runs that were stopped from outside; others: 130, as by Ctrl-C. */
export const STOPPED_EXIT: Readonly<Record<string, number>> = { timeout: 124, memory: 137, 'kernel-memory': 137, output: 137, cpu: 137, 'kernel-bug': 125 };

/** Limits of the kernel that end a run; passing the others is an errno. */
const LIMITS: Readonly<Partial<Record<LimitName, LimitReached>>> = { memory: 'memory', 'kernel-memory': 'kernel-memory', output: 'output', cpu: 'cpu' };

/** When a run times out; `isTenants`: because no run of its tenant may take longer. */
export interface Timeout { readonly ms: number; readonly isTenants: boolean }

/** The limit that ended a run, and a sentence for people. A null reason: stopped from outside. */
export function explainEnd(reason: EndReason | null, stop: LimitReached, timeout: Timeout): { limit: LimitReached; text: string | null } {
  if (reason === null) {
    if (stop === 'memory') return { limit: stop, text: 'the host has no memory left, and this sandbox had the most.' };
    if (stop === 'output') return { limit: stop, text: 'output limit: the runs of this tenant have printed as much together as they may.' };
    return { limit: stop, text: stop === 'timeout' ? timeoutText(timeout) : 'cancelled.' };
  }
  switch (reason.kind) {
    case 'exit':
      return { limit: null, text: null };
    case 'signal':
      return { limit: null, text: `killed by ${signalName(reason.signo)}${reason.detail ? ` (${reason.detail})` : ''}.` };
    case 'limit':
      return { limit: LIMITS[reason.limit] ?? null, text: `${reason.limit} limit: ${reason.detail}.` };
    case 'bug':
      return { limit: 'kernel-bug', text: `Offshoot's kernel failed and ended this sandbox: ${reason.message}` };
    case 'machine':
      return { limit: 'kernel-bug', text: `the virtual machine failed: ${reason.reason}.` };
  }
}

function timeoutText({ ms, isTenants }: Timeout): string {
  return `timed out after ${ms / 1000} s${isTenants ? ', the longest that a run of this tenant may take' : ''}.`;
}
