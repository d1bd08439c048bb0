// Locks on an inode: POSIX and open-file-description record locks (fcntl(2)) and flock(2) locks.
//
// Interface: LockList. The owner of a POSIX lock is a descriptor table, of the other two kinds an open file description.
// Nothing blocks here: a caller that must wait waits on `queue`, which is woken whenever a lock goes.

import { EAGAIN, ENOLCK } from '../../abi/linux/errno.ts';
import { F_UNLCK, F_WRLCK, LOCK_EX } from '../../abi/linux/fcntl.ts';
import type { WaitQueues } from '../wait.ts';

/** A FdTable or a File. */
export type LockOwner = object;

export interface RecordLock {
  readonly owner: LockOwner;
  /** Holder's pid for F_GETLK; -1 for open-file-description locks. */
  readonly pid: number;
  /** F_RDLCK or F_WRLCK. */
  readonly type: number;
  readonly start: number;
  /** Exclusive; Infinity to the end of the file, however it grows. */
  readonly end: number;
}

/** What the file systems give to lists of locks. */
export interface LockParts {
  readonly waits: WaitQueues;
  /** Locks that are held, in all lists of a sandbox. */
  readonly held: { locks: number };
}

/** Record locks one inode may have. */
const RECORDS_MAX = 4096;

export class LockList {
  private records: readonly RecordLock[];
  /** flock locks: LOCK_SH or LOCK_EX by owner. */
  private readonly whole: Map<LockOwner, number>;
  /** Wait queue woken when a lock is released. */
  readonly queue: number;
  private readonly parts: LockParts;
  /** As counted in `held`. */
  private counted = 0;

  /** `queue` is the saved one when it is restored: tasks may wait on it. */
  constructor(parts: LockParts, records: readonly RecordLock[] = [], whole = new Map<LockOwner, number>(), queue = parts.waits.newQueue()) {
    this.parts = parts;
    this.queue = queue;
    this.records = records;
    this.whole = whole;
    this.count();
  }

  private count(): void {
    const now = this.records.length + this.whole.size;
    this.parts.held.locks += now - this.counted;
    this.counted = now;
  }

  private changed(): void {
    this.count();
    this.parts.waits.wake(this.queue);
  }

  get isEmpty(): boolean {
    return this.records.length === 0 && this.whole.size === 0;
  }

  /** The first lock that keeps `wanted` from being set; null when nothing does. */
  conflict(wanted: RecordLock): RecordLock | null {
    return this.records.find((lock) =>
      lock.owner !== wanted.owner && lock.start < wanted.end && wanted.start < lock.end &&
      (lock.type === F_WRLCK || wanted.type === F_WRLCK)) ?? null;
  }

  /** Sets or (F_UNLCK) removes; 0, -EAGAIN when somebody else's lock is in the way, -ENOLCK. */
  setRecord(wanted: RecordLock): number {
    if (wanted.type !== F_UNLCK && this.conflict(wanted)) return -EAGAIN;
    const kept: RecordLock[] = [];
    let merged = wanted;
    for (const lock of this.records) {
      const touches = lock.owner === wanted.owner && lock.start <= merged.end && merged.start <= lock.end;
      if (!touches) kept.push(lock);
      else if (lock.type === wanted.type) merged = { ...merged, start: Math.min(lock.start, merged.start), end: Math.max(lock.end, merged.end) };
      else {
        if (lock.start < wanted.start) kept.push({ ...lock, end: Math.min(lock.end, wanted.start) });
        if (lock.end > wanted.end) kept.push({ ...lock, start: Math.max(lock.start, wanted.end) });
      }
    }
    if (wanted.type !== F_UNLCK) kept.push(merged);
    if (kept.length > RECORDS_MAX) return -ENOLCK;
    this.records = kept.sort((a, b) => a.start - b.start);
    this.changed();
    return 0;
  }

  /** flock(2): 0 or -EAGAIN. `mode` is LOCK_SH or LOCK_EX; a change of mode gives the old lock up first, as Linux does. */
  lockWhole(owner: LockOwner, mode: number): number {
    if (this.whole.get(owner) === mode) return 0;
    if (this.whole.delete(owner)) this.changed();
    for (const held of this.whole.values()) if (held === LOCK_EX || mode === LOCK_EX) return -EAGAIN;
    this.whole.set(owner, mode);
    this.count();
    return 0;
  }

  unlockWhole(owner: LockOwner): void {
    if (this.whole.delete(owner)) this.changed();
  }

  /** Everything `owner` holds goes: its last descriptor here was closed. */
  releaseOwner(owner: LockOwner): void {
    const before = this.records.length;
    this.records = this.records.filter((lock) => lock.owner !== owner);
    if (this.whole.delete(owner) || this.records.length !== before) this.changed();
  }

  /** All locks, for savefs and /proc/locks. */
  list(): { readonly records: readonly RecordLock[]; readonly whole: ReadonlyMap<LockOwner, number> } {
    return { records: this.records, whole: this.whole };
  }
}
