// Names of flag bits for strace, by ArgKind.

import { CLOCK_NAMES } from '../../abi/linux/time.ts';

type Names = readonly (readonly [number, string])[];

const PROT: Names = [[1, 'PROT_READ'], [2, 'PROT_WRITE'], [4, 'PROT_EXEC']];
const MAP: Names = [
  [1, 'MAP_SHARED'], [2, 'MAP_PRIVATE'], [0x10, 'MAP_FIXED'], [0x20, 'MAP_ANONYMOUS'], [0x100, 'MAP_GROWSDOWN'], [0x800, 'MAP_DENYWRITE'],
  [0x2000, 'MAP_LOCKED'], [0x4000, 'MAP_NORESERVE'], [0x8000, 'MAP_POPULATE'], [0x20000, 'MAP_STACK'], [0x40000, 'MAP_HUGETLB'],
  [0x100000, 'MAP_FIXED_NOREPLACE'],
];
const OPEN: Names = [
  [1, 'O_WRONLY'], [2, 'O_RDWR'], [0o100, 'O_CREAT'], [0o200, 'O_EXCL'], [0o400, 'O_NOCTTY'], [0o1000, 'O_TRUNC'], [0o2000, 'O_APPEND'],
  [0o4000, 'O_NONBLOCK'], [0o4010000, 'O_SYNC'], [0o10000, 'O_DSYNC'], [0o20200000, 'O_TMPFILE'], [0o200000, 'O_DIRECTORY'],
  [0o400000, 'O_NOFOLLOW'], [0o1000000, 'O_NOATIME'], [0o2000000, 'O_CLOEXEC'], [0o10000000, 'O_PATH'],
];
const AT: Names = [
  [0x100, 'AT_SYMLINK_NOFOLLOW'], [0x200, 'AT_REMOVEDIR'], [0x400, 'AT_SYMLINK_FOLLOW'], [0x800, 'AT_NO_AUTOMOUNT'], [0x1000, 'AT_EMPTY_PATH'],
];

/** The value as names joined by "|", with what has no name in hex. */
export function flagNames(kind: string, value: number): string {
  switch (kind) {
    case 'PROT': return value === 0 ? 'PROT_NONE' : join(PROT, value);
    case 'MAP': return join(MAP, value);
    case 'OPEN': return (value & 3) === 0 ? join([[0, 'O_RDONLY'], ...OPEN], value, 'O_RDONLY') : join(OPEN, value);
    case 'ATFLAGS': return value === 0 ? '0' : join(AT, value);
    case 'CLOCK': return CLOCK_NAMES[value] ?? String(value);
    default: return value === 0 ? '0' : `0x${value.toString(16)}`;
  }
}

function join(names: Names, value: number, first = ''): string {
  const found = first === '' ? [] : [first];
  let rest = value;
  for (const [bits, name] of names) {
    if (bits === 0 || (rest & bits) !== bits) continue;
    found.push(name);
    rest &= ~bits;
  }
  if (rest !== 0 || found.length === 0) found.push(`0x${(rest >>> 0).toString(16)}`);
  return found.join('|');
}
