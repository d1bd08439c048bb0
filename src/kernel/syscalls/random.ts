// getrandom(2): bytes of the host's generator, so that forks of one template never share them.

import { EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import type { Task } from '../process/task.ts';
import { FULL, OUT_BUF, SIZE, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4;
/** Bytes asked of the host at a time. */
const CHUNK_BYTES = 65536;
/** What one call gives at most, as on Linux. */
const LENGTH_MAX = 0x7fff_f000;

function getrandom(task: Task, gva: number, length: number, flags: number): number {
  if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) !== 0) return -EINVAL;
  if ((flags & (GRND_RANDOM | GRND_INSECURE)) === (GRND_RANDOM | GRND_INSECURE)) return -EINVAL;
  const wanted = Math.min(length, LENGTH_MAX);
  const bytes = new Uint8Array(Math.min(wanted, CHUNK_BYTES));
  let done = 0;
  while (done < wanted) {
    const chunk = bytes.subarray(0, Math.min(CHUNK_BYTES, wanted - done));
    task.kernel.host.random(chunk);
    const copied = task.process.mm.copyOutPartial(gva + done, chunk);
    done += copied;
    if (copied < chunk.length) return done > 0 ? done : -EFAULT;
    // A huge request must not hold the worker: a short count is allowed once a signal could have arrived.
    if (done >= 16 << 20) break;
  }
  return done;
}

export const rows: SyscallRow[] = [sys(318, 'getrandom', getrandom, FULL, [OUT_BUF, SIZE, 'FLAGS'])];
