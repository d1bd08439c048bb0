// A file tree in memory, on its way into an image: packages, a directory and additions are put into it one after the
// other with the rules dpkg gets from the kernel when it unpacks below a root: a symbolic link to a directory in the
// way is followed (always inside the tree), a directory over such a link leaves the link.
//
// Interface: FileTree, TreeNode, splitPath. Paths are byte strings (one character per byte). Contents are not here:
// a regular file's node says where in the blob its content is. A hard link is the same node in two places.

import { ImageError } from './errors.ts';

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** `mtimeSec` of what was made during the build and has no time of its own. */
export const UNKNOWN_TIME = NaN;

/** What a node is, apart from its name. `mode` includes the file type. */
export interface Attributes {
  mode: number;
  uid: number;
  gid: number;
  mtimeSec: number;
  mtimeNsec: number;
}

/** A directory, file, symbolic link or special file. */
export interface TreeNode extends Attributes {
  /** Directories only. */
  children: Map<string, TreeNode> | null;
  /** Regular files: where the content is in the blob. */
  offset: number;
  sizeBytes: number;
  /** Symbolic links. */
  target: string;
  /** Devices. */
  rdev: number;
}

/** As the kernel's limit on symbolic links followed in one path, path_resolution(7). */
const LINKS_MAX = 40;
const PATH_BYTES_MAX = 4096;

/** A new node without content. */
export function makeNode(attributes: Attributes, more: Partial<TreeNode> = {}): TreeNode {
  const { mode, uid, gid, mtimeSec, mtimeNsec } = attributes;
  const children = (mode & S_IFMT) === S_IFDIR ? new Map<string, TreeNode>() : null;
  return { mode, uid, gid, mtimeSec, mtimeNsec, children, offset: 0, sizeBytes: 0, target: '', rdev: 0, ...more };
}

/**
 * The names in a path of an archive or a caller: leading `/` and `./` do not matter, `..` is refused.
 * @throws ImageError
 */
export function splitPath(path: string): string[] {
  if (path.length > PATH_BYTES_MAX) throw new ImageError(`refused a path of ${path.length} bytes in the source of an image`);
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  for (const name of names) {
    if (name === '..' || name.length > 255 || /[\0]/.test(name)) {
      throw new ImageError(`refused the path ${JSON.stringify(path.slice(0, 300))} in the source of an image`);
    }
  }
  return names;
}

/** A file tree that follows its own symbolic links. */
export class FileTree {
  readonly root: TreeNode = makeNode({ mode: S_IFDIR | 0o755, uid: 0, gid: 0, mtimeSec: UNKNOWN_TIME, mtimeNsec: 0 });

  /** The node at `path`, following symbolic links (`followLast` also the last one), or null. */
  get(path: string, followLast = true): TreeNode | null {
    return this.#walk(splitPath(path), followLast, false)?.node ?? null;
  }

  /** The absolute path that `path` leads to when all symbolic links are followed, or null when nothing is there. */
  realPath(path: string): string | null {
    const found = this.#walk(splitPath(path), true, false);
    return found?.node ? `/${found.names.join('/')}` : null;
  }

  /**
   * Puts `node` at `path`, replacing what is there. Missing directories above are made (0755, root).
   * A directory onto a directory (or a symbolic link to one) keeps its children and takes the new attributes.
   * @throws ImageError when a file and a directory with children clash
   */
  put(path: string, node: TreeNode): void {
    const names = splitPath(path);
    const last = names.pop();
    if (last === undefined) {
      if (!node.children) throw new ImageError('the source of an image has a root that is not a directory');
      takeAttributes(this.root, node);
      return;
    }
    const parent = this.#walk(names, true, true)?.node;
    if (!parent?.children) throw new ImageError(`${path} is inside something that is not a directory`);
    const old = parent.children.get(last);
    if (node.children && old) {
      const dir = old.children ? old : this.#walk([...names, last], true, false)?.node;
      if (dir?.children) {
        if (dir === old) takeAttributes(dir, node);
        return;
      }
    }
    if (old?.children && old.children.size > 0) throw new ImageError(`${path} is both a file and a directory with files`);
    parent.children.set(last, node);
  }

  /** As `put`, but whatever is there and is not a directory like `node` gives way with all below it: layers of container images. */
  replace(path: string, node: TreeNode): void {
    const old = this.get(path, false);
    if (old && old !== this.root && !(old.children && node.children)) this.remove(path);
    this.put(path, node);
  }

  /** Removes everything in the directory at `path`, if there is one. */
  clear(path: string): void {
    this.get(path)?.children?.clear();
  }

  /** Puts the file at `existing` at `path` too (a hard link). */
  link(path: string, existing: string): void {
    const node = this.get(existing, false);
    if (!node || node.children) throw new ImageError(`${path} is a hard link to ${existing}, which is not a file`);
    this.put(path, node);
  }

  /** Removes a node and all below it. Nothing happens when it is not there. */
  remove(path: string): void {
    const names = splitPath(path);
    const last = names.pop();
    if (last !== undefined) this.#walk(names, true, false)?.node?.children?.delete(last);
  }

  /** Follows `names` from the root; `make` creates missing directories. Null when something is missing or loops. */
  #walk(names: string[], followLast: boolean, make: boolean): { node: TreeNode | null; names: string[] } | null {
    const left = [...names].reverse();
    const path: { name: string; node: TreeNode }[] = [];
    let links = 0;
    const here = () => path.at(-1)?.node ?? this.root;
    while (left.length > 0) {
      const name = left.pop() as string;
      if (name === '' || name === '.') continue;
      if (name === '..') {
        path.pop();
        continue;
      }
      const { children } = here();
      if (!children) return null;
      let node = children.get(name);
      if (!node) {
        if (!make) return null;
        node = makeNode({ mode: S_IFDIR | 0o755, uid: 0, gid: 0, mtimeSec: UNKNOWN_TIME, mtimeNsec: 0 });
        children.set(name, node);
      }
      if (node.target === '' || (left.length === 0 && !followLast)) {
        path.push({ name, node });
        continue;
      }
      if (++links > LINKS_MAX) return null;
      if (node.target.startsWith('/')) path.length = 0;
      left.push(...node.target.split('/').reverse());
    }
    return { node: here(), names: path.map((step) => step.name) };
  }
}

function takeAttributes(to: TreeNode, from: Attributes): void {
  to.mode = from.mode;
  to.uid = from.uid;
  to.gid = from.gid;
  to.mtimeSec = from.mtimeSec;
  to.mtimeNsec = from.mtimeNsec;
}
