// The table in which a tenant's workers count what its sandboxes have together; with each addition, check or removal left out this fails.

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { Arena } from '../../src/host/arena.ts';
import { ftruncate, memfdCreate } from '../../src/host/libc.ts';
import * as tenantaccount from '../../src/engine/tenantaccount.ts';
import { COUNTED, ROW_BYTES, type Account } from '../../src/engine/protocol.ts';
import { ErrnoLimits, type Counted } from '../../src/kernel/errnolimits.ts';
import { DiskBudget } from '../../src/kernel/fs/tmpfs.ts';
import { IpcBudget } from '../../src/kernel/ipc/budget.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Process } from '../../src/kernel/process/process.ts';
import { testWithMistakes, type Checks } from './mutants.ts';

type Module = typeof tenantaccount;

const ROWS = 3, COLUMNS = COUNTED.length;

/** Two workers' views of one table, in rows 0 and 2. */
function workers({ TenantAccount }: Module, limits: Account['limits']): { readonly table: Int32Array; readonly one: InstanceType<Module['TenantAccount']>;
  readonly two: InstanceType<Module['TenantAccount']>; } {
  const table = new Int32Array(ROWS * COLUMNS);
  return { table, one: new TenantAccount(table, { row: 0, limits }), two: new TenantAccount(table, { row: 2, limits }) };
}

/** What an account looks at of a sandbox: it has two pages of files, three inodes, a process, an open file, a page of our own memory (`has`: as in COUNTED). */
function sandbox(): { readonly kernel: Kernel; readonly has: readonly number[] } {
  const bounds = new ErrnoLimits();
  const budget = new DiskBudget({ diskBytesMax: 1 << 20, inodesMax: 100 }, bounds), ipc = new IpcBudget(bounds);
  for (let i = 0; i < 2; i++) budget.takePage();
  for (let i = 0; i < 3; i++) budget.takeInode(0);
  ipc.files++;
  const kernel = { bounds, vfs: { budget }, ipc, processes: new Map([[1, { tasks: [{}] }]]), ownMemory: { bytes: 5 } } as unknown as Kernel;
  return { kernel, has: [2, 3, 1, 1, 1] };
}

const row = (table: Int32Array, number: number): number[] => [...table.subarray(number * COLUMNS, (number + 1) * COLUMNS)];
const NONE = [0, 0, 0, 0, 0];
const ASKED: readonly Counted[] = ['diskPages', 'inodes', 'processes', 'files'];

const CHECKS: Checks<Module> = {
  'a worker writes its own row, and sees all of them': (module) => {
    const { table, one, two } = workers(module, { files: 5 });
    const files = COUNTED.indexOf('files');
    one.add(files, 3);
    two.add(files, 2);
    assert.deepEqual([row(table, 0)[files], row(table, 2)[files]], [3, 2]);
    assert.deepEqual([one.isWithin(files), two.isWithin(files)], [true, true]);
    two.add(files, 1);
    assert.deepEqual([one.isWithin(files), two.isWithin(files)], [false, false]);
    two.add(files, -1);
    assert.equal(one.isWithin(files), true);
    one.add(0, 1 << 30);
    assert.equal(one.isWithin(0), true, 'no limit of that');
  },
  'the table is the same memory for all who map it': ({ TenantAccount }) => {
    const fd = memfdCreate('table', 0);
    ftruncate(fd, ROWS * ROW_BYTES);
    const arena = new Arena();
    const [one, two] = [0, 1].map((number) => TenantAccount.map(arena, fd, { rows: ROWS, row: number, limits: { inodes: 4 } }));
    closeSync(fd);
    one.add(1, 4);
    assert.equal(two.isWithin(1), true);
    two.add(1, 1);
    assert.equal(one.isWithin(1), false);
  },
  'a sandbox counts with what it has, and with what it has later; at its end no more': (module) => {
    const { table, one } = workers(module, {});
    const { kernel, has } = sandbox();
    const account = new module.GuestAccount(one, kernel);
    assert.deepEqual(row(table, 0), has);
    assert.equal(kernel.bounds.owner, account);
    kernel.vfs.budget.givePage();
    kernel.vfs.budget.takeInode(0);
    kernel.processes.set(2, { tasks: [] } as unknown as Process); // a zombie
    kernel.ipc.files += 5;
    kernel.ownMemory.bytes = 4097;
    account.refresh();
    assert.deepEqual(row(table, 0), [has[0] - 1, has[1] + 1, has[2] + 1, has[3] + 5, has[4] + 1]);
    const other = new module.GuestAccount(one, sandbox().kernel);
    account.close();
    assert.equal(kernel.bounds.owner, null);
    assert.deepEqual(row(table, 0), has, 'what the other has');
    other.close();
    assert.deepEqual(row(table, 0), NONE);
  },
  'what would be too much of all together is refused, and nothing is changed': (module) => {
    for (const what of ASKED) {
      const column = COUNTED.indexOf(what);
      const { has } = sandbox();
      const { table, one, two } = workers(module, { [what]: has[column] + 4 });
      const account = new module.GuestAccount(one, sandbox().kernel);
      const hold = (more: number): boolean => account.hold(what, has[column] + more);
      assert.deepEqual([hold(3), row(table, 0)[column]], [true, has[column] + 3]);
      two.add(column, 1);
      assert.deepEqual([hold(4), row(table, 0)[column], hold(4)], [false, has[column] + 3, false]);
      two.add(column, 5);
      assert.deepEqual([hold(3), row(table, 0)[column]], [true, has[column] + 3], 'no more than before');
      assert.deepEqual([hold(2), row(table, 0)[column]], [true, has[column] + 2], 'less than before');
      assert.deepEqual([hold(3), row(table, 0)[column]], [false, has[column] + 2]);
      account.note(what, has[column] + 9);
      assert.equal(row(table, 0)[column], has[column] + 9, 'what was given by us is not asked for');
      account.close();
      assert.equal(row(table, 0)[column], 0);
    }
  },
  'who takes the page of our own memory that is too much of all together is told; nobody else is': (module) => {
    const { kernel } = sandbox();
    const { one, two } = workers(module, { kernelPages: 10 });
    const account = new module.GuestAccount(one, kernel);
    const passes = (pages: number): boolean => {
      kernel.ownMemory.bytes = pages * 4096;
      account.refresh();
      return account.hasPassed;
    };
    assert.deepEqual([passes(8), passes(10), passes(11)], [false, false, true]);
    assert.deepEqual(account.passed, {
      kind: 'limit', limit: 'kernel-memory',
      detail: `${40 / 1024} MB of the host's memory for what is open, mapped, queued and named by all sandboxes of this tenant`,
    });
    two.add(COUNTED.indexOf('kernelPages'), 5);
    assert.deepEqual([passes(8), passes(8), passes(9), passes(5)], [false, false, true, false]);
    account.close();
  },
  'the kernel asks before it gives': (module) => {
    const limits: readonly (readonly [Counted, (kernel: Kernel) => boolean])[] = [
      ['diskPages', (kernel) => kernel.vfs.budget.takePage()], ['inodes', (kernel) => kernel.vfs.budget.takeInode(0)],
    ];
    for (const [what, take] of limits) {
      const { kernel, has } = sandbox();
      const { one } = workers(module, { [what]: has[COUNTED.indexOf(what)] + 2 });
      const account = new module.GuestAccount(one, kernel);
      assert.deepEqual([take(kernel), take(kernel), take(kernel)], [true, true, false], what);
      assert.deepEqual(kernel.bounds.namesSince(), [what === 'diskPages' ? 'tenant.diskBytes' : `tenant.${what}`]);
      account.close();
      assert.equal(take(kernel), true, 'nobody counts any more');
    }
  },
};

testWithMistakes('engine/tenantaccount.ts', tenantaccount, CHECKS, [
  ['MAP_SHARED | MAP_FIXED', '2 | MAP_FIXED'],
  ['Atomics.add(this.table, this.row * COLUMNS + column, amount);', ''],
  ['this.row * COLUMNS + column', 'column'],
  ['if (limit === undefined) return true;', 'if (limit === undefined) return false;'],
  ['let at = column;', 'let at = this.row * COLUMNS + column;'],
  ['at < this.table.length;', 'at < COLUMNS;'],
  ['return sum <= limit;', 'return true;'],
  ['return sum <= limit;', 'return sum < limit;'],
  ['kernel.bounds.owner = this;', ''],
  ['kernel.bounds.owner = this;\n    this.refresh();', 'kernel.bounds.owner = this;'],
  ['if (more === 0) return true;', ''],
  ['    this.change(column, more);\n    if (more < 0', '    if (more < 0'],
  ['more < 0 || ', ''],
  ['this.change(column, -more);', ''],
  ['    this.change(column, -more);\n    return false;', '    this.change(column, -more);\n    return true;'],
  ['if (more !== 0) this.change(column, more);', ''],
  ['this.own[column] += more;', ''],
  ['this.account.add(column, more);', ''],
  ["this.note('diskPages', budget.usedPages);", ''],
  ["this.note('inodes', budget.inodes);", ''],
  ["this.note('processes', countTasks(this.kernel));", ''],
  ["this.note('files', ipc.files);", ''],
  ['this.noteMemory();', ''],
  ["this.note('kernelPages', Math.ceil(this.kernel.ownMemory.bytes / PAGE_BYTES));", ''],
  ['this.own[column] > before && ', ''],
  [' && !this.account.isWithin(column)', ''],
  ['this.kernel.bounds.owner = null;', ''],
  ['for (const what of COUNTED) this.note(what, 0);', ''],
]);
