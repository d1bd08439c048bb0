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
/** Bit n: file type n (mode >> 12) exists: fifo 1, char 2, dir 4, block 6, file 8, link 10, socket 12. */
const FILE_TYPES = 0b1_0101_0101_0110;

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
  /** st_nlink. */
  readonly nlink: Uint32Array;
  /** Directories: entry number of the first child (when childCount > 0), else 0. */
  readonly firstChild: Uint32Array;
  /** Number of children. */
  readonly childCount: Uint32Array;
}

/** What the rest of ImageIndex follows from. */
export type ImageColumns = Omit<ImageIndex, 'version' | 'count' | 'nlink' | 'firstChild' | 'childCount'>;

/** A file that is not an intact image index of this version; the message says what is wrong with it. */
export class ImageIndexError extends Error {
  override name = 'ImageIndexError';
}

const MAGIC = 'offshidx';
const HEADER_BYTES = 72;

/** The numeric columns in the order of the file; those of 8 bytes first, so that all are aligned. */
const F64_COLUMNS = ['sizeBytes', 'offset', 'mtimeSec'] as const;
const U32_COLUMNS = ['mtimeNsec', 'parent', 'mode', 'uid', 'gid', 'inode', 'rdev', 'nlink', 'firstChild', 'childCount'] as const;

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

/** Sizes of the parts of an index file, as its header holds them. */
interface Counts {
  entries: number;
  /** Symbolic links. */
  targets: number;
  nameBytes: number;
  targetBytes: number;
}

/** Byte positions of the parts. Strings are described by where they end; only entries with a target have one. */
function layOut(counts: Counts) {
  const f64 = HEADER_BYTES;
  const u32 = f64 + F64_COLUMNS.length * 8 * counts.entries;
  const nameEnds = u32 + U32_COLUMNS.length * 4 * counts.entries;
  const targetEntries = nameEnds + 4 * counts.entries;
  const targetEnds = targetEntries + 4 * counts.targets;
  const names = targetEnds + 4 * counts.targets;
  const targets = names + counts.nameBytes;
  return { f64, u32, nameEnds, targetEntries, targetEnds, names, targets, sizeBytes: targets + counts.targetBytes };
}

/** Serializes an index; equal ones give equal bytes. Numbers are little-endian. */
export function encodeImageIndex(index: ImageIndex): Uint8Array {
  const encoder = new TextEncoder();
  const names = encoder.encode(index.name.join(''));
  const targets = encoder.encode(index.target.join(''));
  const links = index.target.flatMap((target, i) => (target === '' ? [] : [i]));
  const { count } = index;
  const at = layOut({ entries: count, targets: links.length, nameBytes: names.length, targetBytes: targets.length });
  const bytes = new Uint8Array(at.sizeBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode(MAGIC));
  [1, count, names.length, targets.length].forEach((value, i) => view.setUint32(8 + 4 * i, value, true));
  view.setFloat64(24, index.blobSizeBytes, true);
  for (let i = 0; i < 32; i++) bytes[32 + i] = parseInt(index.blobSha256.slice(2 * i, 2 * i + 2), 16);
  view.setUint32(64, links.length, true);
  F64_COLUMNS.forEach((column, i) => new Float64Array(bytes.buffer, at.f64 + 8 * i * count, count).set(index[column]));
  U32_COLUMNS.forEach((column, i) => new Uint32Array(bytes.buffer, at.u32 + 4 * i * count, count).set(index[column]));
  putEnds(new Uint32Array(bytes.buffer, at.nameEnds, count), index.name);
  new Uint32Array(bytes.buffer, at.targetEntries, links.length).set(links);
  putEnds(new Uint32Array(bytes.buffer, at.targetEnds, links.length), links.map((i) => index.target[i]));
  bytes.set(names, at.names);
  bytes.set(targets, at.targets);
  return bytes;
}

function putEnds(ends: Uint32Array, strings: readonly string[]): void {
  let length = 0;
  strings.forEach((text, i) => void (ends[i] = length += text.length));
}

/**
 * Reads an index and checks everything in it. The columns may be views of `bytes`, which must not change afterwards.
 * @param trusted the bytes are known to be what encodeImageIndex made (their checksum was compared): only the form is
 *   checked, which is several times faster, as this code runs cold
 * @throws ImageIndexError
 */
export function parseImageIndex(bytes: Uint8Array, trusted = false): ImageIndex {
  if (bytes.length < HEADER_BYTES) damaged('too short for its header');
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const view = new DataView(aligned.buffer, aligned.byteOffset, aligned.length);
  if (!startsWithMagic(aligned)) damaged('not an image index');
  const [version, count, nameBytes, targetBytes] = [8, 12, 16, 20].map((field) => view.getUint32(field, true));
  if (version !== 1) damaged(`version ${version}, expected 1`);
  if (count === 0 || count > IMAGE_ENTRIES_MAX) damaged(`${count} entries`);
  const links = view.getUint32(64, true);
  const at = layOut({ entries: count, targets: links, nameBytes, targetBytes });
  if (at.sizeBytes !== aligned.length) damaged(`${aligned.length} bytes long, expected ${at.sizeBytes}`);
  const u32 = (start: number, length = count) => new Uint32Array(aligned.buffer, aligned.byteOffset + start, length);
  const f64 = (start: number) => new Float64Array(aligned.buffer, aligned.byteOffset + start, count);
  const name = strings(aligned.subarray(at.names, at.targets), u32(at.nameEnds), 'names');
  const target = new Array<string>(count).fill('');
  const targets = strings(aligned.subarray(at.targets), u32(at.targetEnds, links), 'targets');
  u32(at.targetEntries, links).forEach((entry, i) => {
    if (entry >= count) damaged('targets');
    target[entry] = targets[i];
  });
  const index: ImageIndex = {
    version: 1, count, name, target,
    blobSha256: hex(aligned.subarray(32, 64)), blobSizeBytes: view.getFloat64(24, true),
    ...columnViews(F64_COLUMNS, (i) => f64(at.f64 + 8 * i * count)),
    ...columnViews(U32_COLUMNS, (i) => u32(at.u32 + 4 * i * count)),
  };
  if (!trusted) checkDerived(index, completeImageIndex(index));
  return index;
}

function columnViews<K extends string, V>(names: readonly K[], make: (i: number) => V): Record<K, V> {
  return Object.fromEntries(names.map((name, i) => [name, make(i)])) as Record<K, V>;
}

function checkDerived(found: ImageIndex, derived: ImageIndex): void {
  for (const column of ['nlink', 'firstChild', 'childCount'] as const) {
    const wrong = found[column].findIndex((value, i) => value !== derived[column][i]);
    if (wrong >= 0) damaged(`${column} of entry ${wrong}`);
  }
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
  checkEntries(columns, count);
  return { ...columns, version: 1, count, ...derive(columns, count) };
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

/** One loop over locals: it runs cold each time an image is loaded. */
function checkEntries(columns: ImageColumns, count: number): void {
  const { mode, sizeBytes, offset, target, mtimeSec, mtimeNsec, blobSizeBytes } = columns;
  for (let i = 0; i < count; i++) {
    const type = mode[i] & S_IFMT;
    const size = sizeBytes[i];
    const start = offset[i];
    const targetLength = target[i].length;
    if (mode[i] > 0o177777 || (FILE_TYPES >> (type >> 12) & 1) === 0) damaged(`mode of entry ${i}`);
    if (!Number.isSafeInteger(size) || size < 0) damaged(`size of entry ${i}`);
    if (type === S_IFREG) {
      if (!(start >= 0 && start % IMAGE_PAGE_BYTES === 0 && start + size <= blobSizeBytes)) damaged(`content of entry ${i}`);
    } else if (start !== 0 || size !== targetLength) damaged(`size of entry ${i}`);
    if ((type === S_IFLNK) !== (targetLength > 0)) damaged(`target of entry ${i}`);
    if (targetLength > 0 && (targetLength > TARGET_MAX || target[i].includes('\0'))) damaged(`target of entry ${i}`);
    if (!Number.isSafeInteger(mtimeSec[i]) || mtimeNsec[i] > 999_999_999) damaged(`time of entry ${i}`);
  }
}

/** Entry i shares its inode number with the earlier entry `first`: they must be one file. */
function checkHardLink(columns: ImageColumns, first: number, i: number): void {
  const same = (['mode', 'uid', 'gid', 'sizeBytes', 'offset', 'mtimeSec', 'mtimeNsec', 'rdev'] as const)
    .every((column) => columns[column][first] === columns[column][i]);
  if (!same || columns.target[first] !== columns.target[i] || (columns.mode[i] & S_IFMT) === S_IFDIR) damaged(`hard link ${i}`);
}

function startsWithMagic(bytes: Uint8Array): boolean {
  for (let i = 0; i < MAGIC.length; i++) if (bytes[i] !== MAGIC.charCodeAt(i)) return false;
  return true;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isName(name: string): boolean {
  if (name === '' || name.length > NAME_MAX || name === '.' || name === '..') return false;
  return !name.includes('/') && !name.includes('\0');
}

/**
 * Cuts a section into strings. It holds one character for each byte of the names, written as UTF-8, and `ends` counts
 * characters: decoding and slicing it at once is several times faster than making strings of bytes one by one.
 */
function strings(section: Uint8Array, ends: Uint32Array, what: string): string[] {
  const text = decode(section, what);
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

function decode(section: Uint8Array, what: string): string {
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(section);
  } catch {
    damaged(what);
  }
  if (/[^\0-\xff]/.test(text)) damaged(what);
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
