// Builds dist/ from src/ with plain tsc, copies the guest's Python files beside it and marks the command executable. The worker
// and the builder process are then made a file each and one they share: loading a worker's 150 modules one by one takes a quarter of a
// second of processor time, these a tenth. Which code it is (engine/builder.ts) is written into it, or each start would read all of it.
// What only these three need is then removed: it is in them.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { sourceHash } from '../src/engine/builder.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync(`${root}node_modules/.bin/tsc`, ['-p', `${root}tsconfig.build.json`], { stdio: 'inherit', cwd: root });
cpSync(`${root}src/guest`, `${root}dist/guest`, { recursive: true, filter: (path) => !/\.(ts|c|S|lds)$/.test(path) });
chmodSync(`${root}dist/cli/main.js`, 0o755);
await build({
  entryPoints: [`${root}dist/engine/builder.js`], outdir: `${root}dist/engine`, allowOverwrite: true, platform: 'node', format: 'esm', target: 'node22',
  define: { OFFSHOOT_BUILDER: JSON.stringify(sourceHash(new URL('../src/', import.meta.url))) },
});
const { metafile: bundled } = await build({
  entryPoints: ['worker', 'builderprocess', 'freezeprocess'].map((name) => `${root}dist/engine/${name}.js`), outdir: `${root}dist/engine`, allowOverwrite: true,
  metafile: true, absWorkingDir: root, bundle: true, splitting: true, minifyWhitespace: true,
  platform: 'node', format: 'esm', target: 'node22', external: ['koffi'],
});

const dist = `${root}dist`;
const entries = ['cli/main', 'engine/index', 'client/index'];
const { metafile: loaded } = await build({
  entryPoints: entries.map((name) => `${dist}/${name}.js`), outdir: dist, write: false, metafile: true, absWorkingDir: root, bundle: true,
  packages: 'external', platform: 'node', format: 'esm', logLevel: 'error',
});
const kept = new Set([...Object.keys(loaded.inputs), ...Object.keys(bundled.outputs)].map((path) => resolve(root, path)));
for (const name of entries.slice(1)) keepTypes(`${dist}/${name}.d.ts`);
for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (/\.(js|d\.ts)$/.test(name) && !kept.has(`${dist}/${name}`)) rmSync(`${dist}/${name}`);
}

/** A declaration file and those it names. */
function keepTypes(path: string): void {
  if (kept.has(path)) return;
  kept.add(path);
  for (const [, target] of readFileSync(path, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g)) {
    keepTypes(resolve(path, '..', target.replace(/\.(ts|js)$/, '.d.ts')));
  }
}
