// Rewinding after runs with very many areas, and of pages that the host has swapped out.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { madvise } from '../../src/host/libc.ts';
import { AREA_BYTES } from '../../src/vmm/layout.ts';
import { IS_EMULATED } from '../conformance/native.ts';
import { kvm } from './guest.ts';
import { residue } from './rewindprobe.ts';
import { TestTemplate, skip, type Slot } from './rewindhelp.ts';

/** A slot has this much before its memory grows. */
const ROOM_BYTES = 104 << 20;

let template: TestTemplate;
before(async () => {
  if (!skip) template = await TestTemplate.make(ROOM_BYTES);
});
after(() => template?.destroy());

function checkerboard(slot: Slot): void {
  slot.run('checkerboard');
  assert.equal(slot.machine.memory.sizeBytes, template.sizeBytes, 'memory has grown: this tests nothing');
  assert.ok(slot.mapped.size > 20_000);
}

test('no residue: 42,000 areas, what maps them stored again', { skip }, () => {
  const [slot, fresh] = [template.slot(), template.slot()];
  checkerboard(slot);
  const report = slot.rewind({ replayRunsMax: Infinity });
  assert.ok(typeof report === 'object' && report.replayedRuns > 600, JSON.stringify(report)); // the writer's list holds 256 at a time
  assert.equal(residue(slot, fresh), null);
  slot.destroy();
  fresh.destroy();
});

// Now that some pages are known, they stay; those given back lose their translations anyway.
test('no residue: 42,000 areas, the memory slot made anew', { skip }, () => {
  const [slot, fresh] = [template.slot(), template.slot()];
  checkerboard(slot);
  const report = slot.rewind();
  assert.equal(typeof report === 'object' && report.replayedRuns, -1);
  assert.equal(residue(slot, fresh), null);
  slot.destroy();
  fresh.destroy();
});

// A processor's own translations are soon gone.
const shadowOnly = skip || (kvm().kind !== 'pvm' && 'cannot be seen on this kind of KVM');

test('the comparison notices 42,000 areas whose translations were kept', { skip: shadowOnly }, () => {
  const [slot, fresh] = [template.slot(), template.slot()];
  checkerboard(slot);
  slot.rewind({ without: 'dropTranslations' });
  assert.notEqual(residue(slot, fresh), null);
  slot.destroy();
  fresh.destroy();
});

const MADV_PAGEOUT = 21;
const SWAP_BYTES = 256 << 20;

/** Runs `body` with swap space; false when there is none and none can be made. */
function withSwap(body: () => void): boolean {
  if (readFileSync('/proc/swaps', 'utf8').trim().includes('\n')) {
    body();
    return true;
  }
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-swap-'));
  const file = join(dir, 'swap');
  try {
    execFileSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', `count=${SWAP_BYTES >> 20}`], { stdio: 'ignore' });
    const run = (command: string, ...args: string[]): void => void execFileSync(command, [...args, file], { stdio: 'ignore' });
    run('chmod', '600');
    run('mkswap');
    run('swapon');
  } catch {
    rmSync(dir, { recursive: true });
    return false;
  }
  try {
    body();
  } finally {
    execFileSync('swapoff', [file]);
    rmSync(dir, { recursive: true });
  }
  return true;
}

/** Kilobytes of this process in swap. */
function swappedKb(): number {
  return Number(/VmSwap:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

/** That machine's kernel pages hardly anything out to the disk it has for swap. */
const noSwap = skip || (IS_EMULATED && 'the emulated machine swaps too little');

test('no residue: pages that are swapped out', { skip: noSwap }, (t) => {
  const done = withSwap(() => {
    for (const name of ['small', 'mappings', 'children']) {
      const [slot, fresh] = [template.slot(), template.slot()];
      for (let i = 0; i < 3; i++) {
        slot.run(name);
        const { hva } = slot.machine.memory;
        madvise(hva + AREA_BYTES, template.sizeBytes - AREA_BYTES, MADV_PAGEOUT);
        assert.ok(swappedKb() > 400, `only ${swappedKb()} KB are swapped out: this tests nothing`);
        assert.equal(typeof slot.rewind(), 'object');
        assert.equal(residue(slot, fresh), null, `${name}, round ${i}`);
        slot.rewind();
        fresh.rewind();
      }
      slot.destroy();
      fresh.destroy();
    }
  });
  if (!done) t.skip('there is no swap space and none can be made');
});
