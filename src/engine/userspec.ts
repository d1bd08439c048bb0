// Templates of users: checking what they are to be made of, and keeping that by name, so that a template that no longer fits can
// be built again without its options.

import { existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { makeDirectories } from '../image/home.ts';
import { PYTHON_PACKAGES, specOf, type ImageSpec } from '../image/specs.ts';
import { OffshootError, homeError } from './errors.ts';
import { specPath, templatesDir } from './home.ts';
import { builtInNames, isBuiltIn, isTemplateName, templateSpec, userSpec, type TemplateSpec } from './spec.ts';

/** What a template is made of. */
export interface TemplateRecipe {
  /** "debian" (default), "dir:PATH", "tar:FILE" (docker export, docker save) or "oci:DIR[:TAG]". */
  readonly from?: string;
  /** Debian packages on top of those of the template `python`; NAME or NAME=VERSION. */
  readonly packages?: readonly string[];
  /** A requirements file: the host's pip fetches the wheels. */
  readonly requirements?: string;
  /** Wheel files, installed as they are. */
  readonly wheels?: readonly string[];
  /** Modules imported before the snapshot point, besides the usual ones. */
  readonly preload?: readonly string[];
  /** A Python file that runs before the snapshot point, after the imports. */
  readonly setup?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Most memory for building it (default 1 GiB), and the default of its sandboxes; in bytes. */
  readonly memoryBytes?: number;
}

const SETUP_BYTES_MAX = 1 << 20;
const MEMORY_BYTES_MIN = 64 << 20;
const MEMORY_BYTES_MAX = 2 ** 32;

/** Names of all templates that can be built in this home. */
export function templateNames(home: string): string[] {
  let files: string[] = [];
  try {
    files = readdirSync(templatesDir(home));
  } catch { /* none yet */ }
  const own = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length)).filter(isTemplateName);
  return [...builtInNames(), ...own.filter((name) => !isBuiltIn(name)).sort()];
}

function wrong(message: string): OffshootError {
  return new OffshootError('bad-argument', message);
}

/** The spec of a user's template. `stamp` differs each time its files shall be read again. Throws OffshootError. */
export function makeSpec(name: string, recipe: TemplateRecipe, stamp: string): TemplateSpec {
  if (!isTemplateName(name)) throw wrong(`A template's name has up to 63 letters a-z, digits, "-" and "_", not "${name}".`);
  if (isBuiltIn(name)) throw wrong(`"${name}" comes with Offshoot: choose another name for a template of your own.`);
  const { memoryBytes = 0, preload = [] } = recipe;
  if (memoryBytes !== 0 && !(memoryBytes >= MEMORY_BYTES_MIN && memoryBytes <= MEMORY_BYTES_MAX)) {
    throw wrong('The memory of a template is from 64 to 4096 MB.');
  }
  for (const module of preload) if (!/^[^\W\d]\w*(\.[^\W\d]\w*)*$/u.test(module)) throw wrong(`"${module}" is not the name of a Python module.`);
  for (const key of Object.keys(recipe.env ?? {})) if (!/^[^=\0]+$/.test(key)) throw wrong(`"${key}" cannot be the name of an environment variable.`);
  return userSpec({
    name, image: imageOf(name, recipe, stamp), preload: [...preload], setup: readSetup(recipe.setup), env: { ...recipe.env }, memoryBytes,
  });
}

function imageOf(name: string, recipe: TemplateRecipe, stamp: string): ImageSpec {
  const { from = 'debian', packages = [], wheels = [], requirements } = recipe;
  const python = wheels.map((wheel) => checkFile(wheel, '.whl'));
  const file = requirements === undefined ? '' : checkFile(requirements, '');
  for (const debian of packages) {
    if (!/^[a-z0-9][a-z0-9+.-]*[a-z0-9+](=[\w.+:~-]+)?$/.test(debian)) throw wrong(`"${debian}" is not the name of a Debian package.`);
  }
  const own = { name, wheels: python, requirements: file, downloadBytes: 0, diskBytes: 0 };
  if (from === 'debian') {
    const isPlain = python.length === 0 && file === '';
    if (packages.length > 0) return { ...own, from, packages: [...PYTHON_PACKAGES, ...packages], stamp: isPlain ? '' : stamp };
    return isPlain ? specOf('python') : { ...own, from: 'image:python', packages: [], stamp };
  }
  if (packages.length > 0) throw wrong(`Debian packages can only be added to an image made from Debian, not to ${from}.`);
  return { ...own, from: checkSource(from), packages: [], stamp };
}

function checkSource(from: string): string {
  const match = /^(dir|tar|oci):(.+)$/s.exec(from);
  if (!match) throw wrong(`A template is made from debian, dir:PATH, tar:FILE or oci:DIR, not "${from}".`);
  const [, kind, path] = match;
  const file = resolve(path);
  const stat = statSync(file, { throwIfNoEntry: false });
  if (kind === 'oci' && !stat) {
    const colon = file.lastIndexOf(':');
    if (colon > 0 && existsSync(file.slice(0, colon))) return `oci:${file}`;
  }
  if (!stat) throw wrong(`${path} does not exist.`);
  if (kind === 'tar' ? !stat.isFile() : !stat.isDirectory()) throw wrong(`${path} is not a ${kind === 'tar' ? 'file' : 'directory'}.`);
  return `${kind}:${file}`;
}

function checkFile(path: string, ending: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw wrong(`${path} does not exist.`);
  if (!stat.isFile()) throw wrong(`${path} is not a file.`);
  if (!path.endsWith(ending)) throw wrong(`${path} is not a wheel: its name does not end in ${ending}.`);
  return resolve(path);
}

function readSetup(path: string | undefined): TemplateSpec['setup'] {
  if (path === undefined) return null;
  checkFile(path, '');
  const source = readFileSync(path);
  if (source.length > SETUP_BYTES_MAX) throw wrong(`${path} is larger than 1 MiB.`);
  return { filename: basename(path), source: source.toString('utf8') };
}

/** Keeps a spec under its name; returns what undoes that. Throws OffshootError. */
export function keepSpec(home: string, spec: TemplateSpec): () => void {
  const path = specPath(home, spec.name);
  try {
    makeDirectories(templatesDir(home), 0o700);
    const old = existsSync(path) ? readFileSync(path) : null;
    replace(path, `${JSON.stringify(spec, null, 2)}\n`);
    return () => (old ? replace(path, old) : rmSync(path, { force: true }));
  } catch (error) {
    throw homeError(error) ?? error;
  }
}

/** Written aside and renamed. Mode 0600: a setup may hold what only its owner should see. */
function replace(path: string, content: string | Buffer): void {
  const aside = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(aside, content, { mode: 0o600 });
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

/** The spec with all files of its image to be read again. */
export function refreshedSpec(spec: TemplateSpec, stamp: string): TemplateSpec {
  return spec.image.stamp === '' ? spec : { ...spec, image: { ...spec.image, stamp } };
}

/** Forgets a user's template. False when there was none. */
export function forgetSpec(home: string, name: string): boolean {
  if (!isTemplateName(name) || !existsSync(specPath(home, name))) return false;
  rmSync(specPath(home, name));
  return true;
}

/** The spec, or an error that names those there are. */
export function requireSpec(home: string, name: string): TemplateSpec {
  const spec = templateSpec(name, home);
  if (spec) return spec;
  const known = templateNames(home).map((other) => `"${other}"`).join(', ');
  throw new OffshootError('template-unknown', `Unknown template "${name}": there is ${known}.`);
}
