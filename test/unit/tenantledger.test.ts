// Who has which row of a tenant's table, and what is taken out when a worker has ended; with each step left out this fails.

import assert from 'node:assert/strict';
import { readSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import * as tenantledger from '../../src/engine/tenantledger.ts';
import { ROW_BYTES, type Account } from '../../src/engine/protocol.ts';
import type { WorkerClient } from '../../src/engine/workerclient.ts';
import { testWithMistakes, type Checks } from './mutants.ts';

type Module = typeof tenantledger;
type Ledger = InstanceType<Module['TenantLedger']>;

const ROWS = 2, LIMITS = { files: 10 };

/** What a ledger sees of a worker. */
class Worker {
  fd = -1;
  account: Account | null = null;
  end = (): void => assert.fail('nobody listens');

  whenEnded(then: () => void): void {
    this.end = then;
  }

  handOverAccount(fd: number, account: Account): Promise<void> {
    this.fd = fd;
    this.account = account;
    return Promise.resolve();
  }
}

async function join(ledger: Ledger, tenant: string): Promise<Worker> {
  const worker = new Worker();
  await ledger.join(tenant, worker as unknown as WorkerClient);
  return worker;
}

/** Writes into a worker's row as that would, and reads the whole table. */
function fill({ fd, account }: Worker): void {
  assert.equal(writeSync(fd, new Uint8Array(ROW_BYTES).fill(9), 0, ROW_BYTES, (account?.row ?? 0) * ROW_BYTES), ROW_BYTES);
}
function tableOf({ fd }: Worker): number[] {
  const bytes = new Uint8Array(ROWS * ROW_BYTES);
  assert.equal(readSync(fd, bytes, 0, bytes.length, 0), bytes.length);
  return Array.from({ length: ROWS }, (_, row) => bytes[row * ROW_BYTES]);
}

/** Descriptors that are such tables. */
const tables = (): number => readdirSync('/proc/self/fd').filter((fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).includes('offshoot-tenant');
  } catch {
    return false;
  }
}).length;

const CHECKS: Checks<Module> = {
  'without limits there is no table': async ({ TenantLedger }) => {
    assert.equal((await join(new TenantLedger({}, ROWS), 'a')).account, null);
  },
  'workers of a tenant share a table, each has a row; others have another table': async ({ TenantLedger }) => {
    const ledger = new TenantLedger(LIMITS, ROWS);
    const [one, two, other] = [await join(ledger, 'a'), await join(ledger, 'a'), await join(ledger, 'b')];
    assert.deepEqual([one.account, two.account], [{ rows: ROWS, row: 0, limits: LIMITS }, { rows: ROWS, row: 1, limits: LIMITS }]);
    assert.equal(one.fd, two.fd);
    assert.notEqual(one.fd, other.fd);
    assert.deepEqual([tableOf(one), tableOf(other)], [[0, 0], [0, 0]], 'as large as its rows');
    fill(one);
    assert.deepEqual([tableOf(two), tableOf(other)], [[9, 0], [0, 0]]);
    await assert.rejects(join(ledger, 'a'), { code: 'busy' });
    for (const worker of [one, two, other]) worker.end();
  },
  'a worker that has ended has nothing, and its row is free': async ({ TenantLedger }) => {
    const ledger = new TenantLedger(LIMITS, ROWS);
    const one = await join(ledger, 'a'), two = await join(ledger, 'a');
    fill(one);
    fill(two);
    two.end();
    assert.deepEqual(tableOf(one), [9, 0]);
    const three = await join(ledger, 'a');
    assert.deepEqual([three.account?.row, three.fd], [1, one.fd]);
    one.end();
    assert.deepEqual(tableOf(three), [0, 0]);
    three.end();
  },
  'with its last worker a table goes, and the next one gets a new one': async ({ TenantLedger }) => {
    const before = tables();
    const ledger = new TenantLedger(LIMITS, ROWS);
    const one = await join(ledger, 'a');
    assert.equal(tables(), before + 1);
    fill(one);
    one.end();
    assert.equal(tables(), before);
    const two = await join(ledger, 'a');
    assert.deepEqual(tableOf(two), [0, 0]);
    two.end();
    assert.equal(tables(), before);
  },
  'a worker that ends while it is given its row gets none, and leaves none': async ({ TenantLedger }) => {
    const before = tables();
    const ledger = new TenantLedger(LIMITS, ROWS);
    const worker = new Worker();
    const joining = ledger.join('a', worker as unknown as WorkerClient);
    worker.end();
    await joining;
    assert.deepEqual([worker.account, tables()], [null, before]);
    const workers = [await join(ledger, 'a'), await join(ledger, 'a')];
    assert.deepEqual(workers.map(({ account }) => account?.row), [0, 1]);
    for (const each of workers) each.end();
  },
};

testWithMistakes('engine/tenantledger.ts', tenantledger, CHECKS, [
  ['if (Object.keys(this.limits).length === 0) return;', ''],
  ['this.tables.set(tenant, table);', ''],
  ['this.tables.get(tenant)', "this.tables.get([...this.tables.keys()][0] ?? '')"],
  ["if (row < 0) throw new OffshootError('busy', 'This tenant has too many worker processes: try again when some have ended.');", ''],
  ['table.rows[row] = worker;', ''],
  ['worker.whenEnded(() => this.leave(tenant, table, row));', ''],
  ['if (table.rows[row] !== worker) return;', ''],
  ['if (table.fd === null) {', '{'],
  ['ftruncate(table.fd, this.rows * ROW_BYTES);', ''],
  ['await worker.handOverAccount(', 'void ('],
  ['table.rows[row] = null;', ''],
  ['if (isLast) this.tables.delete(tenant);', ''],
  ['if (isLast) closeSync(table.fd);', 'if (isLast) return;'],
  ['else writeSync(table.fd, NO_ROW, 0, ROW_BYTES, row * ROW_BYTES);', ''],
  ['row * ROW_BYTES);', '0);'],
]);
