// Files of the host that a run may see, on the caller's side: directories are listed when the run is prepared, contents are read
// when the sandbox first opens them. A worker names files by their number in the listing: it sees these files and no others.

import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { GIVEN_BYTES_MAX } from '../kernel/fs/given.ts';
import { OffshootError } from './errors.ts';
import { guestPath } from './glob.ts';
import { PIECE_BYTES_MAX, type GivenListing } from './protocol.ts';

/** A file or directory of the host. */
export interface HostFile {
  readonly from: string;
  /** True: EROFS for who writes there. Default false: changes stay in the sandbox. */
  readonly readOnly?: boolean;
}

/** What a run finds at a path of its sandbox: text, bytes, or something of the host. */
export type GivenFile = string | Uint8Array | HostFile;

/** Most files and directories one run may be given. */
export const GIVEN_ENTRIES_MAX = 50_000;
const GIVEN_MOUNTS_MAX = 64;

/** Where contents come from: the host's file as it was listed, or memory. */
type Source = { readonly path: Buffer; readonly stats: Stats } | { readonly bytes: Uint8Array } | null;

interface Tree {
  readonly listing: GivenListing;
  readonly sources: readonly Source[];
}

/** Takes a piece of a file; resolves when there is room for the next. */
export type Piece = (bytes: Uint8Array) => Promise<void>;

export class HostFiles {
  private readonly trees: Tree[] = [];
  private entries = 0;

  /** Lists everything; `files` is by path in the sandbox, relative ones from `cwd`. Throws OffshootError. */
  static async list(files: Readonly<Record<string, GivenFile>>, cwd: string): Promise<HostFiles> {
    const all = new HostFiles();
    const given = Object.entries(files);
    if (given.length > GIVEN_MOUNTS_MAX) throw new OffshootError('bad-argument', `A run takes ${GIVEN_MOUNTS_MAX} files and directories of its own at most.`);
    for (const [path, file] of given) await all.add(guestPath(path, cwd), file);
    return all;
  }

  get listings(): readonly GivenListing[] {
    return this.trees.map(({ listing }) => listing);
  }

  /** Whether there is such a file. */
  has(tree: number, entry: number): boolean {
    return (this.trees[tree]?.sources[entry] ?? null) !== null;
  }

  /** Reads a file to its end: null, or the name of the errno that the sandbox is told. ESTALE: it is not what was listed. */
  async read(tree: number, entry: number, piece: Piece): Promise<string | null> {
    const source = this.trees[tree].sources[entry];
    if (source === null) return 'ENOENT';
    if ('bytes' in source) {
      for (let at = 0; at < source.bytes.length; at += PIECE_BYTES_MAX) await piece(source.bytes.subarray(at, at + PIECE_BYTES_MAX));
      return null;
    }
    if (source.stats.size > GIVEN_BYTES_MAX) return 'ENOMEM';
    try {
      return await readListed(source.path, source.stats, piece);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'EIO';
    }
  }

  private async add(path: string, file: GivenFile): Promise<void> {
    if (path === '/') throw new OffshootError('bad-argument', 'Nothing can take the place of / in the sandbox.');
    if (typeof file === 'string' || file instanceof Uint8Array) return this.addBytes(path, Buffer.from(file));
    try {
      const from = await realpath(file.from);
      const stats = await stat(from);
      if (!stats.isFile() && !stats.isDirectory()) throw new OffshootError('files-failed', `${file.from} is neither a file nor a directory.`);
      const listing = new Listing(path, file.readOnly ?? false, !stats.isDirectory());
      if (stats.isDirectory()) {
        listing.enter('', 0, stats, null);
        await this.fill(listing, from);
      } else {
        listing.enterRoot();
        listing.enter('file', 0, stats, { path: Buffer.from(from), stats });
      }
      this.trees.push(listing.done());
    } catch (error) {
      if (error instanceof OffshootError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      const why = code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : String(code);
      throw new OffshootError('files-failed', `${file.from} cannot be given to the sandbox: ${why}.`);
    }
  }

  private addBytes(path: string, bytes: Buffer): void {
    const listing = new Listing(path, false, true);
    listing.enterRoot();
    listing.enterBytes('file', bytes);
    this.trees.push(listing.done());
  }

  /** Breadth first, names sorted by their bytes: the order of an image index. */
  private async fill(listing: Listing, from: string): Promise<void> {
    const slash = Buffer.from('/');
    const dirs: { path: Buffer; entry: number }[] = [{ path: Buffer.from(from), entry: 0 }];
    for (const dir of dirs) {
      const names = await readdir(dir.path, { encoding: 'buffer' }).catch((error: NodeJS.ErrnoException) => {
        if (dir.entry === 0) throw error;
        return []; // its mode says so too
      });
      this.entries += names.length;
      if (this.entries > GIVEN_ENTRIES_MAX) {
        throw new OffshootError('files-failed', `${from} has more than ${GIVEN_ENTRIES_MAX} files, too many to give to a sandbox.`);
      }
      for (const name of names.sort(Buffer.compare)) {
        const path = Buffer.concat([dir.path, slash, name]);
        const stats = await lstat(path).catch(() => null);
        if (!stats) continue; // gone meanwhile
        const target = stats.isSymbolicLink() ? (await readlink(path, { encoding: 'buffer' })).toString('latin1') : '';
        const entry = listing.enter(name.toString('latin1'), dir.entry, stats, stats.isFile() ? { path, stats } : null, target);
        if (stats.isDirectory()) dirs.push({ path, entry });
      }
    }
  }
}

/** The columns of one tree while they are made. */
class Listing {
  private readonly path: string;
  private readonly isReadOnly: boolean;
  private readonly isFile: boolean;
  private readonly parent: number[] = [];
  private readonly name: string[] = [];
  private readonly mode: number[] = [];
  private readonly sizeBytes: number[] = [];
  private readonly mtimeMs: number[] = [];
  private readonly target: string[] = [];
  private readonly sources: Source[] = [];

  constructor(path: string, isReadOnly: boolean, isFile: boolean) {
    this.path = path;
    this.isReadOnly = isReadOnly;
    this.isFile = isFile;
  }

  enter(name: string, parent: number, stats: Stats, source: Source, target = ''): number {
    this.put(name, parent, modeHere(stats), stats.isFile() ? stats.size : target.length, stats.mtimeMs, target, source);
    return this.name.length - 1;
  }

  enterBytes(name: string, bytes: Buffer): void {
    this.put(name, 0, constants.S_IFREG | 0o644, bytes.length, Date.now(), '', { bytes });
  }

  /** The directory around a single file. */
  enterRoot(): void {
    this.put('', 0, constants.S_IFDIR | 0o755, 0, 0, '', null);
  }

  private put(name: string, parent: number, mode: number, sizeBytes: number, mtimeMs: number, target: string, source: Source): void {
    this.name.push(name);
    this.parent.push(parent);
    this.mode.push(mode);
    this.sizeBytes.push(sizeBytes);
    this.mtimeMs.push(mtimeMs);
    this.target.push(target);
    this.sources.push(source);
  }

  done(): Tree {
    const { path, isReadOnly, isFile, parent, name, mode, sizeBytes, mtimeMs, target, sources } = this;
    return { listing: { path, isReadOnly, isFile, parent, name, mode, sizeBytes, mtimeMs, target }, sources };
  }
}

/** In the sandbox everything belongs to its user: with the permissions that we have here. */
function modeHere(stats: Stats): number {
  const uid = process.getuid?.() ?? 0;
  const bits = stats.mode & 0o777;
  const type = stats.mode & constants.S_IFMT;
  if (uid === 0) return type | bits | (stats.isDirectory() ? 0o700 : 0o600);
  const mine = stats.uid === uid ? bits >> 6 : process.getgroups?.().includes(stats.gid) ? bits >> 3 : bits;
  return type | ((mine & 7) << 6) | (bits & 0o077);
}

async function readListed(path: Buffer, listed: Stats, piece: Piece): Promise<string | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const now = await file.stat();
    if (!now.isFile() || now.ino !== listed.ino || now.dev !== listed.dev || now.size !== listed.size || now.mtimeMs !== listed.mtimeMs) return 'ESTALE';
    for (let left = listed.size; left > 0;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(left, PIECE_BYTES_MAX)));
      if (bytesRead === 0) return 'ESTALE';
      await piece(buffer.subarray(0, bytesRead));
      left -= bytesRead;
    }
    return null;
  } finally {
    await file.close();
  }
}
