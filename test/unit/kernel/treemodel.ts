// A model of a file system tree: nodes and maps, path resolution and the rules of mkdir, rmdir, unlink, link, symlink and rename, as
// their man pages have them for root. Everything answers 0 or -errno.
//
// Interface: Tree, FileNode, DirNode, LinkNode.

import { EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY, EPERM } from '../../../src/abi/linux/errno.ts';
import { MAXSYMLINKS, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../../src/abi/linux/fcntl.ts';

export interface FileNode { readonly type: 'file'; content: string }
export interface LinkNode { readonly type: 'link'; readonly target: string }
export interface DirNode { readonly type: 'dir'; readonly entries: Map<string, Node>; parent: DirNode | null }
export type Node = FileNode | LinkNode | DirNode;

/** Where a path ends. */
interface Place { readonly dir: DirNode; readonly name: string; readonly node: Node | null }

export function directory(parent: DirNode | null): DirNode {
  return { type: 'dir', entries: new Map(), parent };
}

/** Is `dir` this node, or below it? */
function isWithin(dir: DirNode, node: Node): boolean {
  for (let at: DirNode | null = dir; at; at = at.parent) if (at === node) return true;
  return false;
}

export class Tree {
  readonly root = directory(null);

  /** Paths here end in a name, not in dots; "/" at the end is left out. */
  private place(path: string, follow: boolean): Place | number {
    let rest = path.split('/').filter((name) => name !== '');
    let dir = this.root;
    for (let links = 0; ;) {
      const [name, ...after] = rest;
      const node: Node | null = name === '.' ? dir : name === '..' ? dir.parent ?? dir : dir.entries.get(name) ?? null;
      if (after.length === 0 && (node?.type !== 'link' || !follow)) return { dir, name, node };
      if (node === null) return -ENOENT;
      if (node.type === 'link') {
        if (++links > MAXSYMLINKS) return -ELOOP;
        rest = [...node.target.split('/').filter((each) => each !== ''), ...after];
        if (node.target.startsWith('/')) dir = this.root;
        if (rest.length === 0) return { dir, name: '', node: dir };
        continue;
      }
      if (node.type !== 'dir') return -ENOTDIR;
      dir = node;
      rest = after;
    }
  }

  /** The node a path names, links followed; or -errno. */
  find(path: string): Node | number {
    const at = this.place(path, true);
    return typeof at === 'number' ? at : at.node ?? -ENOENT;
  }

  private add(path: string, make: (dir: DirNode) => Node): number {
    const at = this.place(path, false);
    if (typeof at === 'number') return at;
    if (at.node) return -EEXIST;
    at.dir.entries.set(at.name, make(at.dir));
    return 0;
  }

  mkdir(path: string): number {
    return this.add(path, directory);
  }

  create(path: string): number {
    return this.add(path, () => ({ type: 'file', content: '' }));
  }

  symlink(target: string, path: string): number {
    return this.add(path, () => ({ type: 'link', target }));
  }

  link(from: string, to: string): number {
    const old = this.place(from, false);
    if (typeof old === 'number') return old;
    const { node } = old;
    if (!node) return -ENOENT;
    const at = this.place(to, false);
    if (typeof at === 'number') return at;
    if (at.node) return -EEXIST;
    if (node.type === 'dir') return -EPERM;
    at.dir.entries.set(at.name, node);
    return 0;
  }

  append(path: string, text: string): number {
    const node = this.find(path);
    if (typeof node === 'number') return node;
    if (node.type !== 'file') return -EISDIR;
    node.content += text;
    return 0;
  }

  unlink(path: string): number {
    const at = this.place(path, false);
    if (typeof at === 'number') return at;
    if (!at.node) return -ENOENT;
    if (at.node.type === 'dir') return -EISDIR;
    at.dir.entries.delete(at.name);
    return 0;
  }

  rmdir(path: string): number {
    const at = this.place(path, false);
    if (typeof at === 'number') return at;
    if (!at.node) return -ENOENT;
    if (at.node.type !== 'dir') return -ENOTDIR;
    if (at.node.entries.size > 0) return -ENOTEMPTY;
    at.dir.entries.delete(at.name);
    return 0;
  }

  rename(from: string, to: string, flags: number): number {
    const old = this.place(from, false);
    if (typeof old === 'number') return old;
    const at = this.place(to, false);
    if (typeof at === 'number') return at;
    const { node } = old;
    if (!node) return -ENOENT;
    const isExchange = flags === RENAME_EXCHANGE;
    if (flags === RENAME_NOREPLACE && at.node) return -EEXIST;
    if (isExchange && !at.node) return -ENOENT;
    if (isWithin(at.dir, node)) return -EINVAL;
    if (at.node && isWithin(old.dir, at.node)) return isExchange ? -EINVAL : -ENOTEMPTY;
    if (at.node === node) return 0;
    const misfit = at.node && !isExchange ? cannotReplace(node, at.node) : 0;
    if (misfit < 0) return misfit;
    old.dir.entries.delete(old.name);
    if (at.node && isExchange) put(old.dir, old.name, at.node);
    put(at.dir, at.name, node);
    return 0;
  }
}

function put(dir: DirNode, name: string, node: Node): void {
  dir.entries.set(name, node);
  if (node.type === 'dir') node.parent = dir;
}

function cannotReplace(node: Node, victim: Node): number {
  if (node.type === 'dir' && victim.type !== 'dir') return -ENOTDIR;
  if (node.type !== 'dir' && victim.type === 'dir') return -EISDIR;
  return victim.type === 'dir' && victim.entries.size > 0 ? -ENOTEMPTY : 0;
}
