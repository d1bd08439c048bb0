// What the conformance cases do natively, taken outside, because the emulated machine has no compiler and no Python: programs and
// outcomes are kept in node_modules/.cache/conformance, which is copied in with the project (test/conformance/native.ts reads them).
//
//   recordNative(): compiles and runs every case on this machine

import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { build, loadCases, variantsOf } from '../../test/conformance/cases.ts';
import { type Outcome, RECORDED, cannotRunNatively, recordName, runNatively } from '../../test/conformance/native.ts';

/** Builds and runs all cases that this user can run. Rejects with the compiler's words. */
export async function recordNative(): Promise<void> {
  const outcomes: Record<string, Outcome> = {};
  for (const variant of loadCases().flatMap(variantsOf)) {
    const { uid, timeoutMs, language, part } = variant.case;
    if (cannotRunNatively(uid) !== null) continue;
    const program = await build(variant);
    outcomes[recordName(program, part)] = await runNatively({ program, language, part, uid, timeoutMs });
  }
  writeFileSync(RECORDED, JSON.stringify(outcomes));
  console.error(`hwkvm: ${Object.keys(outcomes).length} conformance cases compiled and run here, in ${dirname(RECORDED)}`);
}
