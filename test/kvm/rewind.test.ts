// Rewinding leaves nothing: after every hostile run a slot is compared with a fresh fork.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { residue } from './rewindprobe.ts';
import { TestTemplate, skip } from './rewindhelp.ts';

let template: TestTemplate;
before(async () => {
  if (!skip) template = await TestTemplate.make();
});
after(() => template?.destroy());

const CASES = ['small', 'huge', 'mappings', 'tables', 'children', 'registers', 'ports', 'threads', 'resources', 'everything'];

for (const name of [...CASES, ...CASES.map((each) => `${each} stay`)]) {
  test(`no residue: ${name}`, { skip }, () => {
    const slot = template.slot();
    const fresh = template.slot();
    for (let i = 0; i < 3; i++) {
      slot.run(name);
      const report = slot.rewind();
      assert.equal(typeof report, 'object', `${report}`);
      assert.equal(residue(slot, fresh), null, `round ${i}, ${JSON.stringify(report)}`);
      slot.rewind();
      fresh.rewind();
    }
    slot.destroy();
    fresh.destroy();
  });
}
