// A fresh VM in a view that the VM of a hostile run left: a new VM, and its memory is the template's, every byte.

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

/** What a run made its own: first gpa, bytes, … */
function ownRuns({ machine: { memory: { hva } } }: Slot): number[] {
  const runs: number[] = [];
  forEachPrivateRange(kvm().arena, hva + AREA_BYTES, template.sizeBytes - AREA_BYTES, (start, bytes) => runs.push(start - hva, bytes));
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
