// No orphans: a process of ours ends at once, whatever it is doing, when the one that started it ends or is killed.

import { SIGKILL } from '../abi/linux/signal.ts';
import { setParentDeathSignal } from '../host/prctl.ts';

/**
 * From now on the kernel kills this process when its parent, `pid`, ends. A parent that ended before this call is noticed
 * here, so there is no gap.
 */
export function endWithParent(pid: number): void {
  setParentDeathSignal(SIGKILL);
  if (process.ppid !== pid) process.exit(0);
}
