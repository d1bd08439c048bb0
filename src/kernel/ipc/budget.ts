// How much of the worker's memory a sandbox's pipes and sockets may take. Their contents live in our heap, not in guest memory,
// so they need bounds of their own: pipe(7)'s user limits for pipes, ENOBUFS and ENFILE for sockets.
//
// Interface: IpcBudget, one per kernel. Counters follow the objects: restored ones count again.

import { ErrnoLimits } from '../errnolimits.ts';

/** /proc/sys/fs/pipe-user-pages-soft: beyond it a new pipe gets one page, and none may be enlarged. */
export const PIPE_PAGES_SOFT = 16384;
/** Bytes in all sockets' receive queues. */
export const SOCKET_BYTES_MAX = 32 << 20;
/** Sockets, those waiting to be accepted included. */
export const SOCKETS_MAX = 8192;
/** Files on their way in SCM_RIGHTS messages. Also bounds how deep sockets can lie inside each other's queues. */
export const FILES_IN_FLIGHT_MAX = 1024;

export class IpcBudget {
  pipePages = 0;
  /** Bytes that the buffers of pipes take. */
  pipeBytes = 0;
  socketBytes = 0;
  /** What is in them, with what was read of a message that is not read to its end. */
  messageBytes = 0;
  messages = 0;
  sockets = 0;
  filesInFlight = 0;
  /** Watches of inotify, and events that wait to be read. */
  inotifyWatches = 0;
  inotifyEvents = 0;
  /** Open files of all processes, counted by FdTable. */
  files = 0;
  fileBytes = 0;
  readonly bounds: ErrnoLimits;

  constructor(bounds = new ErrnoLimits()) {
    this.bounds = bounds;
  }
}
