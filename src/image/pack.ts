// Packs a file tree into an image: blob and index are written aside and get their final name, the image's id, at the end.
//
// Interface: ImageBuilder.

import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { completeImageIndex, encodeImageIndex } from '../kernel/fs/imageindex.ts';
import type { ImageColumns } from '../kernel/fs/imageindex.ts';
import { BlobWriter } from './blob.ts';
import { FileTree, makeNode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, UNKNOWN_TIME } from './tree.ts';
import type { Attributes, TreeNode } from './tree.ts';

const TMP_PREFIX = '.tmp-';

/** Owner root, time set by `finish`. */
const ROOT = { uid: 0, gid: 0, mtimeSec: UNKNOWN_TIME, mtimeNsec: 0 };

/** An image being built: a tree and the blob its contents are in. End it with `finish` or `abandon`. */
export class ImageBuilder {
  readonly tree = new FileTree();
  readonly blob: BlobWriter;
  readonly #imagesDir: string;
  readonly #dir: string;

  /** Starts an image in `imagesDir`; what killed builds left there is removed, so call it with the lock held. */
  constructor(imagesDir: string) {
    this.#imagesDir = imagesDir;
    for (const name of fs.readdirSync(imagesDir)) {
      if (name.startsWith(TMP_PREFIX)) fs.rmSync(path.join(imagesDir, name), { recursive: true, force: true });
    }
    this.#dir = path.join(imagesDir, `${TMP_PREFIX}${process.pid}-${randomBytes(4).toString('hex')}`);
    fs.mkdirSync(this.#dir, { mode: 0o755 });
    this.blob = new BlobWriter(path.join(this.#dir, 'blob'));
  }

  /** Puts a regular file. `mode` without the type. */
  file(at: string, content: Buffer | string, mode = 0o644, attributes: Partial<Attributes> = {}): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const node = makeNode({ ...ROOT, ...attributes, mode: S_IFREG | mode });
    node.offset = this.blob.add(bytes);
    node.sizeBytes = bytes.length;
    this.tree.put(at, node);
  }

  symlink(at: string, target: string, attributes: Partial<Attributes> = {}): void {
    this.tree.put(at, makeNode({ ...ROOT, ...attributes, mode: S_IFLNK | 0o777 }, { target, sizeBytes: target.length }));
  }

  dir(at: string, mode = 0o755, attributes: Partial<Attributes> = {}): void {
    this.tree.put(at, makeNode({ ...ROOT, ...attributes, mode: S_IFDIR | mode }));
  }

  /** Where a file may be put that is needed during the build only; it is removed with what the build leaves. */
  scratchPath(): string {
    return path.join(this.#dir, 'scratch');
  }

  /** Content of the regular file at `at` (symbolic links followed), or null. */
  read(at: string): Buffer | null {
    const node = this.tree.get(at);
    return node && (node.mode & S_IFMT) === S_IFREG ? this.blob.read(node.offset, node.sizeBytes) : null;
  }

  /**
   * Writes the image and returns its id. Nodes of unknown time get the newest one in the tree: the result depends on
   * the sources only. When an image with this id is there already and `isIntact`, that one stays.
   */
  finish(isIntact: (id: string) => boolean): string {
    settleTimes(this.tree.root);
    fs.rmSync(this.scratchPath(), { force: true });
    const blobSizeBytes = this.blob.sizeBytes;
    const columns = layOut(this.tree.root, this.blob.finish(), blobSizeBytes);
    const bytes = encodeImageIndex(completeImageIndex(columns));
    const id = createHash('sha256').update(bytes).digest('hex');
    const index = fs.openSync(path.join(this.#dir, 'index'), 'wx', 0o644);
    fs.writeFileSync(index, bytes);
    fs.fsyncSync(index);
    fs.closeSync(index);
    const final = path.join(this.#imagesDir, id);
    if (fs.existsSync(final) && isIntact(id)) {
      fs.rmSync(this.#dir, { recursive: true, force: true });
      return id;
    }
    if (fs.existsSync(final)) discardImage(this.#imagesDir, id);
    fs.renameSync(this.#dir, final);
    return id;
  }

  /** Gives up: removes what was written. */
  abandon(): void {
    this.blob.abandon();
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Takes a damaged image out of the way. Its files are unlinked, not truncated: others may have them mapped. */
function discardImage(imagesDir: string, id: string): void {
  const aside = path.join(imagesDir, `${TMP_PREFIX}${id.slice(0, 16)}-${randomBytes(4).toString('hex')}`);
  fs.renameSync(path.join(imagesDir, id), aside);
  fs.rmSync(aside, { recursive: true, force: true });
}

/** Without recursion: links let an archive nest directories deeper than any path is long. */
function forEachNode(root: TreeNode, visit: (node: TreeNode) => void): void {
  const left = [root];
  for (let node = left.pop(); node; node = left.pop()) {
    visit(node);
    for (const child of node.children?.values() ?? []) left.push(child);
  }
}

function settleTimes(root: TreeNode): void {
  let newest = 0;
  forEachNode(root, ({ mtimeSec }) => {
    if (mtimeSec > newest) newest = mtimeSec;
  });
  forEachNode(root, (node) => {
    if (Number.isNaN(node.mtimeSec)) node.mtimeSec = newest;
  });
}

/** Breadth-first, children sorted by name: the order ImageIndex demands. */
function layOut(root: TreeNode, blobSha256: string, blobSizeBytes: number): ImageColumns {
  const entries = [{ name: '', node: root, parent: 0 }];
  for (let i = 0; i < entries.length; i++) {
    const { children } = entries[i].node;
    if (!children) continue;
    const sorted = [...children].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, node] of sorted) entries.push({ name, node, parent: i });
  }
  const inodes = new Map<TreeNode, number>();
  entries.forEach(({ node }, i) => inodes.has(node) || inodes.set(node, i + 1));
  const column = (value: (node: TreeNode) => number) => entries.map(({ node }) => value(node));
  const hasTarget = (node: TreeNode) => (node.mode & S_IFMT) === S_IFLNK;
  return {
    blobSha256, blobSizeBytes,
    name: entries.map((entry) => entry.name),
    target: entries.map(({ node }) => (hasTarget(node) ? node.target : '')),
    parent: Uint32Array.from(entries, (entry) => entry.parent),
    mode: Uint32Array.from(column((node) => node.mode)),
    uid: Uint32Array.from(column((node) => node.uid)),
    gid: Uint32Array.from(column((node) => node.gid)),
    sizeBytes: Float64Array.from(column((node) => node.sizeBytes)),
    offset: Float64Array.from(column((node) => node.offset)),
    mtimeSec: Float64Array.from(column((node) => node.mtimeSec)),
    mtimeNsec: Uint32Array.from(column((node) => node.mtimeNsec)),
    inode: Uint32Array.from(entries, ({ node }) => inodes.get(node) as number),
    rdev: Uint32Array.from(column((node) => node.rdev)),
  };
}
