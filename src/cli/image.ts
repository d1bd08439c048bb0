// `offshoot image ls|rm|prune`.

import { rmSync, statSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { listUsedImages, pruneUnusedImages, removeImageByName, type ImageEntry } from '../engine/usage.ts';
import { offshootHome } from '../image/home.ts';
import { age, size, table } from './table.ts';
import { report } from './template.ts';

/** One line per image: name, size, age, what it was made from, what uses it. */
export async function list(flags: { readonly json?: boolean }): Promise<void> {
  const entries = listUsedImages(offshootHome());
  if (flags.json) {
    for (const entry of entries) process.stdout.write(`${JSON.stringify(summary(entry))}\n`);
    return;
  }
  const rows = entries.map(({ name, id, ref, sizeBytes, usedBy }) => [
    name || id.slice(0, 12), size(sizeBytes), ref ? age(ref.builtAt) : '-', ref?.source ?? '-', String(ref?.entries ?? '-'),
    String(ref?.packages.length ?? '-'), usedBy.join(', ') || 'nothing',
  ]);
  process.stdout.write(table(['NAME', 'SIZE', 'AGE', 'FROM', 'FILES', 'DEBS', 'USED BY'], rows));
}

function summary({ name, id, ref, sizeBytes, usedBy }: ImageEntry): Record<string, unknown> {
  return {
    name, id, size_bytes: sizeBytes, built_at: ref?.builtAt ?? null, from: ref?.source ?? null, files: ref?.entries ?? null,
    packages: ref?.packages ?? null, used_by: usedBy,
  };
}

/** Removes an image that no template uses. */
export async function remove(name: string): Promise<void> {
  const sizeBytes = removeImageByName(offshootHome(), name);
  report([{ name, sizeBytes }]);
}

/** Removes all images that no template uses; with `downloads` also the packages that were fetched for them. */
export async function prune(flags: { readonly downloads?: boolean }): Promise<void> {
  const home = offshootHome();
  const removed = await pruneUnusedImages(home);
  const cache = join(home, 'cache/apt');
  if (flags.downloads) {
    const sizeBytes = treeBytes(cache);
    rmSync(cache, { recursive: true, force: true });
    if (sizeBytes > 0) removed.push({ name: 'downloaded packages', sizeBytes });
  }
  report(removed);
}

function treeBytes(dir: string): number {
  try {
    return readdirSync(dir, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => {
      const stat = statSync(join(dir, name), { throwIfNoEntry: false });
      return sum + (stat?.isFile() ? stat.size : 0);
    }, 0);
  } catch {
    return 0;
  }
}
