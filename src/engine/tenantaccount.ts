// What a tenant's sandboxes have together of pages of files, inodes, tasks, open files and our own memory, in a worker: a table that all
// workers of the tenant share, one row for each. A worker writes its own row only, so what one that was killed had is easy to take out (tenantledger.ts).
//
// Whether there is room is decided by adding first and looking at the sum then: however many workers ask at once, the limit holds.

import { MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE } from '../abi/linux/host.ts';
import type { Arena } from '../host/arena.ts';
import { mmap } from '../host/libc.ts';
import type { Counted, OwnersBudget } from '../kernel/errnolimits.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { FOR_KEPT } from '../kernel/kernelmemory.ts';
import { countTasks } from '../kernel/process/clone.ts';
import type { EndReason } from '../kernel/end.ts';
import { COUNTED, ROW_BYTES, type Account, type TenantCount } from './protocol.ts';

const COLUMNS = COUNTED.length;
const PAGE_BYTES = 4096;

/** The table, and which row is this process's. */
export class TenantAccount {
  readonly limits: Account['limits'];
  private readonly table: Int32Array;
  private readonly row: number;

  constructor(table: Int32Array, { row, limits }: Pick<Account, 'row' | 'limits'>) {
    this.table = table;
    this.row = row;
    this.limits = limits;
  }

  /** Maps the table in `fd`. Throws HostError. */
  static map(arena: Arena, fd: number, account: Account): TenantAccount {
    const { rows } = account;
    const { hva, buffer, byteOffset } = arena.take(rows * ROW_BYTES);
    mmap(hva, rows * ROW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    return new TenantAccount(new Int32Array(buffer, byteOffset, rows * COLUMNS), account);
  }

  add(column: number, amount: number): void {
    Atomics.add(this.table, this.row * COLUMNS + column, amount);
  }

  /** All workers together have no more than they may. */
  isWithin(column: number): boolean {
    const limit = this.limits[COUNTED[column]];
    if (limit === undefined) return true;
    let sum = 0;
    for (let at = column; at < this.table.length; at += COLUMNS) sum += Atomics.load(this.table, at);
    return sum <= limit;
  }
}

/** One sandbox's part. */
export class GuestAccount implements OwnersBudget {
  private readonly account: TenantAccount;
  private readonly kernel: Kernel;
  private readonly own = COUNTED.map(() => 0);
  /** By what it took of our own memory since it was last looked at, its tenant has too much. */
  hasPassed = false;

  /** From now on the sandbox counts, with what it has already. */
  constructor(account: TenantAccount, kernel: Kernel) {
    this.account = account;
    this.kernel = kernel;
    kernel.bounds.owner = this;
    this.refresh();
  }

  hold(what: Counted, amount: number): boolean {
    const column = COUNTED.indexOf(what);
    const more = amount - this.own[column];
    if (more === 0) return true;
    this.change(column, more);
    if (more < 0 || this.account.isWithin(column)) return true;
    this.change(column, -more);
    return false;
  }

  note(what: TenantCount, amount: number): void {
    const column = COUNTED.indexOf(what);
    const more = amount - this.own[column];
    if (more !== 0) this.change(column, more);
  }

  private change(column: number, more: number): void {
    this.own[column] += more;
    this.account.add(column, more);
  }

  /** What it has given back, or was given by us, since it was last looked at: after each slice. */
  refresh(): void {
    const { vfs: { budget }, ipc } = this.kernel;
    this.note('diskPages', budget.usedPages);
    this.note('inodes', budget.inodes);
    this.note('processes', countTasks(this.kernel));
    this.note('files', ipc.files);
    this.noteMemory();
  }

  private noteMemory(): void {
    const column = COUNTED.indexOf('kernelPages');
    const before = this.own[column];
    this.note('kernelPages', Math.ceil(this.kernel.ownMemory.bytes / PAGE_BYTES));
    this.hasPassed = this.own[column] > before && !this.account.isWithin(column);
  }

  /** How a sandbox ends that `hasPassed`. */
  get passed(): EndReason {
    const megabytes = (this.account.limits.kernelPages ?? 0) * PAGE_BYTES / 2 ** 20;
    const detail = `${megabytes} MB of the host's memory ${FOR_KEPT} by all sandboxes of this tenant`;
    return { kind: 'limit', limit: 'kernel-memory', detail };
  }

  /** It is over, and has nothing any more. */
  close(): void {
    this.kernel.bounds.owner = null;
    for (const what of COUNTED) this.note(what, 0);
  }
}
