// The first stack of a program: System V ABI AMD64 §3.4.1, execve(2), getauxval(3).
//
//   top   8 zero bytes, execfn, envp strings, argv strings, "x86_64", 16 random bytes, padding
//         auxv pairs … AT_NULL, NULL, envp pointers, NULL, argv pointers,
//   rsp → argc

import { AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM } from '../../abi/linux/auxv.ts';

export interface StackImage {
  /** gva of `bytes[0]`: the initial rsp, 16-byte aligned. */
  readonly sp: number;
  readonly bytes: Uint8Array;
  /** The auxiliary vector with all pointers filled in. */
  readonly auxv: readonly (readonly [number, number])[];
  /** Where the strings lie: /proc/PID/{cmdline,environ}. */
  readonly strings: { readonly argStart: number; readonly argEnd: number; readonly envStart: number; readonly envEnd: number };
}

export interface StackInput {
  /** End of the stack's mapping. */
  readonly top: number;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  readonly execfn: string;
  /** Pairs apart from AT_EXECFN, AT_PLATFORM, AT_RANDOM and AT_NULL, which this adds. */
  readonly auxv: readonly (readonly [number, number])[];
  /** AT_RANDOM's 16 bytes. */
  readonly random: Uint8Array;
}

/** Bytes of strings and pointers: what execve's limit counts. */
export function argumentBytes(argv: readonly string[], envp: readonly string[]): number {
  let sum = 0;
  for (const text of argv) sum += text.length + 9;
  for (const text of envp) sum += text.length + 9;
  return sum;
}

/** Lays out the stack below `top`. */
export function buildStack(input: StackInput): StackImage {
  const { argv, envp, top } = input;
  const stringBytes = [...argv, ...envp, input.execfn, 'x86_64'].reduce((sum, text) => sum + text.length + 1, 0);
  const words = 1 + argv.length + 1 + envp.length + 1 + 2 * (input.auxv.length + 4);
  const sp = Math.floor((top - 8 - stringBytes - 16 - words * 8 - 16) / 16) * 16;
  const bytes = new Uint8Array(top - sp);
  const view = new DataView(bytes.buffer);
  let cursor = top - 8;
  const put = (text: string): number => {
    cursor -= text.length + 1;
    for (let i = 0; i < text.length; i++) bytes[cursor - sp + i] = text.charCodeAt(i);
    return cursor;
  };
  const execfn = put(input.execfn);
  const envEnd = cursor;
  const environ = envp.toReversed().map(put).reverse();
  const envStart = cursor;
  const args = argv.toReversed().map(put).reverse();
  const strings = { argStart: cursor, argEnd: envStart, envStart, envEnd };
  const platform = put('x86_64');
  cursor = Math.floor((cursor - 16) / 16) * 16;
  bytes.set(input.random, cursor - sp);
  const auxv = [...input.auxv, [AT_RANDOM, cursor], [AT_EXECFN, execfn], [AT_PLATFORM, platform], [AT_NULL, 0]] as const;
  let at = 0;
  const word = (value: number): void => {
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
    at += 8;
  };
  word(argv.length);
  for (const pointer of [...args, 0, ...environ, 0]) word(pointer);
  for (const [type, value] of auxv) {
    word(type);
    word(value);
  }
  return { sp, bytes, auxv, strings };
}
