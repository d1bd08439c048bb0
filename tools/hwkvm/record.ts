// What the conformance cases do natively, taken outside, because the emulated machine has no compiler and no Python: programs and
// outcomes are kept in node_modules/.cache/conformance, which is copied in with the project (test/conformance/native.ts reads them).
//
//   needsRecord(parts): whether files of --all whose path contains one of `parts` need it
//   recordNative(names): compiles and runs on this machine every case whose name matches; compiles the guests of test/kvm/{rewind,hostile,fuzzcalls}

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allFiles } from './allfiles.ts';
import { build, loadCases, variantsOf } from '../../test/conformance/cases.ts';
import { type Outcome, RECORDED, RECORDED_GUEST, cannotRunNatively, recordName, runNatively } from '../../test/conformance/native.ts';
import { HOSTILE, buildHostile } from '../../test/kvm/hostilebuild.ts';

const REWIND_GUEST = fileURLToPath(new URL('../../test/kvm/rewindguest.c', import.meta.url));

/** Files that look into the record. */
const RECORD_USERS = ['test/conformance/', 'test/hwkvm/conformance.test.ts', 'test/kvm/rewind', 'test/kvm/hostile', 'test/kvm/fuzzcalls'];

/** Whether files whose path contains one of `parts` (none: all files) look into the record. */
export function needsRecord(parts: readonly string[]): boolean {
  return allFiles(parts).files.some(({ file }) => RECORD_USERS.some(user => file.startsWith(user)));
}

/** Builds and runs the cases that this user can run; without a compiler none, and they are skipped inside. Rejects with the compiler's words. */
export async function recordNative(names: RegExp): Promise<void> {
  if (spawnSync('gcc', ['--version']).status !== 0) {
    console.error('hwkvm: gcc is missing, so no conformance case is run');
    return;
  }
  const outcomes: Record<string, Outcome> = {};
  for (const variant of loadCases().flatMap(variantsOf).filter(({ name }) => names.test(name))) {
    const { uid, timeoutMs, language, part } = variant.case;
    if (cannotRunNatively(uid) !== null) continue;
    const program = await build(variant);
    outcomes[recordName(program, part)] = await runNatively({ program, language, part, uid, timeoutMs });
  }
  mkdirSync(dirname(RECORDED), { recursive: true });
  HOSTILE.forEach(buildHostile);
  execFileSync('gcc', ['-O1', '-w', '-static', '-o', RECORDED_GUEST, REWIND_GUEST, '-lpthread']);
  writeFileSync(RECORDED, JSON.stringify(outcomes));
  console.error(`hwkvm: ${Object.keys(outcomes).length} conformance cases compiled and run here, in ${dirname(RECORDED)}`);
}
