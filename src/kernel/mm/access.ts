// The kernel's access to user memory: copy_from_user, copy_to_user, strncpy_from_user, get_user, put_user. Pages are
// faulted in as the processor would do it, so copy-on-write, lazy allocation and stack growth just happen.
//
// Interface: UserMemory, which Mm extends. Everything a guest passes as a pointer comes through here: any double ≥ 0 is a
// valid argument, addresses beyond TASK_SIZE are -EFAULT. Partial variants say how much was copied before a bad page,
// as read(2) and write(2) need.

import { EFAULT, EINVAL, ENAMETOOLONG, ENOMEM } from '../../abi/linux/errno.ts';
import { PAGE_SIZE, TASK_SIZE_MAX } from '../../abi/linux/mman.ts';
import type { GuestMemory } from '../../platform.ts';

/** Most bytes `readBytes` copies at once: callers that take more from a guest go in pieces. */
export const READ_BYTES_MAX = 64 << 20;
const TWO_32 = 4294967296;

export abstract class UserMemory {
  protected abstract readonly memory: GuestMemory;

  /** gpa of the byte at gva after faulting its page in for the access; -EFAULT. */
  abstract translate(gva: number, write: boolean): number;

  /** Fills `dst` from gva: 0 or -EFAULT (what precedes the bad page has been copied). */
  copyIn(gva: number, dst: Uint8Array): number {
    return this.copyInPartial(gva, dst) === dst.length ? 0 : -EFAULT;
  }

  copyOut(gva: number, src: Uint8Array): number {
    return this.copyOutPartial(gva, src) === src.length ? 0 : -EFAULT;
  }

  /** Bytes copied until the end or the first page that cannot be read. */
  copyInPartial(gva: number, dst: Uint8Array): number {
    let done = 0;
    while (done < dst.length) {
      const gpa = this.translate(gva + done, false);
      if (gpa < 0) break;
      const length = Math.min(dst.length - done, PAGE_SIZE - gpa % PAGE_SIZE);
      dst.set(this.memory.u8.subarray(gpa, gpa + length), done);
      done += length;
    }
    return done;
  }

  /** Bytes copied until the end or the first page that cannot be written. */
  copyOutPartial(gva: number, src: Uint8Array): number {
    let done = 0;
    while (done < src.length) {
      const gpa = this.translate(gva + done, true);
      if (gpa < 0) break;
      const length = Math.min(src.length - done, PAGE_SIZE - gpa % PAGE_SIZE);
      this.memory.u8.set(length === src.length ? src : src.subarray(done, done + length), gpa);
      done += length;
    }
    return done;
  }

  /**
   * Shows [gva, gva+length) page by page without copying. `visit` gets a view that is valid until it allocates memory, and
   * returns how many bytes it took; less than all of them stops. Returns the bytes taken in all.
   */
  eachPage(gva: number, length: number, write: boolean, visit: (bytes: Uint8Array) => number): number {
    let done = 0;
    while (done < length) {
      const gpa = this.translate(gva + done, write);
      if (gpa < 0) break;
      const size = Math.min(length - done, PAGE_SIZE - gpa % PAGE_SIZE);
      const taken = visit(this.memory.u8.subarray(gpa, gpa + size));
      done += taken;
      if (taken < size) break;
    }
    return done;
  }

  /** A copy of [gva, gva+length): -EFAULT, or -ENOMEM beyond READ_BYTES_MAX. */
  readBytes(gva: number, length: number): Uint8Array | number {
    if (length === 0) return new Uint8Array(0);
    if (!(gva + length <= TASK_SIZE_MAX)) return -EFAULT;
    if (length > READ_BYTES_MAX) return -ENOMEM;
    if (this.translate(gva, false) < 0) return -EFAULT;
    const bytes = new Uint8Array(length);
    return this.copyIn(gva, bytes) === 0 ? bytes : -EFAULT;
  }

  /** Zeroes [gva, gva+length): 0 or -EFAULT. */
  clear(gva: number, length: number): number {
    const done = this.eachPage(gva, length, true, (bytes) => bytes.fill(0).length);
    return done === length ? 0 : -EFAULT;
  }

  readU8(gva: number): number {
    const gpa = this.translate(gva, false);
    return gpa < 0 ? gpa : this.memory.u8[gpa];
  }

  readU16(gva: number): number {
    if (gva % PAGE_SIZE <= PAGE_SIZE - 2) {
      const gpa = this.translate(gva, false);
      return gpa < 0 ? gpa : this.memory.view.getUint16(gpa, true);
    }
    const low = this.readU8(gva);
    const high = this.readU8(gva + 1);
    return low < 0 || high < 0 ? -EFAULT : low + high * 256;
  }

  /** ≥ 0, or -EFAULT. For an int apply `| 0` after the check. */
  readU32(gva: number): number {
    if (gva % PAGE_SIZE <= PAGE_SIZE - 4) {
      const gpa = this.translate(gva, false);
      return gpa < 0 ? gpa : this.memory.view.getUint32(gpa, true);
    }
    const low = this.readU16(gva);
    const high = this.readU16(gva + 2);
    return low < 0 || high < 0 ? -EFAULT : low + high * 65536;
  }

  /** A pointer or size_t as a double ≥ 0 (inexact beyond 2^53, which no valid one reaches), or -EFAULT. */
  readAddr(gva: number): number {
    const low = this.readU32(gva);
    const high = this.readU32(gva + 4);
    return low < 0 || high < 0 ? -EFAULT : low + high * TWO_32;
  }

  /** A u64, or -14n (-EFAULT). */
  readU64(gva: number): bigint {
    const low = this.readU32(gva);
    const high = this.readU32(gva + 4);
    return low < 0 || high < 0 ? BigInt(-EFAULT) : (BigInt(high) << 32n) | BigInt(low);
  }

  writeU8(gva: number, value: number): number {
    const gpa = this.translate(gva, true);
    if (gpa < 0) return gpa;
    this.memory.u8[gpa] = value;
    return 0;
  }

  writeU16(gva: number, value: number): number {
    const gpa = this.translate(gva, true);
    if (gpa < 0) return gpa;
    if (gva % PAGE_SIZE <= PAGE_SIZE - 2) {
      this.memory.view.setUint16(gpa, value, true);
      return 0;
    }
    return this.writeU8(gva, value & 255) || this.writeU8(gva + 1, value >>> 8 & 255);
  }

  /** 0 or -EFAULT; signed values are stored as two's complement. */
  writeU32(gva: number, value: number): number {
    if (gva % PAGE_SIZE > PAGE_SIZE - 4) return this.writeU16(gva, value & 0xffff) || this.writeU16(gva + 2, value >>> 16);
    const gpa = this.translate(gva, true);
    if (gpa < 0) return gpa;
    this.memory.view.setUint32(gpa, value, true);
    return 0;
  }

  writeU64(gva: number, value: bigint): number {
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    return this.writeU32(gva, low) || this.writeU32(gva + 4, high);
  }

  /** A pointer or size; also negative safe integers, as a 64-bit two's complement. */
  writeAddr(gva: number, value: number): number {
    return this.writeU32(gva, value >>> 0) || this.writeU32(gva + 4, Math.floor(value / TWO_32) >>> 0);
  }

  /**
   * A NUL-terminated byte string of at most `max` bytes, the NUL included: -EFAULT, or -ENAMETOOLONG when there is no NUL
   * in them.
   */
  readCString(gva: number, max: number): string | number {
    const short = this.readShort(gva, max);
    if (short !== null) return short;
    let text = '';
    let done = 0;
    while (done < max) {
      const gpa = this.translate(gva + done, false);
      if (gpa < 0) return gpa;
      const bytes = this.memory.u8.subarray(gpa, gpa + Math.min(max - done, PAGE_SIZE - gpa % PAGE_SIZE));
      const end = bytes.indexOf(0);
      text += latin1(end < 0 ? bytes : bytes.subarray(0, end));
      if (end >= 0) return text;
      done += bytes.length;
    }
    return -ENAMETOOLONG;
  }

  /** A string of less than SHORT_MAX bytes that ends in its first page; else null. */
  private readShort(gva: number, max: number): string | null {
    const start = this.translate(gva, false);
    if (start < 0) return null;
    const { u8 } = this.memory;
    const stop = start + Math.min(max, SHORT_MAX, PAGE_SIZE - start % PAGE_SIZE);
    let hash = 0;
    for (let at = start; at < stop; at++) {
      const byte = u8[at];
      if (byte === 0) return knownText(u8, start, at, hash);
      hash = Math.imul(hash, 31) + byte | 0;
    }
    return null;
  }

  /** Stores `value` if *gva is `expected`. Returns what was there (stored if that equals `expected`), -EFAULT, or -EINVAL if misaligned. */
  compareExchangeU32(gva: number, expected: number, value: number): number {
    if (gva % 4 !== 0) return -EINVAL;
    const gpa = this.translate(gva, true);
    if (gpa < 0) return gpa;
    const old = this.memory.view.getUint32(gpa, true);
    if (old === expected >>> 0) this.memory.view.setUint32(gpa, value, true);
    return old;
  }
}

/** Short strings read before: most are paths, and asked for again and again. */
const known: string[] = new Array<string>(1024).fill('');
const SHORT_MAX = 128;

/** The string of u8[start, end). */
function knownText(u8: Uint8Array, start: number, end: number, hash: number): string {
  const slot = (hash ^ hash >>> 15) & (known.length - 1);
  const text = known[slot];
  let at = text.length === end - start ? 0 : -1;
  while (at >= 0 && at < text.length) at = text.charCodeAt(at) === u8[start + at] ? at + 1 : -1;
  return at >= 0 ? text : (known[slot] = oneString(u8.subarray(start, end)));
}

/** As few as fit as arguments. Spread, a typed array takes five times as long. */
function oneString(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}

/** Bytes as a string of one character each. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += PAGE_SIZE) text += oneString(bytes.length <= PAGE_SIZE ? bytes : bytes.subarray(i, i + PAGE_SIZE));
  return text;
}
