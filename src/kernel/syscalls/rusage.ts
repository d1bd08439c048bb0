// struct rusage, struct timeval and struct timespec as bytes: getrusage(2), times(2), wait4(2).

const RUSAGE_BYTES = 144;

/** struct rusage: CPU time (all of it user time: ring 3 does the work), peak memory, faults. */
export function encodeRusage(cpuNs: number, maxRssKb: number, minorFaults = 0): Uint8Array {
  const bytes = new Uint8Array(RUSAGE_BYTES);
  const view = new DataView(bytes.buffer);
  putTimeval(view, 0, cpuNs);
  view.setBigInt64(32, BigInt(maxRssKb), true);
  view.setBigInt64(64, BigInt(minorFaults), true);
  return bytes;
}

/** {tv_sec, tv_usec} of a nanosecond count. */
export function putTimeval(view: DataView, at: number, ns: number): void {
  const us = Math.floor(ns / 1000);
  view.setBigInt64(at, BigInt(Math.floor(us / 1e6)), true);
  view.setBigInt64(at + 8, BigInt(us % 1e6), true);
}

/** {tv_sec, tv_nsec} of a nanosecond count. */
export function putTimespec(view: DataView, at: number, ns: bigint): void {
  view.setBigInt64(at, ns / 1_000_000_000n, true);
  view.setBigInt64(at + 8, ns % 1_000_000_000n, true);
}
