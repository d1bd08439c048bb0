// The unchanging part of the emulated machine: Debian's cloud kernel and an initramfs with busybox, the KVM modules,
// Node and a few programs with their shared libraries. Built once, kept in the cache directory.
//
//   base(options) → { kernel, initramfs }: paths, built when they are not there yet
//   requireTools(): makes sure that QEMU and the packers are installed (installs them when root)
//
// The kernel's package is found through linux-image-cloud-amd64, because versions disappear from the archive.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, renameSync, rmSync, symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

/** Paths of a kernel and the initramfs that goes with it. */
export interface Base { readonly kernel: string; readonly initramfs: string }

/** A failure the user can act on; `message` is the whole story. */
export class SetupError extends Error {}

/** The repository. */
export const ROOT = resolve(import.meta.dirname, '../..');

/** The program of each Debian package that must be installed. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'qemu-system-x86': ['/usr/bin/qemu-system-x86_64'],
  'busybox-static': ['/bin/busybox'],
  cpio: ['/bin/cpio', '/usr/bin/cpio'],
};

/** Modules to load, in order; what they depend on is put before them. */
const MODULES = ['virtio_pci', 'virtio_blk', 'kvm-amd'];

let aptUpdated = false;

function aptGet(args: readonly string[], cwd = ROOT): void {
  execFileSync('apt-get', ['-q', ...args], { cwd, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The package indexes are refreshed once a process, and only by root. */
function aptUpdate(): void {
  if (aptUpdated || !isRoot()) return;
  aptUpdated = true;
  aptGet(['update']);
}

/** Makes sure the packages are there. Throws SetupError with the command to type when that takes root. */
export function requireTools(): void {
  const missing = Object.keys(PACKAGES).filter(name => !PACKAGES[name]?.some(path => existsSync(path)));
  if (!missing.includes('busybox-static') && !isStatic('/bin/busybox')) missing.push('busybox-static');
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (!isRoot()) throw new SetupError(`the emulated machine needs packages that are not installed; as root: ${command}`);
  console.error(`hwkvm: ${command}`);
  aptUpdate();
  aptGet(['install', '-y', '--no-install-recommends', ...missing]);
}

/** The package `busybox` has a program of the same name that needs libraries. */
function isStatic(path: string): boolean {
  return spawnSync('ldd', [path]).status !== 0;
}

/** Name of the newest cloud kernel's package, or '' when apt knows none. */
function kernelPackage(): string {
  try {
    const text = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return /Depends: (linux-image-\S+)/.exec(text)?.[1] ?? '';
  } catch {
    return '';
  }
}

/** Downloads and unpacks the kernel's package below `dir`; returns the unpacked tree. */
function fetchKernel(dir: string): string {
  let name = kernelPackage();
  if (name === '') {
    aptUpdate();
    name = kernelPackage();
  }
  if (name === '') throw new SetupError('apt knows no linux-image-cloud-amd64: needs Debian with its package lists (as root: apt-get update)');
  console.error(`hwkvm: downloading ${name}`);
  mkdirSync(dir);
  chmodSync(dir, 0o777); // apt downloads as its own user
  try {
    aptGet(['download', name], dir);
  } catch {
    aptUpdate(); // a list from last month names a version that is gone
    aptGet(['download', kernelPackage()], dir);
  }
  const deb = readdirSync(dir).find(file => file.endsWith('.deb'));
  if (deb === undefined) throw new SetupError(`apt-get download ${name} left no file`);
  const tree = join(dir, 'kernel');
  execFileSync('dpkg-deb', ['-x', join(dir, deb), tree]);
  return tree;
}

/** Copies MODULES and what they depend on into `to`, decompressed, with a file `order`. */
function copyModules(tree: string, to: string): void {
  const lib = [join(tree, 'lib/modules'), join(tree, 'usr/lib/modules')].find(existsSync);
  if (lib === undefined) throw new SetupError('the kernel package has no modules');
  const files = new Map<string, string>();
  for (const file of readdirSync(lib, { recursive: true, encoding: 'utf8' })) {
    const match = /([^/]+)\.ko(\.xz|\.zst)?$/.exec(file);
    if (match?.[1] !== undefined) files.set(match[1].replaceAll('-', '_'), join(lib, file));
  }
  const order: string[] = [];
  const add = (name: string): void => {
    const path = files.get(name.replaceAll('-', '_'));
    if (path === undefined || order.includes(`${name}.ko`)) return; // built in, or done
    const bytes = moduleBytes(path);
    const depends = /\0depends=([^\0]*)\0/.exec(bytes.toString('latin1'))?.[1] ?? '';
    for (const needed of depends.split(',')) if (needed !== '') add(needed);
    writeFileSync(join(to, `${name}.ko`), bytes);
    order.push(`${name}.ko`);
  };
  for (const name of MODULES) add(name);
  writeFileSync(join(to, 'order'), order.join('\n') + '\n');
}

function moduleBytes(path: string): Buffer {
  const maxBuffer = 64 << 20;
  if (path.endsWith('.xz')) return execFileSync('xz', ['-dc', path], { maxBuffer });
  if (path.endsWith('.zst')) return zstdDecompressSync(readFileSync(path));
  return readFileSync(path);
}

/** Programs the tests start, when this machine has them. */
const PROGRAMS = ['/usr/bin/as', '/usr/bin/objcopy', '/usr/bin/objdump'];

/** Copies a program to `as` and the libraries ldd names to the paths where the loader looks for them, below `to`. */
function copyProgram(path: string, as: string, to: string): void {
  mkdirSync(join(to, dirname(as)), { recursive: true });
  copyFileSync(path, join(to, as));
  for (const [, library] of execFileSync('ldd', [path], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)) {
    if (library === undefined) continue;
    mkdirSync(join(to, dirname(library)), { recursive: true });
    copyFileSync(library, join(to, library));
  }
}

function buildInitramfs(tree: string, dir: string): void {
  for (const name of ['bin', 'proc', 'sys', 'dev', 'tmp', 'root', 'etc', 'modules']) mkdirSync(join(dir, name), { recursive: true });
  chmodSync(join(dir, 'tmp'), 0o1777);
  copyFileSync('/bin/busybox', join(dir, 'bin/busybox'));
  for (const applet of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(dir, 'bin', applet));
  }
  copyModules(tree, join(dir, 'modules'));
  copyProgram(realpathSync(process.execPath), 'usr/local/bin/node', dir);
  for (const path of PROGRAMS) if (existsSync(path)) copyProgram(path, path.replace('/usr', '/usr/local'), dir);
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n');
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\nuser:x:1000:\n');
  writeFileSync(join(dir, 'etc/hosts'), '127.0.0.1 localhost hwkvm\n');
  copyFileSync(join(import.meta.dirname, 'init.sh'), join(dir, 'init'));
  chmodSync(join(dir, 'init'), 0o755);
}

/** Packs the tree `dir` as an initramfs into `file`: not compressed, because unpacking is emulated too and takes 3 s longer. */
function pack(dir: string, file: string): void {
  execFileSync('sh', ['-c', 'find . | cpio -o -H newc --quiet -R 0:0 >"$0"', file], { cwd: dir, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** What the cached files depend on: this script, the init program, Node and the C library. */
function cacheKey(): string {
  const hash = createHash('sha256');
  for (const file of ['base.ts', 'init.sh']) hash.update(readFileSync(join(import.meta.dirname, file)));
  for (const path of PROGRAMS) hash.update(String(existsSync(path)));
  hash.update(process.version).update(spawnSync('ldd', ['--version'], { encoding: 'utf8' }).stdout);
  return hash.digest('hex').slice(0, 16);
}

/** Where everything is kept between runs. */
export function cacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'offshoot-hwkvm');
}

/**
 * The kernel and the initramfs, from the cache or built now.
 * @param fresh Build again, with the newest kernel.
 * @throws SetupError when a package is missing.
 */
export function base(fresh = false): Base {
  const cache = cacheDir();
  const dir = join(cache, cacheKey());
  const made: Base = { kernel: join(dir, 'vmlinuz'), initramfs: join(dir, 'initramfs') };
  if (existsSync(made.initramfs) && !fresh) return made;
  try {
    mkdirSync(cache, { recursive: true });
  } catch (error) {
    throw new SetupError(`the cache directory can't be made (set XDG_CACHE_HOME to choose another): ${error instanceof Error ? error.message : String(error)}`);
  }
  const work = mkdtempSync(join(tmpdir(), 'offshoot-hwkvm-'));
  chmodSync(work, 0o755);
  try {
    const tree = fetchKernel(join(work, 'download'));
    const root = join(work, 'root');
    buildInitramfs(tree, root);
    mkdirSync(join(work, 'out'));
    const vmlinuz = readdirSync(join(tree, 'boot')).find(name => name.startsWith('vmlinuz-'));
    if (vmlinuz === undefined) throw new SetupError('the kernel package has no vmlinuz');
    copyFileSync(join(tree, 'boot', vmlinuz), join(work, 'out/vmlinuz'));
    pack(root, join(work, 'out/initramfs'));
    install(join(work, 'out'), cache, dir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return made;
}

/** Puts a finished directory in place at once, and removes those of older versions. */
function install(from: string, cache: string, dir: string): void {
  const aside = `${dir}.${process.pid}`;
  cpSync(from, aside, { recursive: true });
  rmSync(dir, { recursive: true, force: true });
  renameSync(aside, dir);
  for (const name of readdirSync(cache)) {
    if (join(cache, name) !== dir && /^[0-9a-f]{16}$/.test(name)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}
