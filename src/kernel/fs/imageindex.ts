// The index of a packed root file system: what the image's file system serves at run time and what image/ builds.
//
// Interface: ImageIndex (columns, one element per directory entry), parseImageIndex, encodeImageIndex, imageLookup.
// An image is two files: `blob` holds the contents of all regular files, each starting on a page boundary and padded
// with zeros to the next one (so that a page can be copied to a guest frame as it is); `index` is this. The format is
// documented in docs/images.md. Mode bits, inode numbers and link counts are those of inode(7); rdev is makedev(3)'s
// number truncated to 32 bits, which holds every device an image has.
// Parsing checks everything a damaged or hostile file could break later: nothing else in the kernel checks again.

/** Contents start at multiples of this in the blob. */
export const IMAGE_PAGE_BYTES = 4096;
/** Most directory entries an image may have. */
export const IMAGE_ENTRIES_MAX = 4_000_000;

const NAME_MAX = 255;
const TARGET_MAX = 4095;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const FILE_TYPES: ReadonlySet<number> = new Set([S_IFDIR, S_IFREG, S_IFLNK, 0o010000, 0o020000, 0o060000, 0o140000]);

/**
 * A whole file tree in columns. Entry 0 is the root directory (its own parent, with an empty name). Entries are in
 * breadth-first order and the children of a directory are contiguous, sorted by name.
 * Names and targets are byte strings: one character per byte (0–255), as Linux names are bytes, not text.
 */
export interface ImageIndex {
  readonly version: 1;
  /** Lower-case hex sha256 of the whole blob. */
  readonly blobSha256: string;
  readonly blobSizeBytes: number;
  /** Number of entries: the length of every column. */
  readonly count: number;
  /** Entry number of the directory this entry is in; always less than the entry's own number, apart from entry 0. */
  readonly parent: Uint32Array;
  readonly name: readonly string[];
  /** File type and permissions, st_mode. */
  readonly mode: Uint32Array;
  readonly uid: Uint32Array;
  readonly gid: Uint32Array;
  /** Regular files: content length. Symbolic links: length of the target. Else 0. */
  readonly sizeBytes: Float64Array;
  /** Regular files: where the content starts in the blob, page-aligned; equal contents share it. Else 0. */
  readonly offset: Float64Array;
  readonly mtimeSec: Float64Array;
  readonly mtimeNsec: Uint32Array;
  /** st_ino: 1 for the root; entries that are hard links of one file share it. */
  readonly inode: Uint32Array;
  /** Devices only, else 0. */
  readonly rdev: Uint32Array;
  /** Target of a symbolic link, else ''. */
  readonly target: readonly string[];
  /** st_nlink. Derived, not in the file. */
  readonly nlink: Uint32Array;
  /** Directories: entry number of the first child (when childCount > 0). Derived, not in the file. */
  readonly firstChild: Uint32Array;
  /** Number of children. Derived, not in the file. */
  readonly childCount: Uint32Array;
}

/** What the file holds; the rest of ImageIndex follows from it. */
export type ImageColumns = Omit<ImageIndex, 'version' | 'count' | 'nlink' | 'firstChild' | 'childCount'>;

/** A file that is not an intact image index of this version; the message says what is wrong with it. */
export class ImageIndexError extends Error {
  override name = 'ImageIndexError';
}

const MAGIC = 'offshidx';
const HEADER_BYTES = 64;

/** Entry number of `name` in directory `dir`, or -1. `dir` must be an entry number; a non-directory has no children. */
export function imageLookup(index: ImageIndex, dir: number, name: string): number {
  let low = index.firstChild[dir];
  let high = low + index.childCount[dir] - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const at = index.name[middle];
    if (at === name) return middle;
    if (at < name) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Absolute path of an entry, for messages and tools. */
export function imagePath(index: ImageIndex, entry: number): string {
  let path = '';
  for (let at = entry; at !== 0; at = index.parent[at]) path = `/${index.name[at]}${path}`;
  return path === '' ? '/' : path;
}

/** Byte positions of the columns for `count` entries: 8-byte columns first, so that all are aligned. */
function layout(count: number, nameBytes: number, targetBytes: number) {
  let at = HEADER_BYTES;
  const place = (elementBytes: number): number => {
    const start = at;
    at += count * elementBytes;
    return start;
  };
  return {
    sizeBytes: place(8), offset: place(8), mtimeSec: place(8),
    mtimeNsec: place(4), parent: place(4), mode: place(4), uid: place(4), gid: place(4), inode: place(4), rdev: place(4),
    nameEnd: place(4), targetEnd: place(4),
    names: at, targets: at + nameBytes, totalBytes: at + nameBytes + targetBytes,
  };
}

/**
 * Serializes the columns; equal columns give equal bytes. Numbers are little-endian. The input is trusted to be valid:
 * parse the result to check it.
 */
export function encodeImageIndex(index: ImageColumns): Uint8Array {
  const count = index.parent.length;
  const nameBytes = index.name.reduce((sum, name) => sum + name.length, 0);
  const targetBytes = index.target.reduce((sum, target) => sum + target.length, 0);
  const at = layout(count, nameBytes, targetBytes);
  const bytes = new Uint8Array(at.totalBytes);
  const view = new DataView(bytes.buffer);
  putBytes(bytes, 0, MAGIC);
  view.setUint32(8, 1, true);
  view.setUint32(12, count, true);
  view.setUint32(16, nameBytes, true);
  view.setUint32(20, targetBytes, true);
  view.setFloat64(24, index.blobSizeBytes, true);
  for (let i = 0; i < 32; i++) bytes[32 + i] = parseInt(index.blobSha256.slice(2 * i, 2 * i + 2), 16);
  new Float64Array(bytes.buffer, at.sizeBytes, count).set(index.sizeBytes);
  new Float64Array(bytes.buffer, at.offset, count).set(index.offset);
  new Float64Array(bytes.buffer, at.mtimeSec, count).set(index.mtimeSec);
  for (const column of ['mtimeNsec', 'parent', 'mode', 'uid', 'gid', 'inode', 'rdev'] as const) {
    new Uint32Array(bytes.buffer, at[column], count).set(index[column]);
  }
  putStrings(bytes, at.nameEnd, at.names, index.name);
  putStrings(bytes, at.targetEnd, at.targets, index.target);
  return bytes;
}

function putBytes(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

function putStrings(bytes: Uint8Array, endsAt: number, at: number, strings: readonly string[]): void {
  const ends = new Uint32Array(bytes.buffer, endsAt, strings.length);
  let length = 0;
  strings.forEach((text, i) => {
    putBytes(bytes, at + length, text);
    ends[i] = length += text.length;
  });
}

/**
 * Reads and checks an index. The columns may be views of `bytes`, which must not change afterwards.
 * @throws ImageIndexError
 */
export function parseImageIndex(bytes: Uint8Array): ImageIndex {
  if (bytes.length < HEADER_BYTES) damaged('too short for its header');
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const view = new DataView(aligned.buffer, aligned.byteOffset, aligned.length);
  if (latin1(aligned, 0, 8) !== MAGIC) damaged('not an image index');
  const version = view.getUint32(8, true);
  if (version !== 1) damaged(`version ${version}, expected 1`);
  const count = view.getUint32(12, true);
  if (count === 0 || count > IMAGE_ENTRIES_MAX) damaged(`${count} entries`);
  const at = layout(count, view.getUint32(16, true), view.getUint32(20, true));
  if (at.totalBytes !== aligned.length) damaged(`${aligned.length} bytes long, expected ${at.totalBytes}`);
  const start = aligned.byteOffset;
  const u32 = (column: number) => new Uint32Array(aligned.buffer, start + column, count);
  const f64 = (column: number) => new Float64Array(aligned.buffer, start + column, count);
  const columns: ImageColumns = {
    blobSha256: hex(aligned.subarray(32, 64)),
    blobSizeBytes: view.getFloat64(24, true),
    parent: u32(at.parent), mode: u32(at.mode), uid: u32(at.uid), gid: u32(at.gid),
    sizeBytes: f64(at.sizeBytes), offset: f64(at.offset), mtimeSec: f64(at.mtimeSec), mtimeNsec: u32(at.mtimeNsec),
    inode: u32(at.inode), rdev: u32(at.rdev),
    name: strings(aligned, u32(at.nameEnd), at.names, at.targets, 'names'),
    target: strings(aligned, u32(at.targetEnd), at.targets, at.totalBytes, 'targets'),
  };
  return completeImageIndex(columns);
}

/**
 * Checks columns and derives link counts and child ranges.
 * @throws ImageIndexError
 */
export function completeImageIndex(columns: ImageColumns): ImageIndex {
  if (!/^[0-9a-f]{64}$/.test(columns.blobSha256)) damaged('no sha256 of the blob');
  if (!isSize(columns.blobSizeBytes) || columns.blobSizeBytes % IMAGE_PAGE_BYTES !== 0) damaged('blob size');
  const count = columns.parent.length;
  checkTree(columns, count);
  for (let i = 0; i < count; i++) checkEntry(columns, i);
  return { version: 1, count, ...columns, ...derive(columns, count) };
}

function derive(columns: ImageColumns, count: number) {
  const { parent, mode, inode } = columns;
  const firstChild = new Uint32Array(count);
  const childCount = new Uint32Array(count);
  const nlink = new Uint32Array(count);
  const links = new Uint32Array(count + 1);
  const firstLink = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) {
    if (inode[i] === 0 || inode[i] > count) damaged(`inode number of entry ${i}`);
    if (links[inode[i]]++ === 0) firstLink[inode[i]] = i;
    else checkHardLink(columns, firstLink[inode[i]], i);
    if (i > 0 && childCount[parent[i]]++ === 0) firstChild[parent[i]] = i;
    if ((mode[i] & S_IFMT) !== S_IFDIR) continue;
    nlink[i] += 2;
    if (i > 0) nlink[parent[i]]++;
  }
  for (let i = 0; i < count; i++) if ((mode[i] & S_IFMT) !== S_IFDIR) nlink[i] = links[inode[i]];
  return { firstChild, childCount, nlink };
}

/** Breadth-first order makes `parent` ascend, which makes children contiguous and excludes cycles. */
function checkTree(columns: ImageColumns, count: number): void {
  const { parent, mode, name, inode } = columns;
  if (parent[0] !== 0 || (mode[0] & S_IFMT) !== S_IFDIR || name[0] !== '' || inode[0] !== 1) damaged('entry 0 is not a root directory');
  for (let i = 1; i < count; i++) {
    const up = parent[i];
    if (up >= i || (i > 1 && up < parent[i - 1])) damaged(`parent of entry ${i}`);
    if ((mode[up] & S_IFMT) !== S_IFDIR) damaged(`the parent of entry ${i} is not a directory`);
    if (!isName(name[i])) damaged(`name of entry ${i}`);
    if (i > 1 && up === parent[i - 1] && !(name[i - 1] < name[i])) damaged(`order of entry ${i}`);
  }
}

function checkEntry(columns: ImageColumns, i: number): void {
  const mode = columns.mode[i];
  const type = mode & S_IFMT;
  const size = columns.sizeBytes[i];
  const offset = columns.offset[i];
  const target = columns.target[i];
  if (mode > 0o177777 || !FILE_TYPES.has(type)) damaged(`mode of entry ${i}`);
  if (!isSize(size) || !isSize(offset)) damaged(`size of entry ${i}`);
  if (type === S_IFREG) {
    if (offset % IMAGE_PAGE_BYTES !== 0 || offset + size > columns.blobSizeBytes) damaged(`content of entry ${i}`);
  } else if (offset !== 0 || size !== target.length) damaged(`size of entry ${i}`);
  if (type === S_IFLNK ? target === '' || target.length > TARGET_MAX || target.includes('\0') : target !== '') damaged(`target of entry ${i}`);
  if (!Number.isSafeInteger(columns.mtimeSec[i]) || columns.mtimeNsec[i] > 999_999_999) damaged(`time of entry ${i}`);
}

/** Entry i shares its inode number with the earlier entry `first`: they must be one file. */
function checkHardLink(columns: ImageColumns, first: number, i: number): void {
  const same = (['mode', 'uid', 'gid', 'sizeBytes', 'offset', 'mtimeSec', 'mtimeNsec', 'rdev'] as const)
    .every((column) => columns[column][first] === columns[column][i]);
  if (!same || columns.target[first] !== columns.target[i] || (columns.mode[i] & S_IFMT) === S_IFDIR) damaged(`hard link ${i}`);
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isName(name: string): boolean {
  if (name === '' || name.length > NAME_MAX || name === '.' || name === '..') return false;
  return !name.includes('/') && !name.includes('\0');
}

function strings(bytes: Uint8Array, ends: Uint32Array, start: number, end: number, what: string): string[] {
  const text = latin1(bytes, start, end);
  const list = new Array<string>(ends.length);
  let from = 0;
  for (let i = 0; i < ends.length; i++) {
    const to = ends[i];
    if (to < from || to > text.length) damaged(`${what} of entry ${i}`);
    list[i] = to === from ? '' : text.slice(from, to);
    from = to;
  }
  if (from !== text.length) damaged(`${what} longer than declared`);
  return list;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 8192)));
  }
  return text;
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

function damaged(what: string): never {
  throw new ImageIndexError(`damaged image index: ${what}`);
}
