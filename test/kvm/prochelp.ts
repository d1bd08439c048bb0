// What the tests of processes read in /proc.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Process ids of the children of `pid`, and of theirs. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), Number(readFileSync(`/proc/${name}/stat`, 'latin1').replace(/^.*\) . /s, '').split(' ')[0]));
    } catch { /* it has just ended */ }
  }
  const found = [pid];
  for (const at of found) for (const [child, parent] of parents) if (parent === at) found.push(child);
  return found.slice(1);
}

/** Command line of a process, '' when it has ended. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** A field of each thread's status, for example all values of CapEff. */
export function threadStatus(pid: number, field: string): string[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    return new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';
  });
}

/** What the open descriptors of a process are, with their access mode ("r", "w", "rw"). */
export function openFiles(pid: number): { readonly fd: number; readonly path: string; readonly mode: string }[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    const flags = parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0', 8);
    return { fd: Number(fd), path: readlinkSync(`/proc/${pid}/fd/${fd}`), mode: ['r', 'w', 'rw'][flags & 3] };
  });
}

/** Whether all these processes end within a while (or have become zombies, which their parent has not looked at yet). */
export async function allGone(pids: readonly number[], waitMs = 10_000): Promise<boolean> {
  for (const end = Date.now() + waitMs; Date.now() < end;) {
    if (pids.every((pid) => commandLine(pid) === '')) return true;
    await new Promise((done) => setTimeout(done, 50));
  }
  return false;
}
