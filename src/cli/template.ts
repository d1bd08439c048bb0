// `offshoot template build|ls|rm`.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { Engine } from '../engine/engine.ts';
import { templateNames, templateSpec } from '../engine/spec.ts';
import { templatePath, templatesDir } from '../engine/home.ts';
import { readHeader, templateKey } from '../engine/templatefile.ts';
import { offshootHome } from '../image/home.ts';
import { UsageError } from './fail.ts';
import { progressPrinter } from './progress.ts';

/** Builds a template now, also when there is one. */
export async function build(name: string): Promise<void> {
  requireSpec(name);
  const engine = await Engine.open({ workers: 1, onProgress: progressPrinter(process.stderr) });
  try {
    await engine.template(name, { rebuild: true });
    process.stdout.write(`${name}: built\n`);
  } finally {
    await engine.close();
  }
}

/** One line per template file: name, size, date, what is loaded. */
export async function list(): Promise<void> {
  const home = offshootHome();
  const dir = templatesDir(home);
  const files = existsSync(dir) ? readdirSync(dir).filter((file) => file.endsWith('.template')).sort() : [];
  for (const file of files) {
    const path = `${dir}/${file}`;
    const name = file.slice(0, -'.template'.length);
    process.stdout.write(`${name}\t${(statSync(path).size / 2 ** 20).toFixed(1)} MB\t${about(path, home)}\n`);
  }
  for (const name of templateNames()) {
    if (!files.includes(`${name}.template`)) process.stdout.write(`${name}\t-\tnot built: built at the first run\n`);
  }
}

function about(path: string, home: string): string {
  try {
    const header = readHeader(path, templateKey(home));
    return `${header.createdAt}\t${header.preload.length} modules`;
  } catch (error) {
    return `unusable (${(error as Error).message}): built again at the next run`;
  }
}

/** Removes a template's file. */
export async function remove(name: string): Promise<void> {
  const path = templatePath(offshootHome(), name);
  if (name.includes('/') || !existsSync(path)) {
    requireSpec(name);
    throw new UsageError(`template "${name}" is not built.`);
  }
  rmSync(path);
}

function requireSpec(name: string): void {
  if (!templateSpec(name)) throw new UsageError(`unknown template "${name}": there is ${templateNames().map((known) => `"${known}"`).join(', ')}.`);
}
