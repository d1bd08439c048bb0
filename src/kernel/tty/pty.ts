// A pseudo-terminal: what its two ends share. pty(7), termios(3).
//
// Interface: Pty (state and queues), Ptys (all of a sandbox, by number). ldisc.ts is the line discipline between the ends, ptyfile.ts
// the open files, jobcontrol.ts what ties terminals to sessions. All state is plain data.

import { B38400, CREAD, CS8, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ICANON, ICRNL, IEXTEN, ISIG, IXON, NCCS, ONLCR, OPOST } from '../../abi/linux/termios.ts';
import type { WaitQueues } from '../wait.ts';

/** Bytes that wait to be read by a program, and by the master. */
export const INPUT_MAX = 4096, OUTPUT_MAX = 8192;
/** Pseudo-terminals of a sandbox (kernel.pty.max). */
export const PTYS_MAX = 64;

/** ^C ^\ DEL ^U ^D, TIME 0, MIN 1, ^Q ^S ^Z ^R ^O ^W ^V. */
const CONTROL_CHARACTERS = [3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0];

/** What termios(3) sets; the arrays are replaced, never changed. */
export interface TtySettings {
  readonly iflag: number;
  readonly oflag: number;
  readonly cflag: number;
  readonly lflag: number;
  readonly line: number;
  readonly cc: Uint8Array;
}

const INITIAL: TtySettings = {
  iflag: ICRNL | IXON, oflag: OPOST | ONLCR, cflag: B38400 | CS8 | CREAD, lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
  line: 0, cc: Uint8Array.from({ length: NCCS }, (_, i) => CONTROL_CHARACTERS[i]),
};

/** In `input`, the end of file that ^D makes: ends a line without being a byte of it. */
export const END_OF_FILE = -1;

/** Plain data of a pseudo-terminal; open files count themselves again. */
export interface PtyState {
  readonly index: number;
  readonly queues: readonly [number, number, number];
  readonly settings: TtySettings;
  readonly windowSize: Uint8Array;
  readonly session: number;
  readonly pgrp: number;
  readonly locked: boolean;
  readonly slaveClosed: boolean;
  readonly hungUp: boolean;
  readonly packet: boolean;
  readonly packetStatus: number;
  readonly stopped: boolean;
  readonly input: readonly number[];
  readonly canonHead: number;
  readonly literalNext: boolean;
  readonly column: number;
  readonly output: readonly number[];
  readonly attributes: { readonly mode: number; readonly uid: number; readonly gid: number };
}

export class Pty {
  readonly index: number;
  readonly waits: WaitQueues;
  /** Woken when a program may read, when the master may, when either may write. */
  readonly inputQueue: number;
  readonly outputQueue: number;
  readonly roomQueue: number;
  settings: TtySettings;
  /** struct winsize. */
  windowSize: Uint8Array;
  /** The session it controls, and its foreground process group; 0: none. */
  session = 0;
  pgrp = 0;
  /** Programs cannot open it before unlockpt(3). */
  locked = true;
  /** Open files of the slave's side. */
  slaves = 0;
  /** The last program has closed it: the master's reads fail. */
  slaveClosed = false;
  /** The master is closed: nothing more will come. */
  hungUp = false;
  packet = false;
  packetStatus = 0;
  /** ^S. */
  stopped = false;
  /** Bytes typed and END_OF_FILE; in canonical mode those before `canonHead` are whole lines. */
  input: number[] = [];
  canonHead = 0;
  literalNext = false;
  column = 0;
  output: number[] = [];
  /** How much of it was there before the bytes that are being received. */
  shown = 0;
  /** Of /dev/pts/N. */
  attributes: PtyState['attributes'];

  constructor(waits: WaitQueues, index: number, attributes: PtyState['attributes'], queues?: PtyState['queues']) {
    this.waits = waits;
    this.index = index;
    this.attributes = attributes;
    [this.inputQueue, this.outputQueue, this.roomQueue] = queues ?? [waits.newQueue(), waits.newQueue(), waits.newQueue()];
    this.settings = INITIAL;
    this.windowSize = new Uint8Array(8);
  }

  get isCanonical(): boolean {
    return (this.settings.lflag & ICANON) !== 0;
  }

  /** A control character; 0 (_POSIX_VDISABLE) is none. */
  isControl(which: number, byte: number): boolean {
    const character = this.settings.cc[which];
    return character !== 0 && byte === character;
  }

  /** Bytes a program can read now; in canonical mode END_OF_FILE counts, so that 0 means that it waits. */
  get readable(): number {
    return this.isCanonical ? this.canonHead : this.input.length;
  }

  save(): PtyState {
    const { index, settings, windowSize, session, pgrp, locked, slaveClosed, hungUp, packet, packetStatus, stopped, canonHead, literalNext, column } = this;
    return {
      index, queues: [this.inputQueue, this.outputQueue, this.roomQueue], settings, windowSize, session, pgrp, locked, slaveClosed, hungUp, packet,
      packetStatus, stopped, input: [...this.input], canonHead, literalNext, column, output: [...this.output], attributes: this.attributes,
    };
  }

  static restore(state: PtyState, waits: WaitQueues): Pty {
    const { index, queues, attributes, input, output, ...rest } = state;
    const pty = new Pty(waits, index, attributes, queues);
    return Object.assign(pty, rest, { input: [...input], output: [...output] });
  }
}

/** The pseudo-terminals of a sandbox. */
export class Ptys {
  private readonly known = new Map<number, Pty>();

  get(index: number): Pty | undefined {
    return this.known.get(index);
  }

  /** A new one with the lowest free number; null when there are too many. */
  make(waits: WaitQueues, uid: number): Pty | null {
    let index = 0;
    while (this.known.has(index)) index++;
    if (index >= PTYS_MAX) return null;
    const pty = new Pty(waits, index, { mode: 0o620, uid, gid: 5 });
    this.known.set(index, pty);
    return pty;
  }

  /** Enters a restored one. */
  add(pty: Pty): Pty {
    if (!pty.hungUp) this.known.set(pty.index, pty);
    return pty;
  }

  /** Its master is closed: the number is free, /dev/pts/N gone. */
  remove(pty: Pty): void {
    if (this.known.get(pty.index) === pty) this.known.delete(pty.index);
  }

  get indexes(): number[] {
    return [...this.known.keys()].sort((a, b) => a - b);
  }
}
