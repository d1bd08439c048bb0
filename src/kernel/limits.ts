// What one sandbox may use. Passing a limit gives that sandbox a clear errno or end reason, never another sandbox.

export interface Limits {
  /** Bytes on stdout and stderr together. */
  readonly outputBytesMax: number;
  /** Tasks (threads of all processes) alive or not yet waited for. */
  readonly processesMax: number;
  /** Open descriptors of one process: RLIMIT_NOFILE's hard limit. */
  readonly filesMax: number;
  /** Bytes in the writable file systems. */
  readonly diskBytesMax: number;
  /** Files, directories and links made in the writable file systems, a template's included. */
  readonly inodesMax: number;
  /** Bytes of our own memory for it: kernelmemory.ts. */
  readonly kernelMemoryMax: number;
  /** CPU time of all tasks, nanoseconds. */
  readonly cpuNsMax: number;
}

export const DEFAULT_LIMITS: Limits = {
  outputBytesMax: 64 << 20,
  processesMax: 256,
  filesMax: 4096,
  diskBytesMax: 1 << 30,
  inodesMax: 1 << 20,
  kernelMemoryMax: 160 << 20,
  cpuNsMax: Infinity,
};

/** Process ids are below it: Linux's default pid_max. */
export const PID_MAX = 32768;
