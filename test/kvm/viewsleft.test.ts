// A fresh VM in a view that the VM of a hostile run left, or that one left which rests: a new VM, and its memory is the template's, every
// byte. The one that rested has all that it had.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { forEachPrivateRange } from '../../src/host/pagemap.ts';
import { AREA_BYTES } from '../../src/vmm/layout.ts';
import { Views } from '../../src/vmm/views.ts';
import { kvm } from './guest.ts';
import { TestTemplate, skip, type Slot } from './rewindhelp.ts';
import { residue } from './rewindprobe.ts';

let template: TestTemplate;
let views: Views;
before(async () => {
  if (skip) return;
  template = await TestTemplate.make();
  views = new Views(kvm().arena);
  const slot = template.slot();
  slot.run('small');
  views.keep(ownRuns(slot), template.base.u8);
  slot.destroy();
});
after(() => {
  views?.release();
  template?.destroy();
});

/** What a run made its own, as runs. */
function ownRuns({ machine: { memory: { hva } } }: Slot): number[] {
  const runs: number[] = [];
  forEachPrivateRange(kvm().arena, hva + AREA_BYTES, template.sizeBytes - AREA_BYTES, (start, bytes) => runs.push(start - hva, start - hva + bytes));
  return runs;
}

const CASES = ['small', 'huge', 'mappings', 'text', 'tables', 'children', 'registers', 'ports', 'threads', 'resources', 'everything'];

for (const name of [...CASES, 'everything stay']) {
  test(`nothing is left by: ${name}`, { skip }, () => {
    let slot = template.slotInView(views);
    const fresh = template.slot();
    const { hva } = slot.machine.memory;
    for (let round = 0; round < 2; round++) {
      slot.run(name);
      slot.destroy();
      slot = template.slotInView(views);
      assert.equal(slot.machine.memory.hva, hva, 'the same view');
      assert.equal(residue(slot, fresh), null, `round ${round}`);
      slot.destroy();
      slot = template.slotInView(views);
      assert.equal(typeof fresh.rewind(), 'object');
    }
    slot.destroy();
    fresh.destroy();
  });
}

/** Runs that change little enough to be folded. */
const FOLDED = ['small', 'text', 'registers', 'ports', 'threads', 'resources'];

for (const name of CASES) {
  test(`nothing is left by one that rests, and it has all that it had, and is rewound: ${name}`, { skip }, () => {
    const resting = template.slotInView(views);
    const fresh = template.slot();
    const { memory } = resting.machine;
    resting.run(name);
    const { hva } = memory;
    for (let round = 0; round < 2; round++) {
      const before = Buffer.from(memory.u8.subarray(AREA_BYTES));
      resting.machine.giveUpSlot();
      const folds = memory.fold(template.base.u8);
      if (FOLDED.includes(name)) assert.ok(folds, 'it is folded');
      if (folds) {
        const next = template.slotInView(views);
        assert.equal(next.machine.memory.hva, hva, 'the same view');
        assert.equal(residue(next, fresh), null, `round ${round}`);
        next.machine.memory.u8.fill(0xee, AREA_BYTES, AREA_BYTES + 2 ** 20);
        if (round === 1) assert.notEqual(memory.hva, hva); // a view of its own
        next.destroy();
        assert.equal(typeof fresh.rewind(), 'object');
      }
      assert.equal(Buffer.compare(memory.u8.subarray(AREA_BYTES), before), 0, `round ${round}`);
    }
    assert.equal(typeof resting.rewind(), 'object');
    assert.equal(residue(resting, fresh), null, 'rewound');
    resting.destroy();
    fresh.destroy();
  });
}

test('what was known of the pages of a rewound VM is not so any more when it has rested', { skip }, () => {
  const slot = template.slotInView(views);
  const fresh = template.slot();
  for (let i = 0; i < 3; i++) {
    slot.run('small');
    assert.equal(typeof slot.rewind(), 'object');
  }
  slot.run('small');
  slot.machine.giveUpSlot();
  assert.ok(slot.machine.memory.fold(template.base.u8));
  slot.machine.memory.u8.fill(0xee, template.sizeBytes / 2, template.sizeBytes / 2 + 2 ** 20);
  assert.equal(typeof slot.rewind({ overlooksFaults: true }), 'object');
  assert.equal(residue(slot, fresh), null);
  slot.destroy();
  fresh.destroy();
});
