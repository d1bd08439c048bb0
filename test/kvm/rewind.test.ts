// Rewinding leaves nothing: after every hostile run a slot is compared with a fresh fork. And the comparison can fail: with any
// step of a rewind left out, it does.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { REWIND_STEPS, type RewindStep } from '../../src/engine/rewind.ts';
import { allowPagemapScan, privatePages } from '../../src/host/pagemap.ts';
import { AREA_BYTES } from '../../src/vmm/layout.ts';
import { IS_EMULATED } from '../conformance/native.ts';
import { kvm } from './guest.ts';
import { halfPortAccess, leaveSpace, residue, unmapUnseen } from './rewindprobe.ts';
import { TestTemplate, skip, type Slot } from './rewindhelp.ts';

let template: TestTemplate;
before(async () => {
  if (!skip) template = await TestTemplate.make();
});
after(() => template?.destroy());

/** Runs `name` in `slot` and rewinds it, twice, and finds nothing of it. */
function leavesNothing(name: string, slot: Slot, before: () => void = () => {}): void {
  const fresh = slot.template.slot();
  for (let i = 0; i < 2; i++) {
    slot.run(name);
    before();
    const report = slot.rewind();
    assert.equal(typeof report, 'object', `${report}`);
    assert.equal(residue(slot, fresh), null, `round ${i}, ${JSON.stringify(report)}`);
    assert.equal(typeof slot.rewind(), 'object');
    assert.equal(typeof fresh.rewind(), 'object');
  }
  slot.destroy();
  fresh.destroy();
}

const CASES = ['small', 'huge', 'mappings', 'text', 'tables', 'children', 'registers', 'ports', 'threads', 'resources', 'everything'];
const STOPPED = ['small', 'children', 'threads', 'everything'].map((name) => `${name} stay`);

for (const name of [...CASES, ...STOPPED]) test(`no residue: ${name}`, { skip }, () => leavesNothing(name, template.slot()));

test('no residue: all of them, in one slot', { skip }, () => {
  const slot = template.slot();
  for (const name of [...CASES, ...STOPPED]) {
    slot.run(name);
    assert.equal(typeof slot.rewind(), 'object', name);
  }
  leavesNothing('small', slot);
});

test('no residue: half a port access', { skip }, () => {
  const slot = template.slot();
  leavesNothing('small', slot, () => halfPortAccess(slot));
});

test('no residue: changes of page tables that ring 3 has not seen', { skip }, () => {
  const [slot, fresh] = [template.slot(), template.slot()];
  leavesNothing('mappings', slot, () => unmapUnseen(slot, fresh));
  fresh.destroy();
});

test('no residue: an address space given up as it was', { skip }, () => {
  const slot = template.slot();
  leavesNothing('nothing', slot, () => leaveSpace(slot));
});

test('no residue: without PAGEMAP_SCAN', { skip }, () => {
  allowPagemapScan(false);
  try {
    leavesNothing('mappings', template.slot());
  } finally {
    allowPagemapScan(true);
  }
});

test('no residue: the first and the last page that a slot has of its template', { skip }, () => {
  const slot = template.slot(false);
  const { memory } = slot.machine;
  const ends = [AREA_BYTES, template.sizeBytes - 1];
  slot.run('nothing');
  for (let i = 0; i < 3; i++) {
    for (const gpa of ends) memory.u8[gpa] ^= 0xff;
    assert.equal(typeof slot.rewind(), 'object');
    for (const gpa of ends) assert.equal(memory.u8[gpa], slot.base.u8[gpa], `gpa ${gpa}, rewind ${i}`);
  }
  slot.destroy();
});

test('a rewound slot is another child: new pid, new random numbers', { skip }, () => {
  const slot = template.slot();
  const printed = Array.from({ length: 4 }, () => {
    const line = slot.run('nothing');
    slot.rewind();
    return line;
  });
  const [pids, numbers] = [1, 2].map((field) => new Set(printed.map((line) => line.split(' ')[field])));
  assert.equal(numbers.size, 4, printed.join(''));
  assert.ok(pids.size > 1, printed.join(''));
  slot.destroy();
});

test('what a run learned of paths is gone', { skip }, () => {
  const slot = template.slot(false);
  assert.match(slot.run('paths'), /found 60/);
  slot.rewind();
  assert.match(slot.run('look'), /found 0/);
  slot.destroy();
});

test('after a huge run a rewind touches as few pages as before', { skip }, () => {
  const slot = template.slot(false);
  const after = (name: string): number => {
    slot.run(name);
    const report = slot.rewind();
    return typeof report === 'object' ? report.privatePages : Infinity;
  };
  const usual = [0, 1, 2].map(() => after('nothing'));
  slot.run('huge');
  const { hva, sizeBytes } = slot.machine.memory;
  const beyond = (): number => privatePages(kvm().arena, hva + template.sizeBytes, sizeBytes - template.sizeBytes);
  assert.ok(beyond() > 1000, 'it has grown');
  const report = slot.rewind();
  assert.ok(typeof report === 'object' && report.privatePages > usual[2] + 500);
  assert.equal(beyond(), 0, 'what it has grown by is the host\'s again');
  const later = after('nothing');
  assert.ok(later <= usual[2] + 20, `${later} pages, ${usual[2]} before`);
  slot.destroy();
});

// KVM write-protects a page table that it shadows, and emulates stores there. One that it cannot emulate, twice at the same place, ends the VM.
test('a frame that was a page table is data like any other for the next run', { skip }, () => {
  const slot = template.slot(false);
  for (let i = 0; i < 4; i++) {
    slot.run('table');
    assert.equal(slot.machine.paging.made.length, 2, 'one above another');
    assert.equal(typeof slot.rewind(), 'object');
    slot.run('stores');
    assert.equal(typeof slot.rewind(), 'object');
  }
  slot.destroy();
});

/** Where each step is missed. */
const MISSED: Record<RewindStep, string> = {
  abandonExit: 'small', dropGrowth: 'huge', queueTables: 'small', queueNewTables: 'children', copyBack: 'small', giveBack: 'small',
  dropTranslations: 'mappings', clearQueue: 'mappings', forgetTables: 'mappings', resetVcpu: 'registers',
};

/**
 * Only shadow page tables keep translations for as long as the guest does not change an entry itself; a processor's own are soon gone.
 * And only where ring 3 has the stub's port can it stop in the middle of an access.
 */
const ONLY_PVM: ReadonlySet<RewindStep> = new Set(['abandonExit', 'queueTables', 'queueNewTables', 'dropTranslations']);

for (const without of REWIND_STEPS) {
  const reason = skip || (ONLY_PVM.has(without) && kvm().kind !== 'pvm' && 'cannot be seen on this kind of KVM');
  test(`the comparison notices a rewind without ${without}`, { skip: reason }, () => {
    const slot = template.slot(false);
    const fresh = template.slot(false);
    // Twice, so that pages are kept; what is given back shows at the first time.
    for (let i = 0; i < 2 && without !== 'giveBack'; i++) {
      slot.run(MISSED[without]);
      slot.rewind();
    }
    slot.run(MISSED[without]);
    if (without === 'abandonExit') halfPortAccess(slot);
    const report = slot.rewind({ without });
    assert.notEqual(typeof report === 'string' ? report : residue(slot, fresh), null);
    slot.destroy();
    fresh.destroy();
  });
}

/** There the process itself takes page faults all the time. */
const noCalm = skip || (IS_EMULATED && 'no run is without page faults in the emulated machine');

test('after a run without page faults nothing is searched, and nothing is left', { skip: noCalm }, () => {
  const slot = template.slot(false);
  const fresh = template.slot(false);
  const searched = new Set<boolean>();
  for (let i = 0; i < 200 && searched.size < 2; i++) {
    slot.run('nothing');
    const report = slot.rewind();
    if (typeof report === 'object') searched.add(report.searched);
  }
  assert.equal(searched.size, 2, `searched: ${[...searched]}`);
  assert.equal(residue(slot, fresh), null);
  slot.destroy();
  fresh.destroy();
});

test('the comparison notices a rewind that overlooks page faults', { skip }, () => {
  const slot = template.slot(false);
  const fresh = template.slot(false);
  for (let i = 0; i < 2; i++) {
    slot.run('nothing');
    slot.rewind();
  }
  slot.run('small');
  const report = slot.rewind({ overlooksFaults: true });
  assert.notEqual(typeof report === 'string' ? report : residue(slot, fresh), null);
  slot.destroy();
  fresh.destroy();
});
