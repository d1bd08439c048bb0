// Builds dist/ from src/ with plain tsc, copies the guest's Python files beside it and marks the command executable. The worker
// and the builder process are then made a file each and one they share: loading a worker's 150 modules one by one takes a quarter of a
// second of processor time, these a tenth. Which code it is (engine/builder.ts) is written into it, or each start would read all of it.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, rmSync } from 'node:fs';
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
await build({
  entryPoints: ['worker', 'builderprocess'].map((name) => `${root}dist/engine/${name}.js`), outdir: `${root}dist/engine`, allowOverwrite: true,
  bundle: true, splitting: true, minifyWhitespace: true, platform: 'node', format: 'esm', target: 'node22', external: ['koffi'],
});
