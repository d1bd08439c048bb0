// Messages between the caller's process and a worker process: plain data over Node's IPC channel (advanced
// serialization, so byte arrays stay bytes). Requests carry `call`; the worker answers each once with `reply`.

import type { TemplateHeader } from './templatefile.ts';

/** A worker's descriptor for the socket on which open files come (host/descriptors.ts). */
export const HANDOVER_FD = 4;

/** Limits of one run. */
export interface RunLimits {
  /** Wall clock from the start of the run; 0 for none. */
  readonly timeoutMs: number;
  /** Guest-physical memory, template included. */
  readonly memoryBytes: number;
  /** stdout and stderr together. */
  readonly outputBytes: number;
}

export type RunRequest =
  | { readonly kind: 'code'; readonly code: Uint8Array; readonly filename: string; readonly argv: readonly string[]; readonly path0: string }
  | { readonly kind: 'exec'; readonly argv: readonly string[] };

export interface RunOptions {
  readonly request: RunRequest;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly limits: RunLimits;
  readonly strace: boolean;
}

/** Why a run ended when it was not by the program itself. */
export type LimitReached = 'timeout' | 'memory' | 'output' | 'cancelled' | 'kernel-bug' | null;

/** How a run ended. */
export interface RunEnd {
  readonly exitCode: number;
  /** Name of the signal that ended it ("SIGSEGV"), or null. */
  readonly signal: string | null;
  readonly limit: LimitReached;
  /** One sentence when `limit` is set. */
  readonly reason: string | null;
  /** The VM had been forked in advance and waited. */
  readonly pooled: boolean;
  /** Making the VM, as far as the run waited for it. */
  readonly forkTimeMs: number;
  readonly execTimeMs: number;
  readonly totalTimeMs: number;
  /** Pages of the sandbox's memory that are its own, not the template's. */
  readonly dirtyPages: number;
  readonly syscalls: number;
  readonly unimplemented: Readonly<Record<string, number>>;
}

/** Progress of building an image or a template. */
export interface Progress {
  readonly phase: string;
  readonly message: string;
  readonly done: number;
  readonly total: number;
}

/** The self-test's findings (vmm/selftest.ts). */
export interface SelfTestReport {
  /** 'pvm': shadow page tables, no hardware virtualization; 'hardware': VT-x or AMD-V. */
  readonly kind: string;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

export type ToWorker =
  /** Three descriptors came before it: template file, image index, image blob. The reply is whether it fits this processor. */
  | { readonly type: 'template'; readonly call: number; readonly header: TemplateHeader; readonly indexBytes: number }
  | {
    readonly type: 'fork'; readonly call: number; readonly sandbox: number; readonly template: string; readonly memoryBytes: number;
    readonly pooled: boolean;
  }
  | { readonly type: 'run'; readonly call: number; readonly sandbox: number; readonly options: RunOptions }
  | { readonly type: 'stdin'; readonly sandbox: number; readonly bytes: Uint8Array | null }
  | { readonly type: 'cancel'; readonly sandbox: number }
  | { readonly type: 'close'; readonly sandbox: number }
  | { readonly type: 'selftest'; readonly call: number };

export type FromWorker =
  | { readonly type: 'reply'; readonly call: number; readonly value: unknown }
  | { readonly type: 'error'; readonly call: number; readonly code: string; readonly message: string }
  | { readonly type: 'output'; readonly sandbox: number; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly type: 'trace'; readonly sandbox: number; readonly text: string };
