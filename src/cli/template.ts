// `offshoot template build|ls|inspect|rm|prune`.

import { Engine } from '../engine/engine.ts';
import { OffshootError } from '../engine/errors.ts';
import type { Template } from '../engine/template.ts';
import { listTemplates, pruneTemplates, removeTemplate, templateEntry, type Removed, type TemplateEntry } from '../engine/usage.ts';
import { requireSpec, type TemplateRecipe } from '../engine/userspec.ts';
import { offshootHome } from '../image/home.ts';
import { findImage } from '../image/store.ts';
import { UsageError } from './fail.ts';
import { environment } from './flags.ts';
import { progressPrinter } from './progress.ts';
import { age, size, table } from './table.ts';

/** Options of `template build`; absent ones are not in the object. */
export interface BuildFlags {
  readonly from?: string;
  readonly package?: readonly string[];
  readonly requirements?: string;
  readonly wheel?: readonly string[];
  readonly preload?: readonly string[];
  readonly setup?: string;
  readonly env?: readonly string[];
  readonly memory?: string;
  readonly quiet?: boolean;
}

/** Builds a template now, also when there is one. Without options: as it was built before. */
export async function build(name: string, flags: BuildFlags): Promise<void> {
  const { quiet = false, ...parts } = flags;
  const recipe = Object.keys(parts).length === 0 ? undefined : recipeOf(parts);
  const engine = await openEngine(quiet);
  try {
    await engine.build(name, recipe);
    process.stdout.write(`${name}: built\n`);
  } finally {
    await engine.close();
  }
}

/** An engine of one worker that tells on stderr what it builds. */
function openEngine(quiet: boolean): Promise<Engine> {
  return Engine.open({ workers: 1, ...(quiet ? {} : { onProgress: progressPrinter(process.stderr) }) });
}

function recipeOf(flags: BuildFlags): TemplateRecipe {
  const { from, requirements, setup, memory } = flags;
  const megabytes = memory === undefined ? 0 : Number(memory);
  if (memory !== undefined && !(megabytes >= 64 && megabytes <= 4096)) throw new UsageError(`--memory needs a number from 64 to 4096 (MB), not "${memory}".`);
  return {
    packages: flags.package ?? [], wheels: flags.wheel ?? [], preload: flags.preload ?? [], env: environment(flags.env ?? []),
    memoryBytes: Math.round(megabytes * 2 ** 20),
    ...(from === undefined ? {} : { from }), ...(requirements === undefined ? {} : { requirements }), ...(setup === undefined ? {} : { setup }),
  };
}

/** What kind of thing a template is made of, in a few words. */
function source({ spec }: TemplateEntry): string {
  if (!spec) return '-';
  const { image } = spec;
  const python = image.wheels.length > 0 || image.requirements !== '' ? ', Python packages' : '';
  return `${image.from.startsWith('image:') ? image.from.slice('image:'.length) : image.from}${python}`;
}

/** One line per template: name, size, age, image and what it is made of. */
export async function list(flags: { readonly json?: boolean }): Promise<void> {
  const entries = listTemplates(offshootHome());
  if (flags.json) {
    for (const entry of entries) process.stdout.write(`${JSON.stringify(summary(entry))}\n`);
    return;
  }
  const rows = entries.map((entry) => [
    entry.name, size(entry.sizeBytes), entry.header ? age(entry.header.createdAt) : '-', entry.spec?.image.name ?? '-', source(entry), status(entry),
  ]);
  process.stdout.write(table(['NAME', 'SIZE', 'AGE', 'IMAGE', 'FROM', 'STATUS'], rows));
}

function status({ problem, header }: TemplateEntry): string {
  if (problem === null) return `ready, ${header?.about.modules.length ?? 0} modules`;
  return problem === 'not built' ? 'not built: built at its first use' : `built again at its next use: ${problem}`;
}

function summary(entry: TemplateEntry): Record<string, unknown> {
  const { name, builtIn, spec, header, problem, sizeBytes } = entry;
  return {
    name, built_in: builtIn, size_bytes: sizeBytes, built_at: header?.createdAt ?? null, image: spec?.image.name ?? null,
    from: spec?.image.from ?? null, problem,
  };
}

/** How a fork starts, measured now. */
interface Start { readonly forkMs: number; readonly runMs: number; readonly pages: number }
const SAMPLES = 5;

async function measure(template: Template, hasPython: boolean): Promise<Start> {
  const results = [];
  for (let i = 0; i < SAMPLES; i++) {
    const sandbox = await template.fork({ pooled: false });
    results.push(await (hasPython ? sandbox.run('pass', { countPages: true }) : sandbox.exec(['true'], { countPages: true })));
    await sandbox.close();
  }
  const middle = (values: number[]): number => values.sort((a, b) => a - b)[SAMPLES >> 1];
  return {
    forkMs: middle(results.map((result) => result.forkTimeMs)), runMs: middle(results.map((result) => result.execTimeMs)),
    pages: middle(results.map((result) => result.dirtyPages ?? 0)),
  };
}

/** Everything about one template; it is built first when it is not ready. */
export async function inspect(name: string, flags: { readonly json?: boolean; readonly quiet?: boolean }): Promise<void> {
  const home = offshootHome();
  requireSpec(home, name);
  const engine = await openEngine(flags.quiet ?? false);
  try {
    const template = await engine.template(name);
    const entry = templateEntry(home, name);
    const start = await measure(template, (entry.header?.about.modules.length ?? 0) > 0);
    process.stdout.write(flags.json ? `${JSON.stringify(details(home, entry, start))}\n` : describe(home, entry, start));
  } finally {
    await engine.close();
  }
}

function details(home: string, entry: TemplateEntry, start: Start): Record<string, unknown> {
  const { spec, header } = entry;
  const image = findImage(home, spec?.image.name ?? '');
  return {
    ...summary(entry), image_id: header?.imageId, image_packages: image?.packages, image_size_bytes: image?.blobSizeBytes, image_files: image?.entries,
    wheels: spec?.image.wheels, requirements: spec?.image.requirements, preload: spec?.preload, setup: spec?.setup?.filename ?? null,
    env: header?.env, memory_limit_bytes: header?.memoryLimitBytes, build_ms: header?.about.buildMs, import_ms: header?.about.importMs,
    modules: header?.about.modules, mappings: header?.about.mappings.map((mapping) => ({ name: mapping.name, resident_bytes: mapping.residentBytes })),
    start: { fork_ms: start.forkMs, run_ms: start.runMs, pages: start.pages },
  };
}

const SHOWN = 12;

function describe(home: string, entry: TemplateEntry, start: Start): string {
  const { name, spec, header } = entry;
  if (!spec || !header) throw new OffshootError('template-unknown', `Template "${name}" is not built.`);
  const { about } = header;
  const image = findImage(home, spec.image.name);
  const imports = Object.entries(about.importMs).sort(([, a], [, b]) => b - a);
  const slow = imports.slice(0, 5).map(([module, ms]) => `${module} ${ms.toFixed(0)} ms`).join(', ');
  const resident = about.mappings.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
  const rest = about.mappings.slice(SHOWN).reduce((sum, { residentBytes }) => sum + residentBytes, 0);
  const packed = `${image?.packages.length ?? 0} Debian packages, ${image?.entries ?? 0} files, ${size(image?.blobSizeBytes ?? 0)}`;
  const lines: readonly (readonly [string, string])[] = [
    ['template', name], ['built', `${header.createdAt} (${age(header.createdAt)} ago), in ${(about.buildMs / 1000).toFixed(1)} s`],
    ['file', size(entry.sizeBytes)],
    ['image', `${spec.image.name}, from ${source(entry)}: ${packed}`],
    ['modules', `${about.modules.length} loaded, ${imports.length} asked for${slow === '' ? '' : `; slowest: ${slow}`}`],
    ['setup', spec.setup ? `${spec.setup.filename}, ${spec.setup.source.split('\n').length - 1} lines` : '-'],
    ['environment', Object.entries(header.env).map(([key, value]) => `${key}=${value}`).join(' ')],
    ['start', `fork ${start.forkMs.toFixed(2)} ms, empty program ${start.runMs.toFixed(2)} ms, ${start.pages} pages of its own (measured now)`],
    ['memory', `${size(resident)} resident, by mapping:`],
  ];
  const rows = about.mappings.slice(0, SHOWN).map((mapping) => `  ${size(mapping.residentBytes).padStart(10)}  ${mapping.name}\n`);
  if (rest > 0) rows.push(`  ${size(rest).padStart(10)}  ${about.mappings.length - SHOWN} more\n`);
  return lines.map(([key, value]) => `${key.padEnd(12)}${value}\n`).join('') + rows.join('');
}

/** Removes a template; its image stays. */
export async function remove(name: string): Promise<void> {
  const home = offshootHome();
  requireSpec(home, name);
  if (!removeTemplate(home, name)) throw new UsageError(`template "${name}" is not built.`);
}

/** Removes what would be built again anyway. */
export async function prune(): Promise<void> {
  report(await pruneTemplates(offshootHome()));
}

/** What was removed, and how much room that makes. */
export function report(removed: readonly Removed[]): void {
  for (const { name, sizeBytes } of removed) process.stdout.write(`removed ${name}\t${size(sizeBytes)}\n`);
  process.stdout.write(`${size(removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).replace(/^-$/, '0 MB')} freed\n`);
}
