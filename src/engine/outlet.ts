// Gathers what a guest prints during a slice, and its trace, and sends it in few messages: at the end of each slice, or sooner when much
// has come. Holds the guest back while the channel to the caller is full.

const SEND_BYTES = 64 << 10;
const BACKLOG_BYTES = 1 << 20;
/** What a message costs on its way beside its bytes: a program may print byte by byte, to one stream and the other in turn. */
const MESSAGE_BYTES = 512;

/** Beside 1 stdout and 2 stderr: lines of the trace. */
export const TRACE_STREAM = 0;

/** Sends one piece; calls `sent` when the channel has taken it. */
export type SendOutput = (stream: number, bytes: Uint8Array, sent: () => void) => void;

export class Outlet {
  private readonly send: SendOutput;
  private pieces: Uint8Array[] = [];
  private stream = 0;
  private gathered = 0;
  private backlog = 0;
  /** Called when a full channel has room again. */
  onRoom: () => void = () => {};

  constructor(send: SendOutput) {
    this.send = send;
  }

  /** Takes a copy of `bytes`. Order between the streams is kept. */
  write(stream: number, bytes: Uint8Array): void {
    if (stream !== this.stream || this.gathered + bytes.length > SEND_BYTES) this.flush();
    this.stream = stream;
    this.pieces.push(bytes.slice());
    this.gathered += bytes.length;
  }

  flush(): void {
    if (this.gathered === 0) return;
    const bytes = this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces);
    this.pieces = [];
    this.gathered = 0;
    const cost = bytes.length + MESSAGE_BYTES;
    this.backlog += cost;
    this.send(this.stream, bytes, () => {
      const wasFull = this.full;
      this.backlog -= cost;
      if (wasFull && !this.full) this.onRoom();
    });
  }

  /** True while more than a megabyte has not left the process: run the guest no further. */
  get full(): boolean {
    return this.backlog > BACKLOG_BYTES;
  }
}
