// A regular file of a MemFs: its data is in guest frames, a page at a time; what was never written shows the image's
// bytes (or zeros). A page that is mapped is copied to a frame first, so that mmap, read and write agree.
//
// Interface: MemFile (Inode's regular-file operations). A frame is "dirty" once it may differ from the image: only these
// count as disk use; clean ones are cache and can be dropped. Seals: memfd_create(2), fcntl(2) F_ADD_SEALS.

import { EFAULT, EFBIG, EINVAL, ENOMEM, ENOSPC, ENXIO, EOPNOTSUPP, EPERM } from '../../abi/linux/errno.ts';
import {
  F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
} from '../../abi/linux/fcntl.ts';
import type { Wait } from '../wait.ts';
import type { File } from './file.ts';
import { entryOf, FilePages, gpaOf, PAGE_DIRTY, PAGE_HOLE } from './filepages.ts';
import { MemInode } from './meminode.ts';
import type { InodeState } from './meminode.ts';
import { RegFile } from './regfile.ts';
import type { MemFs } from './tmpfs.ts';

const PAGE = 4096;
/** Largest file: page numbers and sizes stay exact. */
export const FILE_SIZE_MAX = 2 ** 52;

export class MemFile extends MemInode {
  private readonly pages: FilePages;
  /** Bytes of the image's content that still show through; shrinks with the file. */
  private lowerBytes: number;
  private dirtyPages: number;
  private seals: number;

  constructor(fs: MemFs, state: InodeState) {
    super(fs, state);
    this.pages = new FilePages(fs.parts.frames, state.pages);
    this.lowerBytes = state.lowerBytes;
    this.dirtyPages = state.dirtyPages;
    this.seals = state.seals;
  }

  override open(flags: number): File | number | Wait {
    return this.pending() ?? new RegFile(this, flags, '');
  }

  override pending(): Wait | number | null {
    return (this.lowerBytes > 0 ? this.fs.gate?.(this.ino) : null) ?? null;
  }

  /** Nothing of it was changed since it was given (given.ts) or packed. */
  get isOriginal(): boolean {
    const { lower } = this.fs;
    return lower !== null && lower.has(this.ino) && this.dirtyPages === 0 && this.sizeBytes === lower.attributes(this.ino).sizeBytes;
  }

  /** Makes F_ADD_SEALS possible (memfd_create). */
  allowSealing(seals: number): void {
    this.seals = seals;
    this.changed();
  }

  override read(pos: number, dst: Uint8Array): number {
    if (pos >= this.sizeBytes) return 0;
    const total = Math.min(dst.length, this.sizeBytes - pos);
    for (let done = 0; done < total;) done += this.readPiece(pos + done, dst.subarray(done, total));
    return total;
  }

  /** Reads up to the end of the page, or a longer run of the image. */
  private readPiece(pos: number, dst: Uint8Array): number {
    const within = pos % PAGE;
    let length = Math.min(PAGE - within, dst.length);
    const entry = this.pages.get((pos - within) / PAGE);
    const gpa = gpaOf(entry);
    if (gpa !== 0) {
      dst.set(this.fs.parts.frames.bytes(gpa).subarray(within, within + length));
    } else if (entry !== 0 || pos >= this.lowerBytes || !this.fs.lower) {
      if (this.pages.isEmpty && pos >= this.lowerBytes) length = dst.length;
      dst.fill(0, 0, length);
    } else {
      length = Math.min(this.pages.isEmpty ? dst.length : length, this.lowerBytes - pos);
      dst.set(this.fs.lower.bytes(this.ino, pos, length));
    }
    return length;
  }

  override peek(pos: number, max: number): Uint8Array | null {
    if (pos >= this.lowerBytes || !this.fs.lower) return null;
    let end = Math.min(pos + max, this.lowerBytes);
    if (!this.pages.isEmpty) {
      const first = Math.floor(pos / PAGE);
      const blocked = this.pages.find(first, () => true, Math.ceil(end / PAGE));
      if (blocked === first) return null;
      end = Math.min(end, blocked * PAGE);
    }
    return this.fs.lower.bytes(this.ino, pos, end - pos);
  }

  /** See mm/backing.ts. */
  cachedPage(index: number): number {
    return gpaOf(this.pages.get(index));
  }

  override write(pos: number, src: Uint8Array): number {
    if (src.length === 0) return 0;
    if (pos >= FILE_SIZE_MAX) return -EFBIG;
    if (this.seals > 0 && this.isSealed(pos + src.length)) return -EPERM;
    const total = Math.min(src.length, FILE_SIZE_MAX - pos);
    if (pos > this.sizeBytes) this.zeroTail();
    let done = 0;
    let error = 0;
    while (done < total) {
      const within = (pos + done) % PAGE;
      const length = Math.min(PAGE - within, total - done);
      const gpa = this.writablePage((pos + done - within) / PAGE, length === PAGE);
      if (gpa < 0) {
        error = gpa;
        break;
      }
      this.fs.parts.frames.bytes(gpa).set(src.subarray(done, done + length), within);
      done += length;
    }
    if (done === 0) return error;
    if (pos + done > this.sizeBytes) this.sizeBytes = pos + done;
    this.modified();
    return done;
  }

  private isSealed(end: number): boolean {
    return (this.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0 || ((this.seals & F_SEAL_GROW) !== 0 && end > this.sizeBytes);
  }

  /** The dirty frame of a page, made from what the page shows now unless it will be overwritten as a `whole`; -ENOSPC. */
  private writablePage(index: number, whole: boolean): number {
    const entry = this.pages.get(index);
    let gpa = gpaOf(entry);
    if (gpa !== 0 && (entry & PAGE_DIRTY) !== 0) return gpa;
    if (gpa !== 0) {
      if (!this.fs.budget.takePage()) return -ENOSPC;
    } else {
      gpa = this.fs.takeFrame();
      if (gpa < 0) return gpa;
      if (!whole && entry === 0) this.fillFromLower(index, gpa);
    }
    this.pages.set(index, entryOf(gpa, true));
    this.dirtyPages++;
    this.changed();
    return gpa;
  }

  private fillFromLower(index: number, gpa: number): void {
    const length = Math.min(PAGE, this.lowerBytes - index * PAGE);
    if (length <= 0 || !this.fs.lower) return;
    this.fs.parts.frames.bytes(gpa).set(this.fs.lower.bytes(this.ino, index * PAGE, length));
  }

  override mapPage(index: number, forWrite: boolean): number {
    if (index * PAGE >= this.sizeBytes) return -EFAULT;
    if (forWrite && this.seals > 0 && (this.seals & F_SEAL_WRITE) !== 0) return -EPERM;
    const { frames } = this.fs.parts;
    const entry = this.pages.get(index);
    let gpa = gpaOf(entry);
    const isImagePage = entry === 0 && index * PAGE < this.lowerBytes;
    if (forWrite || (gpa === 0 && !isImagePage)) {
      gpa = this.writablePage(index, false);
      // A full disk is SIGBUS, as on Linux.
      if (gpa < 0) return -EFAULT;
    } else if (gpa === 0) {
      gpa = this.fs.takeCacheFrame();
      if (gpa === 0) return -ENOMEM;
      this.fillFromLower(index, gpa);
      this.pages.set(index, entryOf(gpa, false));
      this.changed();
    }
    frames.ref(gpa);
    return gpa;
  }

  override truncate(sizeBytes: number): number {
    if (sizeBytes < 0) return -EINVAL;
    if (sizeBytes > FILE_SIZE_MAX) return -EFBIG;
    if (this.seals > 0 && (this.seals & (sizeBytes < this.sizeBytes ? F_SEAL_SHRINK : F_SEAL_GROW)) !== 0 && sizeBytes !== this.sizeBytes) {
      return -EPERM;
    }
    if (sizeBytes > this.sizeBytes) this.zeroTail();
    const shrinks = sizeBytes < this.sizeBytes;
    this.sizeBytes = sizeBytes;
    if (shrinks) {
      this.dropPages(Math.ceil(sizeBytes / PAGE), Infinity);
      this.lowerBytes = Math.min(this.lowerBytes, sizeBytes);
      this.zeroTail();
    }
    this.modified();
    return 0;
  }

  /** Bytes of the last page beyond the end read as zeros once the file grows. */
  private zeroTail(): void {
    const within = this.sizeBytes % PAGE;
    if (within === 0) return;
    const gpa = gpaOf(this.pages.get((this.sizeBytes - within) / PAGE));
    if (gpa !== 0) this.fs.parts.frames.bytes(gpa).fill(0, within);
  }

  private dropPages(from: number, to: number): void {
    this.pages.clear(from, to, (entry) => {
      const gpa = gpaOf(entry);
      if (gpa !== 0) this.fs.parts.frames.unref(gpa);
      if ((entry & PAGE_DIRTY) === 0) return;
      this.dirtyPages--;
      this.fs.budget.givePage();
    });
  }

  override fallocate(mode: number, pos: number, length: number): number {
    if (pos < 0 || length <= 0) return -EINVAL;
    if (pos + length > FILE_SIZE_MAX) return -EFBIG;
    if (mode === (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) return this.punchHole(pos, pos + length);
    if (mode !== 0 && mode !== FALLOC_FL_KEEP_SIZE) return -EOPNOTSUPP;
    const end = pos + length;
    const grows = mode === 0 && end > this.sizeBytes;
    if (grows && this.seals > 0 && (this.seals & F_SEAL_GROW) !== 0) return -EPERM;
    const last = Math.ceil(end / PAGE);
    if (!this.fs.budget.fits(last - Math.floor(pos / PAGE))) return -ENOSPC;
    for (let index = Math.floor(pos / PAGE); index < last; index++) {
      if (this.pages.get(index) === 0 && index * PAGE < this.lowerBytes) continue;
      const gpa = this.writablePage(index, false);
      if (gpa < 0) return gpa;
    }
    if (grows) {
      this.zeroTail();
      this.sizeBytes = end;
      this.modified();
    }
    return 0;
  }

  private punchHole(pos: number, end: number): number {
    if (this.seals > 0 && (this.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return -EPERM;
    const first = Math.ceil(pos / PAGE);
    const last = Math.floor(end / PAGE);
    const edges = first > last ? [[pos, end]] : [[pos, first * PAGE], [last * PAGE, end]];
    for (const [from, to] of edges) {
      if (to <= from || from >= this.sizeBytes) continue;
      const gpa = this.writablePage(Math.floor(from / PAGE), false);
      if (gpa < 0) return gpa;
      const within = from % PAGE;
      this.fs.parts.frames.bytes(gpa).fill(0, within, within + (to - from));
    }
    if (first < last) this.dropPages(first, last);
    const lowerEnd = Math.min(last, Math.ceil(this.lowerBytes / PAGE));
    for (let index = first; index < lowerEnd; index++) this.pages.set(index, PAGE_HOLE);
    this.modified();
    return 0;
  }

  override seekData(pos: number, hole: boolean): number {
    if (pos < 0 || pos >= this.sizeBytes) return -ENXIO;
    const lowerPages = Math.ceil(this.lowerBytes / PAGE);
    const end = Math.ceil(this.sizeBytes / PAGE);
    for (let index = Math.floor(pos / PAGE); index < end; index++) {
      const entry = this.pages.get(index);
      const isData = entry === 0 ? index < lowerPages : entry !== PAGE_HOLE;
      if (isData !== hole) return Math.max(pos, index * PAGE);
      if (!isData && index >= lowerPages) {
        const next = this.pages.find(index, (at) => at !== PAGE_HOLE);
        return next < end ? Math.max(pos, next * PAGE) : -ENXIO;
      }
    }
    return hole ? this.sizeBytes : -ENXIO;
  }

  override blocks(): number {
    let pages = this.dirtyPages + Math.ceil(this.lowerBytes / PAGE);
    if (this.dirtyPages > 0 || !this.pages.isEmpty) {
      // Image pages that were replaced count once.
      this.pages.forEach((_, entry) => { if ((entry & (PAGE_DIRTY | PAGE_HOLE)) !== 0) pages--; }, 0, Math.ceil(this.lowerBytes / PAGE));
    }
    return pages * (PAGE / 512);
  }

  override getSeals(): number {
    if (this.seals >= 0) return this.seals;
    return this.fs.lower ? -EINVAL : F_SEAL_SEAL;
  }

  override addSeals(seals: number): number {
    if (this.seals < 0) return this.fs.lower ? -EINVAL : -EPERM;
    if ((this.seals & F_SEAL_SEAL) !== 0) return -EPERM;
    if ((seals & ~0x3f) !== 0) return -EINVAL;
    this.seals |= seals;
    this.changed();
    return 0;
  }

  /** Gives clean frames back that nobody maps. */
  dropClean(): number {
    const clean: number[] = [];
    this.pages.forEach((index, entry) => {
      const gpa = gpaOf(entry);
      if (gpa !== 0 && (entry & PAGE_DIRTY) === 0 && this.fs.parts.frames.refs(gpa) === 1) clean.push(index);
    });
    for (const index of clean) this.dropPages(index, index + 1);
    if (clean.length > 0) this.changed();
    return clean.length;
  }

  override release(): void {
    this.dropPages(0, Infinity);
    super.release();
  }

  protected override saveContent(): Pick<InodeState, 'lowerBytes' | 'pages' | 'dirtyPages' | 'seals' | 'dir'> {
    return {
      lowerBytes: this.lowerBytes, pages: this.pages.isEmpty ? null : this.pages.save(), dirtyPages: this.dirtyPages, seals: this.seals, dir: null,
    };
  }
}
