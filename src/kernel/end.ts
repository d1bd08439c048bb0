// Why a sandbox ended.

import { signalName } from '../abi/linux/signal.ts';

export type LimitName = 'memory' | 'output' | 'processes' | 'disk' | 'cpu' | 'kernel-memory';

export type EndReason =
  /** The main process exited. */
  | { readonly kind: 'exit'; readonly code: number }
  /** The main process was ended by a signal. */
  | { readonly kind: 'signal'; readonly signo: number; readonly detail: string }
  | { readonly kind: 'limit'; readonly limit: LimitName; readonly detail: string }
  /** bug(), or an exception in our own code; `detail`: stack and last system calls, for a report. */
  | { readonly kind: 'bug'; readonly message: string; readonly detail?: string }
  /** The machine could not go on (KVM_EXIT_INTERNAL_ERROR and the like). */
  | { readonly kind: 'machine'; readonly reason: string };

/** The shell's exit code: the code itself, or 128 + signal. */
export function exitCodeOf(end: EndReason): number {
  switch (end.kind) {
    case 'exit': return end.code;
    case 'signal': return 128 + end.signo;
    case 'limit': return 137;
    default: return 125;
  }
}

/** One line for people. */
export function describeEnd(end: EndReason): string {
  switch (end.kind) {
    case 'exit': return `exited with ${end.code}`;
    case 'signal': return `killed by ${signalName(end.signo)}${end.detail && ` (${end.detail})`}`;
    case 'limit': return `${end.limit} limit reached: ${end.detail}`;
    case 'bug': return `kernel bug: ${end.message}`;
    case 'machine': return `machine failure: ${end.reason}`;
  }
}
