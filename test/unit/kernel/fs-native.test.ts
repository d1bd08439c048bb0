// Random file operations, here and on the host's file system: the same errors, and the same tree afterwards.
//
// Both sides work in a directory 60 levels deep under a temporary one, so that no "..", however it comes about by links, leaves
// it. OFFSHOOT_FUZZ=N makes N rounds of other seeds.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { AT_FDCWD, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/abi/linux/fcntl.ts';
import { World } from './fsworld.ts';

const DEEP = '/x'.repeat(60);
const NAMES = ['a', 'b', 'c', 'd'];
const OPEN_FLAGS = [
  0, O_WRONLY, O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_EXCL, O_WRONLY | O_TRUNC, O_RDWR | O_CREAT | O_TRUNC, O_DIRECTORY, O_NOFOLLOW,
  O_WRONLY | O_CREAT | O_APPEND, O_NOFOLLOW | O_CREAT | O_WRONLY, O_DIRECTORY | O_WRONLY,
];

class Random {
  private state: number;
  constructor(seed: number) { this.state = seed; }
  below(n: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.state / 2 ** 32 * n);
  }
  of<T>(list: readonly T[]): T { return list[this.below(list.length)]; }
}

/** A path of a few names, dots and odd slashes; at most two "..". */
function randomPath(random: Random, depth = 1 + random.below(3)): string {
  let path = '';
  let ups = 0;
  for (let i = 0; i < depth; i++) {
    const kind = random.below(14);
    const up = kind === 0 && ups++ < 2;
    path += `${i > 0 ? '/' : ''}${up ? '..' : kind === 1 ? '.' : random.of(NAMES)}`;
  }
  return path + (random.below(8) === 0 ? random.of(['/', '//', '/.']) : '');
}

/** 0 or -errno of a call of node:fs. */
function native(call: () => unknown): number {
  try {
    call();
    return 0;
  } catch (error) {
    return (error as { errno: number }).errno;
  }
}

interface Step { readonly text: string; readonly here: () => number; readonly there: () => number }

function openStep(w: World, random: Random): Step {
  const path = randomPath(random);
  const flags = random.of(OPEN_FLAGS);
  const data = random.of(['', 'x', 'hello', 'long'.repeat(2000)]);
  return {
    text: `open ${path} 0${flags.toString(8)} write ${data.length}`,
    here: () => {
      const fd = w.open(path, flags, 0o666);
      if (fd < 0) return fd;
      const n = data === '' ? 0 : w.call('write', fd, data, data.length);
      w.call('close', fd);
      return Math.min(0, n);
    },
    there: () => {
      let error = 0;
      const opened = native(() => {
        const fd = fs.openSync(path, flags, 0o666);
        if (data !== '') error = native(() => fs.writeSync(fd, data));
        fs.closeSync(fd);
      });
      return opened || error;
    },
  };
}

function nextStep(w: World, random: Random): Step {
  const path = randomPath(random);
  const other = randomPath(random);
  const mode = random.of([0o755, 0o777, 0o700]);
  const size = random.of([0, 1, 5000]);
  const bits = random.of([0o755, 0o755, 0o777, 0o777, 0o700, 0o1777, 0o2775, 0o644, 0o666, 0o4755, 0o711]);
  switch (random.below(15)) {
    case 0: case 1: case 2: return openStep(w, random);
    case 3: case 4: return { text: `mkdir ${path}`, here: () => w.call('mkdir', path, mode), there: () => native(() => fs.mkdirSync(path, mode)) };
    case 5: return { text: `rmdir ${path}`, here: () => w.call('rmdir', path), there: () => native(() => fs.rmdirSync(path)) };
    case 6: return { text: `unlink ${path}`, here: () => w.call('unlink', path), there: () => native(() => fs.unlinkSync(path)) };
    case 7: case 8:
      return { text: `rename ${path} ${other}`, here: () => w.call('rename', path, other), there: () => native(() => fs.renameSync(path, other)) };
    case 9: return { text: `link ${path} ${other}`, here: () => w.call('link', path, other), there: () => native(() => fs.linkSync(path, other)) };
    case 10: {
      const target = random.of([...NAMES, 'a/b', './c', 'a/../b', '.', 'd/']);
      return { text: `symlink ${target} ${path}`, here: () => w.call('symlink', target, path), there: () => native(() => fs.symlinkSync(target, path)) };
    }
    case 11: case 12:
      return { text: `chmod ${path} 0${bits.toString(8)}`, here: () => w.call('chmod', path, bits), there: () => native(() => fs.chmodSync(path, bits)) };
    case 13:
      return {
        text: `truncate ${path} ${size}`, here: () => w.call('truncate', path, size),
        there: () => native(() => {
          const fd = fs.openSync(path, O_WRONLY);
          try { fs.ftruncateSync(fd, size); } finally { fs.closeSync(fd); }
        }),
      };
    default:
      return {
        text: `stat ${path}`, here: () => w.call('newfstatat', AT_FDCWD, path, w.out, 0), there: () => native(() => fs.statSync(path)),
      };
  }
}

interface Seen { path: string; mode: number; nlink: number; size: number; content: string | number }

function treeHere(w: World, at: string, seen: Seen[] = []): Seen[] {
  for (const name of w.names(at).sort()) {
    const path = `${at}/${name}`;
    const { st_mode: mode, st_nlink: nlink, st_size: size } = w.stat(path);
    const type = mode & 0o170000;
    const content = type === 0o100000 ? w.text(path) : type === 0o120000 ? w.readlink(path) : '';
    seen.push({ path, mode, nlink, size: type === 0o040000 ? 0 : size, content });
    if (type === 0o040000) treeHere(w, path, seen);
  }
  return seen;
}

function treeThere(at: string, seen: Seen[] = []): Seen[] {
  for (const name of fs.readdirSync(at).sort()) {
    const path = `${at}/${name}`;
    const stat = fs.lstatSync(path);
    const content = stat.isFile() ? fs.readFileSync(path, 'latin1') : stat.isSymbolicLink() ? fs.readlinkSync(path) : '';
    // Some file systems do not count subdirectories.
    const nlink = stat.isDirectory() ? 2 + fs.readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()).length : stat.nlink;
    seen.push({ path, mode: stat.mode, nlink, size: stat.isDirectory() ? 0 : stat.size, content });
    if (stat.isDirectory()) treeThere(path, seen);
  }
  return seen;
}

/** Who makes the next calls, on both sides. Only root can change. */
function become(w: World, uid: number): void {
  w.become(uid);
  process.seteuid?.(0);
  process.setgroups?.([uid]);
  process.setegid?.(uid);
  process.seteuid?.(uid);
}

function round(seed: number, steps: number, users: readonly number[] = []): void {
  const random = new Random(seed);
  const w = new World({}, { uid: process.getuid?.() ?? 0 });
  const home = process.cwd();
  const top = fs.mkdtempSync(`${tmpdir()}/offshoot-fs-`);
  const mask = process.umask(0o022);
  try {
    fs.mkdirSync(top + DEEP, { recursive: true });
    process.chdir(top + DEEP);
    for (let i = 2; i <= DEEP.length; i += 2) w.call('mkdir', `/tmp${DEEP.slice(0, i)}`, 0o755);
    w.call('chdir', `/tmp${DEEP}`);
    const log: string[] = [];
    for (let i = 0; i < steps; i++) {
      if (users.length > 0) become(w, random.of(users));
      const step = nextStep(w, random);
      const [here, there] = [step.here(), step.there()];
      log.push(`${process.geteuid?.()}: ${step.text} = ${there}`);
      assert.equal(here, there, `seed ${seed}, step ${i}: ${log.slice(-25).join('\n')}`);
      if (i % 20 !== 19) continue;
      if (users.length > 0) become(w, 0);
      assert.deepEqual(treeHere(w, '.'), treeThere('.'), `seed ${seed}, after step ${i}: ${log.slice(-25).join('\n')}`);
    }
  } finally {
    if (users.length > 0) become(w, 0);
    process.umask(mask);
    process.chdir(home);
    fs.rmSync(top, { recursive: true, force: true });
  }
}

const ROUNDS = Number(process.env['OFFSHOOT_FUZZ'] ?? 0);

test('random operations give what the host gives', () => {
  for (let seed = 1; seed <= 4; seed++) round(seed, 300);
  for (let seed = 1000; seed < 1000 + ROUNDS; seed++) round(seed, 400);
});

const isRoot = process.getuid?.() === 0;
const sysctl = (name: string): string => fs.readFileSync(`/proc/sys/fs/protected_${name}`, 'utf8').trim();
const isSame = isRoot && sysctl('symlinks') === '0' && sysctl('regular') === '0' && sysctl('hardlinks') === '1';

test('permissions are judged as the host does', { skip: isSame ? false : 'needs root on a host with the same fs.protected_* settings' }, () => {
  for (let seed = 1; seed <= 4; seed++) round(seed, 300, [0, 1000, 1000, 1001]);
  for (let seed = 1000; seed < 1000 + ROUNDS; seed++) round(seed, 400, [0, 1000, 1000, 1001]);
});
