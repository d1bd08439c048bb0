// mbind: what a machine with one memory node answers to an unprivileged caller and to root.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EINVAL, EPERM } from '../../../src/abi/linux/errno.ts';
import { ROWS } from '../../../src/kernel/syscalls/table.ts';
import { Kit } from './fskit.ts';

const MPOL_MF_MOVE = 2, MPOL_MF_MOVE_ALL = 4;

test('mbind: only root may move pages of others', () => {
  const kit = new Kit();
  const handler = ROWS.find(({ name }) => name === 'mbind')?.handler;
  const mbind = (flags: number, addr = 0): unknown => handler?.(kit.task, addr, 0, 0, 0, 0, flags);
  assert.deepEqual([mbind(0), mbind(MPOL_MF_MOVE), mbind(MPOL_MF_MOVE_ALL), mbind(8), mbind(0, 1)], [0, 0, 0, -EINVAL, -EINVAL]);
  const { process } = kit.task;
  process.credentials = { ...process.credentials, euid: 1000 };
  assert.deepEqual([mbind(MPOL_MF_MOVE), mbind(MPOL_MF_MOVE_ALL)], [0, -EPERM]);
});
