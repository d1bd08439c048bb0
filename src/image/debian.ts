// Builds a tree from Debian packages: fetch with apt.ts, unpack in memory with dpkg-deb(1) and tar.ts, finish with system.ts.
//
// Interface: fetchPackages, unpackPackages. Nothing is written to the host's file tree and nothing of a package is run.

import * as path from 'node:path';
import { Apt, isUnknownPackage } from './apt.ts';
import type { PackageFile } from './apt.ts';
import { streamCommand } from './command.ts';
import { ImageError } from './errors.ts';
import { tarNode } from './layers.ts';
import type { ImageBuilder } from './pack.ts';
import type { ProgressEvent } from './progress.ts';
import { finishSystem, prepareRoot } from './system.ts';
import { readTar } from './tar.ts';
import type { TarEntry } from './tar.ts';

export interface FetchOptions {
  signal?: AbortSignal | undefined;
  onProgress: (event: ProgressEvent) => void;
}

/** Fetched packages: their files are in `dir`. */
export interface Packages {
  readonly dir: string;
  readonly files: readonly PackageFile[];
}

/**
 * Packages that others depend on without needing them to run: a compiler for Python that brings GCC and Boost, windows on a
 * screen. Whoever asks for one by name gets it.
 */
const LEFT_OUT = ['python3-pythran', 'python3-pil.imagetk'];

/** Left out of images: manuals and translations, which are half of all files. Licences (copyright) stay. */
function isWanted(name: string): boolean {
  if (/^usr\/share\/doc\//.test(name)) return /^usr\/share\/doc\/[^/]+(\/copyright)?\/?$/.test(name);
  return !/^usr\/share\/(man|info|locale|lintian|doc-base|bug|gdb|menu|pixmaps|applications)\//.test(name);
}

/**
 * Downloads packages and all they depend on.
 * @throws ImageError
 */
export async function fetchPackages(aptDir: string, names: readonly string[], options: FetchOptions): Promise<Packages> {
  const { signal, onProgress } = options;
  const apt = new Apt(aptDir, LEFT_OUT.filter((name) => !names.includes(name)));
  const during = (phase: ProgressEvent['phase']) => ({
    signal, onProgress: (done: number, message: string) => onProgress({ phase, done, total: 1, message }),
  });
  const update = async (wide: boolean) => {
    onProgress({ phase: 'lists', done: 0, total: 1, message: 'fetching the package lists' });
    await apt.update(wide, during('lists'));
    return await apt.resolve(names, { signal });
  };
  const files = await update(false).catch((error: unknown) => {
    if (isUnknownPackage(error)) return update(true);
    throw error;
  });
  if (files.length === 0) throw new ImageError('apt-get named no packages to install');
  const missing = apt.missingBytes(files);
  onProgress({
    phase: 'download', done: 0, total: 1,
    message: `${files.length} packages, ${megabytes(missing)} MB to download`,
  });
  await apt.download(names, files, during('download'));
  apt.prune(files);
  return { dir: apt.archives, files };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** Unpacks packages into the builder's tree and makes what their scripts would have made. */
export async function unpackPackages(builder: ImageBuilder, packages: Packages, options: FetchOptions): Promise<void> {
  prepareRoot(builder);
  const scripts: string[] = [];
  let status = '';
  for (const [i, { file }] of packages.files.entries()) {
    options.signal?.throwIfAborted();
    options.onProgress({ phase: 'unpack', done: i, total: packages.files.length, message: `unpacking ${file.split('_')[0]}` });
    const archive = path.join(packages.dir, file);
    const [control] = await Promise.all([readControl(archive), unpackPackage(builder, archive)]);
    scripts.push(control.postinst);
    status += control.status;
  }
  options.onProgress({ phase: 'pack', done: 0, total: 1, message: 'packing the image' });
  finishSystem(builder, scripts, status);
}

async function unpackPackage(builder: ImageBuilder, archive: string): Promise<void> {
  const command = streamCommand('dpkg-deb', ['--fsys-tarfile', archive]);
  try {
    for await (const entry of readTar(command.output)) addEntry(builder, entry);
    await command.done();
  } catch (error) {
    command.kill();
    throw error instanceof ImageError ? new ImageError(`${path.basename(archive)}: ${error.message}`) : error;
  }
}

function addEntry(builder: ImageBuilder, entry: TarEntry): void {
  const name = entry.path.replace(/^(\.?\/)+/, '');
  if (name === '' || name === '.' || !isWanted(name)) return;
  if (entry.type === 'link') {
    builder.tree.link(name, entry.linkName);
    return;
  }
  builder.tree.put(name, tarNode(builder, entry));
}

/** The control paragraph as dpkg's status file holds it, and the postinst script ('' when there is none). */
async function readControl(archive: string): Promise<{ status: string; postinst: string }> {
  const command = streamCommand('dpkg-deb', ['--ctrl-tarfile', archive]);
  const files = new Map<string, string>();
  for await (const entry of readTar(command.output)) files.set(entry.path.replace(/^\.\//, ''), entry.content.toString('latin1'));
  await command.done();
  const control = (files.get('control') ?? '').trimEnd();
  const status = control.replace(/^(Package:.*)$/m, '$1\nStatus: install ok installed');
  return { status: `${status}\n\n`, postinst: files.get('postinst') ?? '' };
}
