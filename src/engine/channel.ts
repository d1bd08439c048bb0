// The channel between the caller's process and a worker process: frames over a pair of connected AF_UNIX sockets, made by
// spawn(2)'s caller and inherited by the worker as descriptor 3.
//
// A frame is its length and its header's length (two 32-bit little-endian numbers, the first counts what follows it), a header
// in JSON, and bytes as they are: code, input, output. What is sent in one turn of the event loop leaves in one write, so that
// the other side wakes up once; what somebody waits for leaves at once (`sendNow`). Neither side trusts the other's lengths; what a
// header says is checked by who gets it.

import type { Socket } from 'node:net';

/** What arrives: a parsed header and the bytes behind it. The bytes are only valid during the call unless copied. */
export type OnMessage = (header: unknown, bytes: Buffer) => void;

export interface ChannelInit {
  /** A longer frame breaks the channel. */
  readonly frameBytesMax: number;
  readonly onMessage: OnMessage;
  /** The other side closed, or broke the rules: `why` says how. Called once. */
  readonly onClose: (why: string | null) => void;
}

const LENGTHS_BYTES = 8;
/** Up to here pieces are copied into one buffer; more goes out piece by piece. */
const COPY_BYTES_MAX = 64 << 10;
/** As few bytes as a frame's first number may say: the header's length and `{}`. */
const FRAME_BYTES_MIN = 6;

export class Channel {
  private readonly socket: Socket;
  private readonly init: ChannelInit;
  private pieces: Uint8Array[] = [];
  private piecesBytes = 0;
  private waiting: (() => void)[] = [];
  private received: Buffer[] = [];
  private receivedBytes = 0;
  /** So many bytes must have come before there is anything to do. */
  private neededBytes = 4;
  private closed = false;

  constructor(socket: Socket, init: ChannelInit) {
    this.socket = socket;
    this.init = init;
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', () => this.close(null));
    socket.on('close', () => this.close(null));
  }

  /** Sends one message. `bytes` must not change before `sent` is called: when it has left, or never will. */
  send(header: object, bytes?: Uint8Array, sent?: () => void): void {
    if (this.closed) return sent?.();
    if (this.pieces.length === 0) process.nextTick(() => this.flush());
    this.push(header, bytes);
    if (sent) this.waiting.push(sent);
  }

  /** The same at once, with what was sent before: the other side is to wake up while this one goes on. */
  sendNow(header: object, bytes?: Uint8Array): void {
    if (this.closed) return;
    this.push(header, bytes);
    this.flush();
  }

  private push(header: object, bytes: Uint8Array | undefined): void {
    const text = JSON.stringify(header);
    const textBytes = Buffer.byteLength(text);
    const length = bytes?.length ?? 0;
    const head = Buffer.allocUnsafe(LENGTHS_BYTES + textBytes);
    head.writeUInt32LE(4 + textBytes + length, 0);
    head.writeUInt32LE(textBytes, 4);
    head.write(text, LENGTHS_BYTES);
    this.pieces.push(head);
    if (bytes && length > 0) this.pieces.push(bytes);
    this.piecesBytes += head.length + length;
  }

  /** Closes this side; nothing is delivered any more. `why` is told to `onClose`. */
  close(why: string | null): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.destroy();
    this.received = [];
    this.pieces = [];
    this.release(this.waiting);
    this.init.onClose(why);
  }

  private flush(): void {
    if (this.closed || this.pieces.length === 0) return;
    const { pieces, waiting, socket } = this;
    const sent = (): void => this.release(waiting);
    this.pieces = [];
    this.waiting = [];
    if (this.piecesBytes <= COPY_BYTES_MAX) {
      socket.write(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces), sent);
    } else {
      socket.cork();
      pieces.forEach((piece, index) => socket.write(piece, index === pieces.length - 1 ? sent : undefined));
      socket.uncork();
    }
    this.piecesBytes = 0;
  }

  private release(waiting: (() => void)[]): void {
    for (const sent of waiting.splice(0)) sent();
  }

  private receive(chunk: Buffer): void {
    this.received.push(chunk);
    this.receivedBytes += chunk.length;
    if (this.receivedBytes < this.neededBytes) return;
    let data = this.received.length === 1 ? chunk : Buffer.concat(this.received);
    while (!this.closed) {
      this.neededBytes = data.length < 4 ? 4 : 4 + data.readUInt32LE(0);
      if (this.neededBytes > this.init.frameBytesMax) return this.close(`a message of ${this.neededBytes} bytes`);
      if (data.length < this.neededBytes) break;
      const problem = this.deliver(data.subarray(4, this.neededBytes));
      if (problem !== null) return this.close(problem);
      data = data.subarray(this.neededBytes);
    }
    this.received = data.length === 0 ? [] : [data];
    this.receivedBytes = data.length;
  }

  private deliver(frame: Buffer): string | null {
    if (frame.length < FRAME_BYTES_MIN) return 'a message without a header';
    const end = 4 + frame.readUInt32LE(0);
    if (end > frame.length) return 'a header longer than its message';
    let header: unknown;
    try {
      header = JSON.parse(frame.toString('utf8', 4, end));
    } catch {
      return 'a header that is not JSON';
    }
    this.init.onMessage(header, frame.subarray(end));
    return null;
  }
}
