// The rules of ARCHITECTURE.md ("Layers") and CONTRIBUTING.md ("Style"), executed over the source tree.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Layer → what it may import at run time or for types. Order of the longest prefix first. */
const LAYERS: Record<string, readonly string[]> = {
  'src/abi/': [],
  'src/platform.ts': ['src/abi/'],
  'src/host/': ['src/abi/'],
  'src/vmm/': ['src/abi/', 'src/host/', 'src/platform.ts'],
  'src/kernel/': ['src/abi/', 'src/platform.ts'],
  'src/image/': ['src/abi/', 'src/kernel/fs/'],
  'src/guest/': [],
  'src/engine/': ['src/abi/', 'src/platform.ts', 'src/host/', 'src/vmm/', 'src/kernel/', 'src/image/', 'src/guest/'],
  'src/api/': [],
  'src/server/': ['src/engine/', 'src/api/'],
  'src/client/': ['src/api/'],
  'src/cli/': ['src/'],
};
const NO_NODE = ['src/abi/', 'src/platform.ts', 'src/kernel/', 'src/guest/', 'src/client/'];
const NO_ASYNC = ['src/abi/', 'src/platform.ts', 'src/host/', 'src/vmm/', 'src/kernel/', 'src/guest/'];
/** Tables: long because Linux is. */
const TABLES = [/^src\/abi\//, /^src\/guest\/vdso\.ts$/, /^src\/kernel\/syscalls\/absent\.ts$/];

interface Source { readonly path: string; readonly text: string; readonly lines: readonly string[] }

function sources(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => {
      const path = `${folder}/${name}`;
      const text = readFileSync(join(root, path), 'utf8');
      return { path, text, lines: text.split('\n') };
    });
}

const src = sources('src');
const all = [...src, ...sources('test'), ...sources('tools'), ...(existsSync(join(root, 'bench')) ? sources('bench') : [])];

function imports(source: Source): { target: string; typeOnly: boolean }[] {
  const found: { target: string; typeOnly: boolean }[] = [];
  const pattern = /^(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm;
  for (const match of source.text.matchAll(pattern)) {
    found.push({ target: match[2] ?? match[3] ?? match[4], typeOnly: match[1] !== undefined });
  }
  return found;
}

function layerOf(path: string): string | undefined {
  return Object.keys(LAYERS).filter((layer) => path.startsWith(layer)).sort((a, b) => b.length - a.length)[0];
}

function resolveImport(from: string, target: string): string {
  return normalize(relative(root, join(root, dirname(from), target)));
}

test('layers: every import is allowed by the table', () => {
  const wrong: string[] = [];
  for (const source of src) {
    const layer = layerOf(source.path);
    assert.ok(layer, `${source.path} belongs to no layer`);
    for (const { target } of imports(source)) {
      if (!target.startsWith('.')) {
        if (target === 'koffi' ? layer !== 'src/host/' : NO_NODE.includes(layer)) wrong.push(`${source.path} imports ${target}`);
        continue;
      }
      const path = resolveImport(source.path, target);
      if (path.startsWith(layer) || LAYERS[layer].some((allowed) => path.startsWith(allowed))) continue;
      wrong.push(`${source.path} imports ${path}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('no import cycles at run time', () => {
  const graph = new Map(src.map((source) => [source.path, imports(source)
    .filter(({ target, typeOnly }) => target.startsWith('.') && !typeOnly)
    .map(({ target }) => resolveImport(source.path, target))]));
  const state = new Map<string, 'open' | 'done'>();
  const cycles: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    state.set(path, 'open');
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of graph.keys()) visit(path, []);
  assert.deepEqual(cycles, []);
});

test('files: a head comment, at most 500 lines (tests 300), lines at most 140 columns', () => {
  const wrong: string[] = [];
  for (const { path, text, lines } of all) {
    const body = text.startsWith('#!') ? text.slice(text.indexOf('\n') + 1) : text;
    if (!body.startsWith('//') && !body.startsWith('/*')) wrong.push(`${path}: no head comment`);
    const max = path.startsWith('test/') ? 300 : 500;
    if (lines.length > max + 1 && !TABLES.some((table) => table.test(path))) wrong.push(`${path}: ${lines.length} lines`);
    lines.forEach((line, index) => {
      if (line.length > 160 && !TABLES.some((table) => table.test(path))) wrong.push(`${path}:${index + 1}: ${line.length} columns`);
    });
  }
  assert.deepEqual(wrong, []);
});

test('functions: at most 70 lines', () => {
  const wrong: string[] = [];
  const head = /^(\s*)(?:export |private |protected |static |override |async |get |set )*(?:function\s*\*?\s*[\w$]+|[\w$]+)\s*(?:<[^>]*>)?\(.*\{$/;
  for (const { path, lines } of src) {
    lines.forEach((line, index) => {
      const match = head.exec(line);
      if (!match || /^\s*(if|for|while|switch|catch|return|else)\b/.test(line)) return;
      const end = lines.findIndex((other, at) => at > index && other.startsWith(`${match[1]}}`));
      if (end - index > 71) wrong.push(`${path}:${index + 1}: ${end - index} lines`);
    });
  }
  assert.deepEqual(wrong, []);
});

test('bans', () => {
  const bans: [RegExp, string, (path: string) => boolean][] = [
    [/:\s*any\b|<any>|\bas any\b/, 'any', () => true],
    [/^\s*(export\s+)?(const\s+)?enum\b/, 'enum', () => true],
    [/^export default/, 'default export', () => true],
    [/\bTODO\b|\bFIXME\b|\bXXX\b/, 'unfinished work', () => true],
    [/\basync\b|\bawait\b|\bPromise\b|\bsetTimeout\b|\bsetImmediate\b/, 'async', (path) => NO_ASYNC.some((layer) => path.startsWith(layer))],
    [/\bconsole\./, 'console', (path) => path.startsWith('src/')],
  ];
  // V8 allocates such a closure in the old generation, and with it all it holds outlives every young collection.
  const held = ['src/kernel/', 'src/engine/', 'src/vmm/'];
  bans.push([/^\s*[\w.#]+\.#?\w+ \??\??= (\(.*\)(: [^=]+)?|\w+) =>/, 'a closure assigned to a property', (path) => held.some((dir) => path.startsWith(dir))]);
  const wrong: string[] = [];
  for (const { path, lines } of all) {
    if (path === 'test/tidy.test.ts') continue;
    lines.forEach((line, index) => {
      const code = line.replace(/\/\/.*$|^\s*\*.*$|^\s*\/\*.*$/, '').replace(/'(?:[^'\\]|\\.)*'|`[^`]*`/g, "''");
      for (const [pattern, name, applies] of bans) {
        const subject = name === 'unfinished work' ? line : code;
        if (applies(path) && pattern.test(subject)) wrong.push(`${path}:${index + 1}: ${name}`);
      }
    });
  }
  assert.deepEqual(wrong, []);
});

test('ARCHITECTURE.md names only files that exist', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const named = [...text.matchAll(/`((?:src|test|bench|tools|docs|examples)\/[\w./-]+\.\w+)`/g)].map((match) => match[1]);
  assert.ok(named.length > 10);
  assert.deepEqual(named.filter((path) => !existsSync(join(root, path))), []);
});

test('dependencies are pinned exactly and explained', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
  const explained = readFileSync(join(root, 'docs/dependencies.md'), 'utf8');
  for (const [name, range] of Object.entries({ ...manifest['dependencies'], ...manifest['devDependencies'] })) {
    assert.match(range, /^\d/, `${name} is not pinned`);
    assert.ok(explained.includes(`**${name}**`), `${name} is not in docs/dependencies.md`);
  }
});
