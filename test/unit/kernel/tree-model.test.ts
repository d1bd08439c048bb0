// The file system against a model of a tree (treemodel.ts): operations on random paths, some of whose names the image has, others made
// here; the same errors, and the same tree: names, kinds, contents, link counts, inode numbers. Forked sandboxes go on with it.

import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ENOENT } from '../../../src/abi/linux/errno.ts';
import { AT_FDCWD, O_APPEND, O_CREAT, O_EXCL, O_WRONLY, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../../src/abi/linux/fcntl.ts';
import { World } from './fsworld.ts';
import { Drawer, check, tape } from './model.ts';
import { Tree, directory, type DirNode, type FileNode, type LinkNode } from './treemodel.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const IMAGE = { 'a/a': { data: 'image' }, 'a/b/c': { data: 'deep' }, b: { data: 'file' }, c: { target: 'a/b' } };
/** What a sandbox has besides. */
const OWN = ['dev', 'proc', 'sys', 'tmp'];

class Check {
  private readonly draw: Drawer;
  private readonly tree = new Tree();
  private world = new World(IMAGE, { memoryBytes: 8 << 20 });

  constructor(draw: Drawer) {
    this.draw = draw;
    const a = directory(this.tree.root), b = directory(a);
    this.tree.root.entries.set('a', a).set('b', { type: 'file', content: 'file' }).set('c', { type: 'link', target: 'a/b' });
    a.entries.set('a', { type: 'file', content: 'image' }).set('b', b);
    b.entries.set('c', { type: 'file', content: 'deep' });
  }

  run(): void {
    const steps = [this.mkdir, this.mkdir, this.create, this.symlink, this.link, this.append, this.unlink, this.rmdir, this.rename, this.rename, this.rename];
    while (!this.draw.isOver) {
      const kind = this.draw.below(20);
      if (kind === 0) this.world = this.world.fork();
      else if (kind < 4) this.compareAll();
      else this.draw.of(steps).call(this);
    }
    this.compareAll();
  }

  /** Up to four names; ".." and "." only on the way. */
  private path(): string {
    let number = this.draw.below(2 ** 30), path = '';
    const digit = (below: number): number => {
      const value = number % below;
      number = Math.floor(number / below);
      return value;
    };
    for (let count = digit(4); count > 0; count--) path += `/${digit(8) === 0 ? ['.', '..'][digit(2)] : NAMES[digit(NAMES.length)]}`;
    return `${path}/${NAMES[digit(NAMES.length)]}`;
  }

  private same(text: string, here: number, expected: number): void {
    assert.equal(here, expected, text);
  }

  private mkdir(): void {
    const path = this.path();
    this.same(`mkdir ${path}`, this.world.call('mkdir', path, 0o755), this.tree.mkdir(path));
  }

  private create(): void {
    const path = this.path();
    const fd = this.world.open(path, O_CREAT | O_EXCL | O_WRONLY);
    if (fd >= 0) this.world.call('close', fd);
    this.same(`create ${path}`, Math.min(fd, 0), this.tree.create(path));
  }

  private symlink(): void {
    const target = this.path().slice(this.draw.below(2)), path = this.path();
    this.same(`symlink ${target} ${path}`, this.world.call('symlink', target, path), this.tree.symlink(target, path));
  }

  private link(): void {
    const from = this.path(), to = this.path();
    this.same(`link ${from} ${to}`, this.world.call('link', from, to), this.tree.link(from, to));
  }

  private append(): void {
    const path = this.path(), text = this.draw.of(['x', 'yz', '']);
    this.same(`append ${path}`, Math.min(0, this.world.write(path, text, O_WRONLY | O_APPEND)), this.tree.append(path, text));
  }

  private unlink(): void {
    const path = this.path();
    this.same(`unlink ${path}`, this.world.call('unlink', path), this.tree.unlink(path));
  }

  private rmdir(): void {
    const path = this.path();
    this.same(`rmdir ${path}`, this.world.call('rmdir', path), this.tree.rmdir(path));
  }

  private rename(): void {
    const from = this.path(), to = this.path(), flags = this.draw.of([0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE]);
    this.same(`rename ${from} ${to} ${flags}`, this.world.call('renameat2', AT_FDCWD, from, AT_FDCWD, to, flags), this.tree.rename(from, to, flags));
  }

  private compareAll(): void {
    const links = new Map<FileNode | LinkNode, string[]>();
    this.compareDir('', this.tree.root, links);
    for (const [node, paths] of links) {
      const stats = paths.map((path) => this.world.stat(path));
      assert.ok(stats.every((stat) => stat.st_nlink === paths.length && stat.st_ino === stats[0].st_ino), `links ${paths}`);
      if (node.type === 'file') for (const path of paths) assert.equal(this.world.text(path), node.content, path);
      else assert.equal(this.world.readlink(paths[0]), node.target, paths[0]);
    }
  }

  private compareDir(path: string, dir: DirNode, links: Map<FileNode | LinkNode, string[]>): void {
    const names = this.world.names(`${path}/`).filter((name) => path !== '' || !OWN.includes(name)).sort();
    assert.deepEqual(names, [...dir.entries.keys()].sort(), `names in ${path}/`);
    for (const name of NAMES) if (!dir.entries.has(name)) assert.equal(this.world.call('access', `${path}/${name}`, 0), -ENOENT, `${path}/${name}`);
    let subdirs = 0;
    for (const [name, node] of dir.entries) {
      const below = `${path}/${name}`;
      if (node.type === 'dir') {
        subdirs++;
        this.compareDir(below, node, links);
      } else links.set(node, [...links.get(node) ?? [], below]);
    }
    if (path === '') return;
    assert.equal(this.world.stat(path).st_nlink, 2 + subdirs, `links of ${path}`);
    this.world.call('chdir', path);
    assert.equal(this.world.cwd(), path, 'its name as seen from within');
    this.world.call('chdir', '/');
  }
}

test('model: the tree of files', () => {
  check(fc.property(tape(400), (numbers) => new Check(new Drawer(numbers)).run()), 150);
});
