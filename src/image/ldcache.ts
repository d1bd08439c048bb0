// /etc/ld.so.cache as ldconfig(8) writes it: where the dynamic linker finds libraries by name. Written here because
// nothing of an image is run on the host. The format is glibc's "glibc-ld.so.cache1.1" (its dl-cache.h), x86-64 only;
// libraries in glibc-hwcaps directories are left out (the baseline ones are always there too).
//
// Interface: collectLibraries, encodeLdCache, readSoname.

import { IMAGE_PAGE_BYTES } from '../kernel/fs/imageindex.ts';
import type { ImageBuilder } from './pack.ts';
import { S_IFLNK, S_IFMT, S_IFREG } from './tree.ts';

/** A name a program may ask for, and the file it gets. */
export interface Library {
  readonly name: string;
  readonly path: string;
}

const MAGIC = 'glibc-ld.so.cache1.1';
const HEADER_BYTES = 48;
const ENTRY_BYTES = 24;
/** FLAG_ELF_LIBC6 | FLAG_X8664_LIB64 */
const FLAGS_X86_64 = 0x0303;
const LITTLE_ENDIAN = 2;

/** Orders names as the dynamic linker's binary search expects: runs of digits compare as numbers. */
export function compareLibraryNames(a: string, b: string): number {
  const isDigit = (c: string) => c >= '0' && c <= '9';
  let i = 0;
  let j = 0;
  while (i < a.length) {
    const x = a[i];
    const y = b[j] ?? '\0';
    if (isDigit(x) && isDigit(y)) {
      const left = /^\d+/.exec(a.slice(i))?.[0] ?? '';
      const right = /^\d+/.exec(b.slice(j))?.[0] ?? '';
      if (Number(left) !== Number(right)) return Number(left) - Number(right);
      i += left.length;
      j += right.length;
    } else if (isDigit(x) !== isDigit(y)) {
      return isDigit(x) ? 1 : -1;
    } else if (x !== y) {
      return x.charCodeAt(0) - y.charCodeAt(0);
    } else {
      i++;
      j++;
    }
  }
  return j < b.length ? -1 : 0;
}

/** The bytes of the cache. Of several libraries of one name the first one in `libraries` is preferred. */
export function encodeLdCache(libraries: readonly Library[]): Buffer {
  const sorted = [...libraries].sort((a, b) => compareLibraryNames(b.name, a.name));
  const stringsAt = HEADER_BYTES + sorted.length * ENTRY_BYTES;
  const positions = new Map<string, number>();
  let strings = '';
  const place = (text: string): number => {
    let at = positions.get(text);
    if (at === undefined) {
      at = stringsAt + strings.length;
      positions.set(text, at);
      strings += `${text}\0`;
    }
    return at;
  };
  const entries = Buffer.alloc(sorted.length * ENTRY_BYTES);
  sorted.forEach((library, i) => {
    entries.writeInt32LE(FLAGS_X86_64, i * ENTRY_BYTES);
    entries.writeUInt32LE(place(library.name), i * ENTRY_BYTES + 4);
    entries.writeUInt32LE(place(library.path), i * ENTRY_BYTES + 8);
  });
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 'latin1');
  header.writeUInt32LE(sorted.length, 20);
  header.writeUInt32LE(strings.length, 24);
  header.writeUInt8(LITTLE_ENDIAN, 28);
  return Buffer.concat([header, entries, Buffer.from(strings, 'latin1')]);
}

/**
 * The DT_SONAME of an x86-64 shared library ('' when it has none), or null when `elf` is not one. elf(5).
 * Only what lies inside `elf` is looked at, so a damaged file gives null.
 */
export function readSoname(elf: Buffer): string | null {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1) return null;
  const [ET_DYN, EM_X86_64, PT_LOAD, PT_DYNAMIC] = [3, 62, 1, 2];
  if (elf.readUInt16LE(16) !== ET_DYN || elf.readUInt16LE(18) !== EM_X86_64) return null;
  const headers = programHeaders(elf);
  const dynamic = headers?.find((header) => header.type === PT_DYNAMIC);
  if (!headers || !dynamic || dynamic.offset + dynamic.size > elf.length) return null;
  const [DT_STRTAB, DT_SONAME] = [5, 14];
  let strings = -1;
  let soname = -1;
  for (let at = dynamic.offset; at + 16 <= dynamic.offset + dynamic.size; at += 16) {
    const tag = Number(elf.readBigInt64LE(at));
    const value = Number(elf.readBigUInt64LE(at + 8));
    if (tag === 0) break;
    if (tag === DT_STRTAB) strings = value;
    if (tag === DT_SONAME) soname = value;
  }
  if (soname < 0) return '';
  const segment = headers.find((header) => header.type === PT_LOAD && strings >= header.address && strings < header.address + header.size);
  if (!segment) return null;
  const start = strings - segment.address + segment.offset + soname;
  const end = start < elf.length ? elf.indexOf(0, start) : -1;
  return end < 0 ? null : elf.toString('latin1', start, end);
}

function programHeaders(elf: Buffer): { type: number; offset: number; address: number; size: number }[] | null {
  const table = Number(elf.readBigUInt64LE(32));
  const [entryBytes, count] = [elf.readUInt16LE(54), elf.readUInt16LE(56)];
  if (entryBytes < 56 || table + count * entryBytes > elf.length) return null;
  return Array.from({ length: count }, (_, i) => {
    const at = table + i * entryBytes;
    const field = (offset: number) => Number(elf.readBigUInt64LE(at + offset));
    return { type: elf.readUInt32LE(at), offset: field(8), address: field(16), size: field(32) };
  });
}

/** Library directories: /etc/ld.so.conf with its includes, then the built-in ones. Each real directory once. */
function libraryDirs(builder: ImageBuilder): string[] {
  const dirs: string[] = [];
  const readConf = (file: string, depth: number): void => {
    for (const raw of (builder.read(file)?.toString('latin1') ?? '').split('\n')) {
      const line = raw.replace(/#.*/, '').trim();
      const include = /^include\s+(\S+)$/.exec(line);
      if (include && depth < 5) for (const match of expand(builder, include[1])) readConf(match, depth + 1);
      else if (line.startsWith('/')) dirs.push(line.replace(/(.)\/+$/, '$1'));
    }
  };
  readConf('/etc/ld.so.conf', 0);
  dirs.push('/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu', '/lib', '/usr/lib');
  const seen = new Set<string>();
  return dirs.filter((dir) => {
    const real = builder.tree.realPath(dir);
    return real !== null && !seen.has(real) && seen.add(real);
  });
}

/** A glob with `*` in its last part, relative to /etc. */
function expand(builder: ImageBuilder, pattern: string): string[] {
  const absolute = pattern.startsWith('/') ? pattern : `/etc/${pattern}`;
  const slash = absolute.lastIndexOf('/');
  const parts = absolute.slice(slash + 1).split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^${parts.join('.*')}$`);
  const names = [...builder.tree.get(absolute.slice(0, slash))?.children?.keys() ?? []];
  return names.filter((name) => expression.test(name)).sort().map((name) => `${absolute.slice(0, slash)}/${name}`);
}

/**
 * The libraries in the image's library directories. As ldconfig does, makes the symbolic link named like the soname
 * where a package left it out.
 */
export function collectLibraries(builder: ImageBuilder): Library[] {
  return libraryDirs(builder).flatMap((dir) => {
    const names = [...builder.tree.get(dir)?.children?.keys() ?? []].filter((name) => /^(lib|ld-).*\.so/.test(name)).sort();
    const found = new Set<string>();
    for (const name of names) {
      const isLink = ((builder.tree.get(`${dir}/${name}`, false)?.mode ?? 0) & S_IFMT) === S_IFLNK;
      const soname = sonameOf(builder, `${dir}/${name}`);
      if (soname === null || soname.includes('/')) continue;
      if (isLink && name.endsWith('.so')) found.add(name);
      if (isLink && soname !== '' && soname !== name) continue;
      const wanted = soname === '' ? name : soname;
      if (!builder.tree.get(`${dir}/${wanted}`)) builder.symlink(`${dir}/${wanted}`, name);
      found.add(wanted);
    }
    return [...found].map((name) => ({ name, path: `${dir}/${name}` }));
  });
}

function sonameOf(builder: ImageBuilder, file: string): string | null {
  const node = builder.tree.get(file);
  if (!node || (node.mode & S_IFMT) !== S_IFREG || node.sizeBytes < IMAGE_PAGE_BYTES / 8) return null;
  return readSoname(builder.blob.read(node.offset, node.sizeBytes));
}
