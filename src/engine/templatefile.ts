// The file a template lives in: one header page, the guest's memory, the kernel's state. Mapped, not read: sandboxes'
// memory is a MAP_PRIVATE view of it, so it is written aside, renamed into place and never changed afterwards.
//
//   0             "OFFSHOOT", u32 format, u32 header length, HMAC-SHA256 of the header, header (JSON)
//   HEADER_BYTES  guest memory from that gpa up to memoryBytes: the machine's own pages below are never stored
//   memoryBytes   kernel state, stateBytes long (v8.serialize of the kernel's saved state)
//
// The HMAC's key lies in the home directory, so a file from elsewhere is as foreign as a damaged one.

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { AREA_BYTES } from '../vmm/layout.ts';

const MAGIC = 'OFFSHOOT';
const FORMAT = 1;
/** The header takes the place of the machine's shared area (vmm/layout.ts), which is mapped over it. */
export const HEADER_BYTES = AREA_BYTES;
const JSON_AT = 48;

/** What a template is made of and for; all of it must match for a file to be used. */
export interface TemplateHeader {
  /** Kind of guest: only programs above our own kernel today; a full Linux guest would be another kind. */
  readonly kind: 'linux-user';
  readonly name: string;
  readonly imageId: string;
  /** CPU features, state layout and kind of KVM it was built on. */
  readonly fingerprint: string;
  /** Hash of our own code that shaped the state: version, agent, format. */
  readonly builder: string;
  readonly createdAt: string;
  /** Hash of what its program is: modules, setup, environment (spec.ts). */
  readonly specId: string;
  /** Environment and working directory of its program. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** [gva, bytes] of memory that each fork gets filled with random bytes. */
  readonly random: readonly (readonly [number, number])[];
  /** The end of its memory that all forks share (kernel/mm/sharedtext.ts), or null. */
  readonly shared: { readonly gpa: number; readonly sizeBytes: number } | null;
  /** Default of its sandboxes' memory limit; 0: the engine's. */
  readonly memoryLimitBytes: number;
  /** What `template inspect` shows. */
  readonly about: TemplateContents;
  readonly memoryBytes: number;
  readonly stateBytes: number;
  /** SHA-256 of memory and state. */
  readonly sha256: string;
}

/** What is in a template's memory, and what building it took. */
export interface TemplateContents {
  /** Milliseconds that each import took, in order. */
  readonly importMs: Readonly<Record<string, number>>;
  /** Top-level modules that are loaded. */
  readonly modules: readonly string[];
  /** Resident memory of the program by mapping: file name or [heap], [stack], [anonymous]. */
  readonly mappings: readonly { readonly name: string; readonly residentBytes: number }[];
  readonly buildMs: number;
}

/** Why a file is not usable: 'missing', 'truncated', … A reason to rebuild, never a crash. */
export class TemplateRefused extends Error {}

/** The secret that authenticates template files of this home; made on first use. */
export function templateKey(home: string): Buffer {
  const path = `${home}/template.key`;
  if (!existsSync(path)) {
    const aside = `${path}.${process.pid}.tmp`;
    writeFileSync(aside, randomBytes(32), { mode: 0o600 });
    try {
      linkSync(aside, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(aside);
    }
  }
  return readTemplateKey(home);
}

/** The same without making it. Throws what node:fs does. */
export function readTemplateKey(home: string): Buffer {
  return readFileSync(`${home}/template.key`);
}

/** Writes memory and state to where they are in a template file. */
export function writeContent(fd: number, memory: Uint8Array, state: Uint8Array): Pick<TemplateHeader, 'memoryBytes' | 'stateBytes' | 'sha256'> {
  const stored = memory.subarray(HEADER_BYTES);
  writeAll(fd, stored, HEADER_BYTES);
  writeAll(fd, state, memory.length);
  return { memoryBytes: memory.length, stateBytes: state.length, sha256: createHash('sha256').update(stored).update(state).digest('hex') };
}

/**
 * Writes a template file aside, syncs it and renames it to `path`: `fill` writes the content and returns the header. Mode 0600: it
 * holds the template's memory.
 */
export function writeTemplate(path: string, key: Buffer, fill: (fd: number) => TemplateHeader): void {
  const aside = `${path}.${process.pid}.tmp`;
  const fd = openSync(aside, 'w+', 0o600);
  try {
    writeAll(fd, headerPage(fill(fd), key), 0);
    fsyncSync(fd);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(aside, path);
}

function headerPage(header: TemplateHeader, key: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  if (JSON_AT + json.length > HEADER_BYTES) throw new TemplateRefused('template header too long');
  const page = Buffer.alloc(HEADER_BYTES);
  page.write(MAGIC, 0, 'latin1');
  page.writeUInt32LE(FORMAT, 8);
  page.writeUInt32LE(json.length, 12);
  createHmac('sha256', key).update(json).digest().copy(page, 16);
  json.copy(page, JSON_AT);
  return page;
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, Math.min(bytes.length - at, 1 << 26), position + at);
}

/** Reads and authenticates the header only. Throws TemplateRefused. */
export function readHeader(path: string, key: Buffer): TemplateHeader {
  if (!existsSync(path)) throw new TemplateRefused('missing');
  const page = Buffer.alloc(HEADER_BYTES);
  const fd = openSync(path, 'r');
  try {
    if (readSync(fd, page, 0, HEADER_BYTES, 0) !== HEADER_BYTES) throw new TemplateRefused('truncated');
  } finally {
    closeSync(fd);
  }
  if (page.toString('latin1', 0, 8) !== MAGIC) throw new TemplateRefused('not a template file');
  if (page.readUInt32LE(8) !== FORMAT) throw new TemplateRefused('written by another version');
  const length = page.readUInt32LE(12);
  if (length > HEADER_BYTES - JSON_AT) throw new TemplateRefused('damaged header');
  const json = page.subarray(JSON_AT, JSON_AT + length);
  if (!timingSafeEqual(createHmac('sha256', key).update(json).digest(), page.subarray(16, 48))) {
    throw new TemplateRefused('damaged, or from another home');
  }
  const header = JSON.parse(json.toString()) as TemplateHeader;
  if (statSync(path).size !== header.memoryBytes + header.stateBytes) throw new TemplateRefused('truncated');
  return header;
}

/** Checks memory and state (the file from HEADER_BYTES on) against the header. */
export function verifyContent(header: TemplateHeader, content: Uint8Array): void {
  if (createHash('sha256').update(content).digest('hex') !== header.sha256) throw new TemplateRefused('damaged: wrong checksum');
}

function stampOf(path: string, header: TemplateHeader): string {
  const { size, mtimeNs, ctimeNs, ino } = statSync(path, { bigint: true });
  return `${size} ${mtimeNs} ${ctimeNs} ${ino} ${header.sha256}\n`;
}

/** Whether `verifyOnce` has found this very file intact. */
export function isVerified(stampPath: string, path: string, header: TemplateHeader): boolean {
  try {
    return readFileSync(stampPath, 'latin1') === stampOf(path, header);
  } catch {
    return false;
  }
}

/**
 * verifyContent, unless this very file was found right before: its checksum takes longer than everything else a start does.
 * `stampPath` remembers size, times and inode number of the file that was checked; any write to it changes them.
 */
export function verifyOnce(stampPath: string, path: string, header: TemplateHeader, content: Uint8Array): void {
  if (isVerified(stampPath, path, header)) return;
  verifyContent(header, content);
  try {
    const aside = `${stampPath}.${process.pid}.tmp`;
    writeFileSync(aside, stampOf(path, header), { mode: 0o600 });
    renameSync(aside, stampPath);
  } catch { /* a read-only home: check again next time */ }
}
