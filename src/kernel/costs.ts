// What one of each thing that a guest makes us keep takes of our own memory, with all that hangs on it: bytes of V8's heap and of buffers
// beside it. Measured: test/kvm/kernelmemory.test.ts has a guest make thousands of each kind and compares with what the heap grew by;
// `OFFSHOOT_MEASURE=1 node test/kvm/kernelmemory.test.ts` prints both. Who sums them up is kernelmemory.ts.

export const COST = {
  /** Besides its XSAVE area. */
  task: 3300,
  process: 4200,
  /** Besides the characters of its path. */
  area: 160,
  /** A page of an area without access. */
  hiddenPage: 55,
  fileSlot: 9,
  /** Those that wait to be accepted, too. */
  socket: 1000,
  /** Besides its bytes. */
  message: 400,
  /** A queue that somebody waits on or watches. */
  queue: 100,
  /** Of an epoll instance, on a queue of its item's file. */
  watch: 110,
  /** A blocked task's, on a queue. */
  wait: 25,
  timer: 40,
  posixTimer: 330,
  signal: 140,
  inotifyWatch: 300,
  inotifyEvent: 75,
  lock: 120,
  /** With its dentry. */
  inode: 700,
  /** Besides its name. */
  entry: 190,
  /** Of the image, and removed here: that is remembered. */
  goneInode: 120,
  /** Besides its name and value. */
  xattr: 270,
  /** A table of up to 512 pages of a file or of shared memory, besides its entries. */
  pageTable: 240,
} as const;

/** Open files, by kind (File.kind). Those of sockets are COST.socket. */
const FILES: Readonly<Record<string, number>> = { reg: 130, dir: 130, path: 130, pipe: 340, epoll: 700, timerfd: 510, inotify: 700, socket: 0 };
const OTHER_FILE = 370;

/** Bytes of an open file. */
export function fileCost(kind: string): number {
  return FILES[kind] ?? OTHER_FILE;
}
