// Memory that nobody looks at for a while is given back but for what its file has not; who looks at it finds it as it was.

import assert from 'node:assert/strict';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { Engine } from '../../src/engine/index.ts';
import { allowPagemapScan, forEachPrivateRange } from '../../src/host/pagemap.ts';
import { PAGE_SIZE } from '../../src/abi/x86/cpu.ts';
import { AREA_BYTES } from '../../src/vmm/layout.ts';
import { createMachine, type KvmMachine } from '../../src/vmm/machine.ts';
import { Views } from '../../src/vmm/views.ts';
import { text } from './enginehelp.ts';
import { kvm } from './guest.ts';
import { workerPids } from './workerhelp.ts';

const MB = 2 ** 20;
const SOURCE_BYTES = 8 * MB;
const LINE_BYTES = 64;

/** A byte for each place, no two pages alike. */
function content(): Buffer {
  const bytes = Buffer.alloc(SOURCE_BYTES);
  for (let at = AREA_BYTES; at < SOURCE_BYTES; at++) bytes[at] = at * 31 + Math.floor(at / PAGE_SIZE) * 7;
  return bytes;
}

/** Machines over a file with `content`, all with the views of it, or none; `kept`: gpas of pages that views keep. */
function source(kept: readonly number[] | null = null): { readonly file: Buffer; readonly make: () => KvmMachine; readonly end: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-fold-'));
  const file = content();
  writeFileSync(join(dir, 'memory'), file);
  const fd = openSync(join(dir, 'memory'), 'r');
  const views = kept ? new Views(kvm().arena) : undefined;
  views?.keep(kept?.flatMap((gpa) => [gpa, gpa + PAGE_SIZE]) ?? [], file);
  return {
    file, make: () => createMachine(kvm(), { fd, sizeBytes: SOURCE_BYTES, ...(views ? { views } : {}) }, 64 * MB, true),
    end: () => {
      views?.release();
      rmSync(dir, { recursive: true });
    },
  };
}

/** Pages of a machine that are this process's own. */
function ownPages({ memory: { hva } }: KvmMachine): number[] {
  const pages: number[] = [];
  forEachPrivateRange(kvm().arena, hva + AREA_BYTES, SOURCE_BYTES - AREA_BYTES, (start, bytes) => {
    for (let at = start; at < start + bytes; at += PAGE_SIZE) pages.push(at - hva);
  });
  return pages;
}

function isSame({ memory }: KvmMachine, expected: Uint8Array): boolean {
  return Buffer.compare(memory.u8.subarray(AREA_BYTES, SOURCE_BYTES), expected.subarray(AREA_BYTES)) === 0;
}

/** Bytes, lines and pages, first and last ones, neighbours, and some that hold what they held. */
function change(memory: Uint8Array): void {
  const pages = [AREA_BYTES, MB, MB + PAGE_SIZE, 3 * MB, 3 * MB + 5 * PAGE_SIZE, SOURCE_BYTES - PAGE_SIZE];
  for (const at of pages) memory[at] ^= 1;
  for (const at of pages) memory[at + PAGE_SIZE - 1] ^= 0x80;
  memory.fill(0, 2 * MB, 2 * MB + 3 * PAGE_SIZE);
  memory.fill(0xff, 4 * MB + LINE_BYTES, 4 * MB + 2 * LINE_BYTES);
  memory[5 * MB + 3 * LINE_BYTES - 1] ^= 4;
  memory[5 * MB + 3 * LINE_BYTES] ^= 4;
  for (const at of [6 * MB, 6 * MB + PAGE_SIZE]) memory[at] += 0;
}

for (const kept of [null, [], [MB, 2 * MB + PAGE_SIZE, 6 * MB, 7 * MB]]) {
  for (const scans of [true, false]) {
    test(`it is as it was, again and again; views ${kept ? `that keep ${kept.length} pages` : 'are none'}${scans ? '' : ', without PAGEMAP_SCAN'}`, () => {
      allowPagemapScan(scans);
      const { file, make, end } = source(kept);
      const expected = Buffer.from(file);
      change(expected);
      const machine = make();
      change(machine.memory.u8);
      for (let round = 0; round < 3; round++) {
        assert.equal(machine.memory.fold(file), true);
        assert.ok(machine.memory.ownBytes < 4 * PAGE_SIZE + 30 * LINE_BYTES, `${machine.memory.ownBytes} bytes`);
        const other = make();
        assert.ok(isSame(other, file), 'nothing of it is left to others');
        if (kept) assert.deepEqual(ownPages(other), kept);
        other.memory.u8.fill(round + 1, AREA_BYTES);
        assert.ok(isSame(machine, expected), `round ${round}`);
        other.destroy();
        machine.memory.u8[6 * MB + round] ^= 3;
        expected[6 * MB + round] ^= 3;
      }
      machine.destroy();
      const last = make();
      assert.ok(isSame(last, file));
      last.destroy();
      end();
      allowPagemapScan(true);
    });
  }
}

test('folded twice, not mapped yet, and destroyed while it is folded', () => {
  const { file, make, end } = source([MB]);
  const machine = make();
  assert.equal(machine.memory.ownBytes, 0);
  assert.equal(machine.memory.fold(file), true, 'nobody looked at it yet');
  machine.memory.u8[MB] ^= 1;
  assert.equal(machine.memory.fold(file), true);
  assert.equal(machine.memory.fold(file), true);
  assert.equal(machine.memory.ownBytes, LINE_BYTES);
  machine.destroy();
  assert.equal(machine.memory.u8.length, 0);
  end();
});

test('what cannot be folded stays: with a VM, grown, with layers, or changed by more than 4 MB', () => {
  const { file, make, end } = source([]);
  const machine = make();
  assert.ok(machine.vcpu);
  machine.memory.u8[MB] ^= 1;
  assert.equal(machine.memory.fold(file), false, 'it has a VM');
  machine.giveUpSlot();
  machine.memory.u8.fill(9, MB, 6 * MB);
  const { hva } = machine.memory;
  assert.equal(machine.memory.fold(file), false, 'it differs by much');
  machine.memory.u8.set(file.subarray(AREA_BYTES), AREA_BYTES);
  assert.equal(machine.memory.grow(32 * MB), true);
  machine.memory.u8[20 * MB] = 5;
  assert.equal(machine.memory.fold(file), false, 'it has grown');
  assert.deepEqual([machine.memory.hva, machine.memory.u8[20 * MB], isSame(machine, file)], [hva, 5, true]);
  machine.destroy();
  const layered = make();
  layered.memory.growsInLayers = true;
  assert.equal(layered.memory.fold(file), true, 'not mapped');
  layered.memory.layers.replaceEmpty(2 * MB, 8 * MB);
  assert.equal(layered.memory.fold(file), false, 'it has layers');
  layered.destroy();
  end();
});

const COUNT = 64;

/** Views of templates that a process has mapped. */
function mappedViews(pid: number): number {
  return [...readFileSync(`/proc/${pid}/maps`, 'latin1').matchAll(/rw-p .*\/templates\/.*$/gm)].length;
}

test('many sandboxes in the middle of a run: each goes on with what it had', async () => {
  await using engine = await Engine.open({ workers: 1 });
  const template = await engine.template('python');
  const code = (i: number): string => `x = list(range(${i}, ${i} + 2000))
print('has', ${i}, flush=True)
x.append(int(input()))
print(sum(x), len(x))
print(input())`;
  const waiting = Array.from({ length: COUNT }, () => [0, 1].map(() => Promise.withResolvers<string>()));
  const results: Promise<unknown>[] = [];
  for (let i = 0; i < COUNT; i++) {
    const sandbox = await template.fork();
    const stdin = async function* (): AsyncGenerator<Uint8Array> {
      for (const { promise } of waiting[i]) yield Buffer.from(`${await promise}\n`);
    };
    await new Promise<void>((resolve) => {
      results.push(sandbox.run(code(i), { stdin: stdin(), onStdout: () => resolve() }).then(text));
    });
  }
  const views = mappedViews(workerPids()[0]);
  assert.ok(views > 0 && views < COUNT / 2, `${views} views`); // 8 VMs may be open, 6 parked or on their way, 10 views wait for the next
  for (let i = COUNT - 1; i >= 0; i--) waiting[i][0].resolve(String(i));
  for (let i = 0; i < COUNT; i++) waiting[i][1].resolve(`end ${i}`);
  for (const [i, result] of results.entries()) {
    const sum = 2000 * i + 1999 * 1000 + i;
    assert.equal(await result, `has ${i}\n${sum} 2001\nend ${i}\n`);
  }
});
