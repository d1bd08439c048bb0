// Declarative C structs: field order, sizes and padding written out once, offsets computed, everything checked at load.
//
//   const Timespec = struct('timespec', 16, { tv_sec: i64, tv_nsec: i64 });
//   Timespec.offset.tv_nsec          8
//   Timespec.get.tv_sec(view, at)    a bigint
//   Timespec.set.tv_nsec(view, at, 5n)
//   Timespec.read(view, at) / .write(view, at, {…})   whole objects, for cold paths
//
// The rules are those of the System V x86-64 ABI: little-endian, natural alignment. A struct whose fields are misaligned,
// or do not add up to the stated size, throws when its module is loaded; padding is a `bytes(n)` field of its own.
// `nested(S)` makes a struct a field of another.

/** One kind of field: how many bytes, how aligned, and how it is read and written at a byte offset. */
export interface Field<T> {
  readonly size: number;
  readonly align: number;
  get(view: DataView, at: number): T;
  set(view: DataView, at: number, value: T): void;
}

/** The value type of a field kind. */
export type FieldValue<F> = F extends Field<infer T> ? T : never;
type Fields = Readonly<Record<string, Field<never> | Field<number> | Field<bigint> | Field<Uint8Array> | Field<object>>>;
/** The object a whole struct reads as. */
export type StructValue<F extends Fields> = { [K in keyof F]: FieldValue<F[K]> };

/** A declared struct. Offsets are bytes from its start; `get.x` and `set.x` take the struct's own byte offset. */
export interface Struct<F extends Fields> {
  readonly name: string;
  readonly size: number;
  readonly align: number;
  readonly fields: F;
  readonly offset: { readonly [K in keyof F]: number };
  readonly get: { readonly [K in keyof F]: (view: DataView, at: number) => FieldValue<F[K]> };
  readonly set: { readonly [K in keyof F]: (view: DataView, at: number, value: FieldValue<F[K]>) => void };
  read(view: DataView, at: number): StructValue<F>;
  /** Writes the fields that are given, leaves the others. */
  write(view: DataView, at: number, value: Partial<StructValue<F>>): void;
}

const TWO_32 = 0x1_0000_0000;

export const u8: Field<number> = { size: 1, align: 1, get: (v, at) => v.getUint8(at), set: (v, at, x) => v.setUint8(at, x) };
export const i8: Field<number> = { size: 1, align: 1, get: (v, at) => v.getInt8(at), set: (v, at, x) => v.setInt8(at, x) };
export const u16: Field<number> = { size: 2, align: 2, get: (v, at) => v.getUint16(at, true), set: (v, at, x) => v.setUint16(at, x, true) };
export const i16: Field<number> = { size: 2, align: 2, get: (v, at) => v.getInt16(at, true), set: (v, at, x) => v.setInt16(at, x, true) };
export const u32: Field<number> = { size: 4, align: 4, get: (v, at) => v.getUint32(at, true), set: (v, at, x) => v.setUint32(at, x, true) };
export const i32: Field<number> = { size: 4, align: 4, get: (v, at) => v.getInt32(at, true), set: (v, at, x) => v.setInt32(at, x, true) };
/** 64 bits as a bigint: exact, slower (it allocates). Values above 2^64 wrap. */
export const u64: Field<bigint> = {
  size: 8, align: 8, get: (v, at) => v.getBigUint64(at, true), set: (v, at, x) => v.setBigUint64(at, x, true),
};
export const i64: Field<bigint> = {
  size: 8, align: 8, get: (v, at) => v.getBigInt64(at, true), set: (v, at, x) => v.setBigInt64(at, x, true),
};

/** Unsigned 64 bits as a number, for user addresses and sizes: exact up to 2^53, rounded above. */
export const addr: Field<number> = {
  size: 8,
  align: 8,
  get: (v, at) => v.getUint32(at, true) + v.getUint32(at + 4, true) * TWO_32,
  set: (v, at, x) => {
    v.setUint32(at, x, true); // DataView takes the value modulo 2^32
    v.setUint32(at + 4, Math.floor(x / TWO_32), true);
  },
};
export const size: Field<number> = addr;

/** Signed 64 bits as a number, for offsets and times: exact within ±2^53. */
export const off: Field<number> = {
  size: 8,
  align: 8,
  get: (v, at) => v.getUint32(at, true) + v.getInt32(at + 4, true) * TWO_32,
  set: addr.set,
};

/** `length` raw bytes: padding, names, fixed buffers. Reading gives a view, not a copy; a shorter value is zero-filled. */
export function bytes(length: number): Field<Uint8Array> {
  return {
    size: length,
    align: 1,
    get: (v, at) => new Uint8Array(v.buffer, v.byteOffset + at, length),
    set: (v, at, value) => {
      const target = new Uint8Array(v.buffer, v.byteOffset + at, length);
      target.fill(0);
      target.set(value.length > length ? value.subarray(0, length) : value);
    },
  };
}

/** A struct as a field of another; its value is the object of its fields. */
export function nested<F extends Fields>(inner: Struct<F>): Field<StructValue<F>> {
  return { size: inner.size, align: inner.align, get: inner.read, set: inner.write };
}

/**
 * Declares a struct of `sizeBytes` bytes. Throws when a field is not naturally aligned or the sizes do not add up.
 * `alignMax: 1` declares a packed struct (struct epoll_event).
 */
export function struct<F extends Fields>(name: string, sizeBytes: number, fields: F, options: { alignMax?: number } = {}): Struct<F> {
  const offset: Record<string, number> = {};
  const get: Record<string, unknown> = {};
  const set: Record<string, unknown> = {};
  const entries = Object.entries(fields) as [string, Field<unknown>][];
  let at = 0;
  let align = 1;
  for (const [key, kind] of entries) {
    const wanted = Math.min(kind.align, options.alignMax ?? 16);
    if (at % wanted !== 0) throw new Error(`struct ${name}: ${key} at ${at} is not aligned to ${wanted}; write the padding out`);
    const start = at;
    offset[key] = start;
    get[key] = (view: DataView, base: number): unknown => kind.get(view, base + start);
    set[key] = (view: DataView, base: number, value: unknown): void => kind.set(view, base + start, value);
    at += kind.size;
    align = Math.max(align, wanted);
  }
  if (at !== sizeBytes) throw new Error(`struct ${name}: fields add up to ${at} bytes, stated are ${sizeBytes}`);
  if (at % align !== 0) throw new Error(`struct ${name}: ${at} bytes are not a multiple of its alignment ${align}`);
  const read = (view: DataView, base: number): StructValue<F> =>
    Object.fromEntries(entries.map(([key, kind]) => [key, kind.get(view, base + offset[key])])) as StructValue<F>;
  const write = (view: DataView, base: number, value: Partial<StructValue<F>>): void => {
    for (const [key, kind] of entries) if (key in value) kind.set(view, base + offset[key], value[key]);
  };
  const self = { name, size: sizeBytes, align, fields, offset, get, set, read, write };
  return self as unknown as Struct<F>;
}

/** A buffer of `sizeBytes` zero bytes with its DataView, for building an argument of an ioctl. */
export function buffer(sizeBytes: number): { readonly u8: Uint8Array; readonly view: DataView } {
  const data = new Uint8Array(sizeBytes);
  return { u8: data, view: new DataView(data.buffer) };
}
