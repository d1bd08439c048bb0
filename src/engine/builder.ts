// Which code shapes a template's state: our own kernel, machine and agent. A template is built again when it was made by other code.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';

/** Put there by tools/build.ts; sources that run as they are look at themselves. */
declare const OFFSHOOT_BUILDER: string | undefined;

let known: string | null = typeof OFFSHOOT_BUILDER === 'undefined' ? null : OFFSHOOT_BUILDER;

/** Identifies the running code. */
export function builderId(): string {
  return (known ??= sourceHash(new URL('../', import.meta.url)));
}

/** A hash over the sources below `root` that matter. */
export function sourceHash(root: URL): string {
  const hash = createHash('sha256');
  for (const folder of ['abi', 'guest', 'kernel', 'vmm']) {
    const base = new URL(`${folder}/`, root);
    for (const name of readdirSync(base, { recursive: true, encoding: 'utf8' }).sort()) {
      if (/\.(ts|py)$/.test(name) && !name.endsWith('.d.ts')) hash.update(name).update(readFileSync(new URL(name, base)));
    }
  }
  return hash.digest('hex').slice(0, 32);
}
