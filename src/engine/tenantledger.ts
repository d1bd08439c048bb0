// The tables in which workers of a tenant count what its sandboxes have together (tenantaccount.ts), as the caller keeps them: one file
// in memory for each tenant with such limits, handed to its workers as they start; a worker that has ended has its row emptied.

import { closeSync, writeSync } from 'node:fs';
import { MFD_CLOEXEC } from '../abi/linux/host.ts';
import { OffshootError } from './errors.ts';
import { ROW_BYTES, type Account } from './protocol.ts';
import type { WorkerClient } from './workerclient.ts';

interface Table {
  /** Null until it is made. */
  fd: number | null;
  readonly rows: (WorkerClient | null)[];
}

const NO_ROW = new Uint8Array(ROW_BYTES);

export class TenantLedger {
  private readonly limits: Account['limits'];
  private readonly rows: number;
  private readonly tables = new Map<string, Table>();

  /** `rows`: most worker processes of one tenant at a time, those that are about to end included. */
  constructor(limits: Account['limits'], rows: number) {
    this.limits = limits;
    this.rows = rows;
  }

  /** Gives a worker of the tenant a row: what runs in it from now on is counted. Throws OffshootError. */
  async join(tenant: string, worker: WorkerClient): Promise<void> {
    if (Object.keys(this.limits).length === 0) return;
    const table = this.tables.get(tenant) ?? { fd: null, rows: Array<null>(this.rows).fill(null) };
    this.tables.set(tenant, table);
    const row = table.rows.indexOf(null);
    if (row < 0) throw new OffshootError('busy', 'This tenant has too many worker processes: try again when some have ended.');
    table.rows[row] = worker;
    worker.whenEnded(() => this.leave(tenant, table, row));
    const { ftruncate, memfdCreate } = await import('../host/libc.ts'); // most engines have no such limits
    if (table.rows[row] !== worker) return; // it has ended
    if (table.fd === null) {
      table.fd = memfdCreate('offshoot-tenant', MFD_CLOEXEC);
      ftruncate(table.fd, this.rows * ROW_BYTES);
    }
    await worker.handOverAccount(table.fd, { rows: this.rows, row, limits: this.limits });
  }

  private leave(tenant: string, table: Table, row: number): void {
    table.rows[row] = null;
    const isLast = table.rows.every((worker) => worker === null);
    if (isLast) this.tables.delete(tenant);
    if (table.fd === null) return;
    if (isLast) closeSync(table.fd);
    else writeSync(table.fd, NO_ROW, 0, ROW_BYTES, row * ROW_BYTES);
  }
}
