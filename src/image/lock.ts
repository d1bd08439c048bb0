// A lock between processes (and between users of one process) that a killed holder cannot leave behind.
//
// Interface: withLock. Every contender creates its own file, named after its process, and holds the lock if it sees no
// other live one; otherwise it withdraws and tries again. Names are never reused, so anybody may remove the file of a
// dead process without a race (the trouble with one lock file that must be taken over). A process is identified by pid,
// start time (proc_pid_stat(5), field 22), boot and pid namespace; where another namespace holds the lock, the age of
// its file decides, which the holder keeps touching.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeDirectories } from './home.ts';

const TOUCH_MS = 5_000;
const FOREIGN_STALE_MS = 60_000;
const RETRY_MS = 100;

export interface LockOptions {
  signal?: AbortSignal | undefined;
  /** Called once when somebody else holds the lock. */
  onWait?: (() => void) | undefined;
}

/** Start time of a live process in clock ticks, '' when there is none (a zombie is dead: its parent may never reap it). */
function startTime(pid: string): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return 'ZX'.includes(fields[0]) ? '' : fields[19];
  } catch {
    return '';
  }
}

/** What makes pids comparable: this boot and this pid namespace. */
function pidSpace(): string {
  const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return `${boot}-${/\d+/.exec(fs.readlinkSync('/proc/self/ns/pid'))?.[0]}`;
}

function isAlive(dir: string, name: string, space: string): boolean {
  const [, pid, started, itsSpace] = name.split('.');
  if (itsSpace === space) return startTime(pid) === started;
  try {
    return Date.now() - fs.statSync(path.join(dir, name)).mtimeMs < FOREIGN_STALE_MS;
  } catch {
    return false;
  }
}

/** Files of other live contenders; those of dead ones are removed. */
function others(dir: string, own: string, space: string): string[] {
  return fs.readdirSync(dir).filter((name) => {
    if (!name.startsWith('lock.') || name === own) return false;
    if (isAlive(dir, name, space)) return true;
    fs.rmSync(path.join(dir, name), { force: true });
    return false;
  });
}

/** Runs `body` while no other process holds the lock of directory `dir` (created if missing). */
export async function withLock<T>(dir: string, body: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  makeDirectories(dir);
  const space = pidSpace();
  const own = `lock.${process.pid}.${startTime(String(process.pid))}.${space}.${randomBytes(6).toString('hex')}`;
  const file = path.join(dir, own);
  for (let told = false; ; ) {
    if (others(dir, own, space).length === 0) {
      fs.writeFileSync(file, '');
      if (others(dir, own, space).length === 0) break;
      fs.rmSync(file, { force: true });
    } else if (!told) {
      told = true;
      options.onWait?.();
    }
    options.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS * (0.5 + Math.random())));
  }
  const touch = setInterval(() => {
    try {
      fs.utimesSync(file, new Date(), new Date());
    } catch { /* removed: nothing to keep fresh */ }
  }, TOUCH_MS).unref();
  try {
    return await body();
  } finally {
    clearInterval(touch);
    fs.rmSync(file, { force: true });
  }
}
