// Node's event loop without io_uring. libuv submits its epoll_ctl calls through an io_uring where the kernel has one, and an
// io_uring makes nearly every system call, seccomp or not, so a confined process must do without.

import { readdirSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';

/** Whether this process has an io_uring. To be asked before /proc is out of reach. */
export function usesIoUring(): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('io_uring');
    } catch {
      return false; // the descriptor of this very listing
    }
  });
}

/**
 * Makes the main thread's loop open its kernel objects again (uv_loop_fork of libuv's public API): once io_uring_setup is refused it
 * calls epoll_ctl itself. To be called while nothing is under way in the thread pool. Throws Error when this Node cannot.
 */
export function reopenEventLoop(): void {
  const node = koffi.load(null);
  const loop = (node.func('void *uv_default_loop()') as () => unknown)();
  const error = (node.func('int uv_loop_fork(void *)') as (loop: unknown) => number)(loop);
  if (error !== 0) throw new Error(`uv_loop_fork: ${error}`);
}
