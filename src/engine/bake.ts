// Finishes an image after its files are packed: adds Python packages, byte-compiles modules. Sandboxes do both, because the host
// never runs a program of the image and never unpacks what comes from a package index.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { PARK, PARK_PATH } from '../guest/park.ts';
import { findProgram } from '../image/find.ts';
import { makeDirectories } from '../image/home.ts';
import { ensureImage, extendImage, planImage, type Addition, type Extension } from '../image/images.ts';
import { fetchWheels, type PythonTarget } from '../image/pip.ts';
import { currentImage, specKey, specOf, type ImageSpec } from '../image/specs.ts';
import { findImage, type Image } from '../image/store.ts';
import { Additions } from './additions.ts';
import { OffshootError } from './errors.ts';
import type { KvmHost } from './kvmhost.ts';
import { runConfined } from './oneshotclient.ts';
import type { Progress } from './protocol.ts';
import { ENVIRONMENT } from './spec.ts';

const MEMORY_BYTES = 1 << 30;
/** Room for unpacking beside the wheel itself, which the installer holds in memory. */
const INSTALL_BYTES = 1 << 30;
const MEMORY_BYTES_MAX = 2 ** 32;
const OUTPUT_BYTES = 8 * 2 ** 30;
const WHEEL_BYTES_MAX = 2 ** 31 - 1;

type OnProgress = (progress: Progress) => void;

/** The finished image of a spec: built, or taken up where an earlier build stopped. Throws OffshootError, ImageError. */
export async function provideImage(host: KvmHost, spec: ImageSpec, onProgress: OnProgress): Promise<Image> {
  const { home } = host;
  const plan = planImage(spec, home);
  if (!plan.built && !spec.from.startsWith('image:')) onProgress({ phase: 'plan', message: plan.message, done: 0, total: 0 });
  let image = await packedImage(host, spec, plan.built, onProgress);
  const stage = (): string => currentImage(spec, home)?.stage ?? 'packed';
  if (stage() === 'packed' && (spec.wheels.length > 0 || spec.requirements !== '')) image = await addWheels(host, image, spec, onProgress);
  if (stage() !== 'ready') {
    onProgress({ phase: 'compile', message: 'byte-compiling Python modules in a sandbox', done: 0, total: 0 });
    image = await bakeImage(host, image, spec.name);
  }
  return image;
}

/** The image before anything is added by sandboxes; for one that is made of another image, that one. */
async function packedImage(host: KvmHost, spec: ImageSpec, isBuilt: boolean, onProgress: OnProgress): Promise<Image> {
  if (isBuilt || !spec.from.startsWith('image:')) return ensureImage(spec, { home: host.home, onProgress });
  return provideImage(host, specOf(spec.from.slice('image:'.length)), onProgress);
}

/** The search path of the image's programs. */
export function searchPath(env: Readonly<Record<string, string>>): string {
  return env['PATH'] ?? ENVIRONMENT['PATH'];
}

/** The image's Python, or null. */
export function pythonOf(home: string, image: Image, name: string): string | null {
  return findProgram(image.index, 'python3', searchPath(findImage(home, name)?.env ?? {}));
}

/**
 * Compiles all modules of the image inside a VM and packs them into a new image of the same name. An image without Python gets
 * the program that its templates are frozen in instead.
 */
export function bakeImage(host: KvmHost, image: Image, name: string): Promise<Image> {
  const options = { home: host.home, name, stage: 'ready' } as const;
  const python = pythonOf(host.home, image, name);
  if (!python) return extendImage(image, (add) => add({ path: PARK_PATH, mode: 0o755, content: PARK }), options);
  return extendBySandbox(image, [python, '-I', '-B', '-c', guestScript('compile.py')], 'Byte-compiling the image\'s modules failed', options);
}

function guestScript(name: string): string {
  return readFileSync(new URL(`../guest/${name}`, import.meta.url), 'utf8');
}

interface Input {
  readonly stdin?: readonly Uint8Array[];
  readonly memoryBytes?: number;
}

/** Runs a program of the image that sends files, and packs image and files into a new image. */
function extendBySandbox(
  image: Image, argv: readonly string[], failure: string, options: Extension & { readonly home: string }, input: Input = {},
): Promise<Image> {
  const { home } = options;
  const fill = (add: (addition: Addition) => void): void => {
    const additions = new Additions(add);
    const { stderr, exitCode } = runConfined(home, image, {
      argv, uid: 0, memoryBytes: MEMORY_BYTES, outputBytes: OUTPUT_BYTES, ...input, onStdout: (bytes) => additions.push(bytes),
    });
    if (exitCode !== 0) throw failed(failure, stderr, exitCode);
    additions.end();
  };
  return extendImage(image, fill, options);
}

/** With the last line that the program wrote: usually the exception. */
function failed(what: string, stderr: string, exitCode: number): OffshootError {
  const line = (stderr.trim().split('\n').at(-1) ?? '').slice(0, 400);
  return new OffshootError('image-failed', `${what}: ${line || `exit code ${exitCode}`}.`);
}

/** Adds the spec's Python packages; the result has the spec's name. */
async function addWheels(host: KvmHost, image: Image, spec: ImageSpec, onProgress: OnProgress): Promise<Image> {
  const { home } = host;
  const base = spec.from.startsWith('image:') ? spec.from.slice('image:'.length) : spec.name;
  const python = pythonOf(home, image, base);
  if (!python) throw new OffshootError('image-failed', 'Python packages need Python in the image: it has no python3 in its PATH.');
  makeDirectories(`${home}/cache`, 0o700);
  // Builds that were killed left these: nobody else builds now.
  const left = readdirSync(`${home}/cache`).filter((name) => /^(?:wheels|shot)-/.test(name));
  for (const name of left) rmSync(`${home}/cache/${name}`, { recursive: true, force: true });
  const dir = mkdtempSync(`${home}/cache/wheels-`);
  try {
    const wheels = [...spec.wheels];
    if (spec.requirements !== '') {
      onProgress({ phase: 'download', message: `fetching the wheels for ${spec.requirements} with pip`, done: 0, total: 0 });
      wheels.push(...await fetchWheels(spec.requirements, targetOf(home, image, python), dir));
    }
    const count = wheels.length === 1 ? '1 wheel' : `${wheels.length} wheels`;
    onProgress({ phase: 'install', message: `installing Python packages in a sandbox: ${count}`, done: 0, total: 0 });
    const { stdin, largest } = readWheels(wheels);
    const memoryBytes = Math.min(MEMORY_BYTES_MAX, INSTALL_BYTES + Math.ceil(largest / 2 ** 20) * 2 ** 21);
    const argv = [python, '-I', '-B', '-c', guestScript('install.py')];
    return await extendBySandbox(image, argv, 'The Python packages cannot be installed', {
      home, name: spec.name, stage: 'installed', key: specKey(spec), source: spec.from,
    }, { stdin, memoryBytes });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What install.py reads: each wheel after a line with its name and size. */
function readWheels(wheels: readonly string[]): { stdin: Uint8Array[]; largest: number } {
  let largest = 0;
  const stdin = wheels.flatMap((path) => {
    const bytes = readWheel(path);
    largest = Math.max(largest, bytes.length);
    return [Buffer.from(`${JSON.stringify({ name: basename(path), bytes: bytes.length })}\n`), bytes];
  });
  return { stdin, largest };
}

function readWheel(path: string): Buffer {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= WHEEL_BYTES_MAX) return bytes;
  } catch (error) {
    throw new OffshootError('image-failed', `The wheel ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
  throw new OffshootError('image-failed', `The wheel ${path} is larger than 2 GiB.`);
}

const PROBE = `import json, os, sys
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION")
except (ValueError, OSError):
    libc = None
print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "libc": libc}))`;

/** Asks the image's Python what wheels fit it. */
function targetOf(home: string, image: Image, python: string): PythonTarget {
  let stdout = '';
  const { stderr, exitCode } = runConfined(home, image, {
    argv: [python, '-I', '-B', '-c', PROBE], uid: 0, memoryBytes: MEMORY_BYTES, outputBytes: 65536,
    onStdout: (bytes) => stdout += Buffer.from(bytes).toString('latin1'),
  });
  const said = /^\{"version": "(3\.\d{1,3})", "libc": (?:null|"(?:glibc (\d)\.(\d{1,3})[^"]*|[^"]*)")\}$/.exec(stdout.trim());
  if (exitCode !== 0 || !said) throw failed('The image\'s Python does not start', stderr, exitCode);
  return { version: said[1], glibc: said[2] === undefined ? null : [Number(said[2]), Number(said[3])] };
}
