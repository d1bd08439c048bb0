// The line discipline N_TTY: what happens to bytes on their way from the master to a program's reads (editing, echo, signals), and from
// a program's writes to the master (newlines). termios(3), drivers/tty/n_tty.c.
//
// Interface: receive (bytes typed), transmit (bytes written), take (bytes a program reads).

import {
  ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ECHOPRT, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, ISTRIP, IUCLC, IUTF8, IXANY, IXON, NOFLSH, OCRNL, OLCUC,
  ONLCR, ONLRET, ONOCR, OPOST, TAB3, TABDLY, TIOCPKT_DATA, TIOCPKT_FLUSHREAD, TIOCPKT_START, TIOCPKT_STOP, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL,
  VLNEXT, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VWERASE,
} from '../../abi/linux/termios.ts';
import { SIGINT, SIGQUIT, SIGTSTP, SI_KERNEL } from '../../abi/linux/signal.ts';
import type { Kernel } from '../kernel.ts';
import { signalGroup } from '../signal/send.ts';
import { siginfo } from '../signal/state.ts';
import { END_OF_FILE, INPUT_MAX, OUTPUT_MAX, type Pty } from './pty.ts';

const TAB = 9, NL = 10, CR = 13, BS = 8, SPACE = 32, DEL = 127;

/** Takes what the master wrote, as far as there is room: bytes taken. */
export function receive(kernel: Kernel, pty: Pty, bytes: Uint8Array): number {
  let taken = 0;
  pty.shown = pty.output.length;
  for (; taken < bytes.length; taken++) {
    // A line too long is cut; otherwise the writer waits until somebody reads.
    if (pty.input.length >= INPUT_MAX - 1 && !(pty.isCanonical && pty.canonHead === 0)) break;
    receiveByte(kernel, pty, bytes[taken]);
  }
  pty.waits.wake(pty.outputQueue);
  if (pty.readable > 0) pty.waits.wake(pty.inputQueue);
  return taken;
}

function receiveByte(kernel: Kernel, pty: Pty, typed: number): void {
  const { iflag, lflag } = pty.settings;
  let byte = (iflag & ISTRIP) !== 0 ? typed & 0x7f : typed;
  if ((iflag & IUCLC) !== 0 && (lflag & IEXTEN) !== 0 && byte >= 65 && byte <= 90) byte += 32;
  if (pty.literalNext) {
    pty.literalNext = false;
    return store(pty, byte);
  }
  if ((iflag & IXON) !== 0 && flowControl(pty, byte)) return;
  if ((lflag & ISIG) !== 0 && signalKey(kernel, pty, byte)) return;
  if (pty.stopped && (iflag & (IXON | IXANY)) === (IXON | IXANY)) start(pty);
  if (byte === CR) {
    if ((iflag & IGNCR) !== 0) return;
    if ((iflag & ICRNL) !== 0) byte = NL;
  } else if (byte === NL && (iflag & INLCR) !== 0) byte = CR;
  if (!pty.isCanonical || !edit(pty, byte)) store(pty, byte);
}

function flowControl(pty: Pty, byte: number): boolean {
  if (pty.isControl(VSTART, byte)) start(pty);
  else if (pty.isControl(VSTOP, byte)) stop(pty);
  else return false;
  return true;
}

/** ^S, tcflow(3): what programs write waits. */
export function stop(pty: Pty): void {
  if (pty.stopped) return;
  pty.stopped = true;
  status(pty, TIOCPKT_STOP, TIOCPKT_START);
}

export function start(pty: Pty): void {
  if (!pty.stopped) return;
  pty.stopped = false;
  status(pty, TIOCPKT_START, TIOCPKT_STOP);
  pty.waits.wake(pty.roomQueue);
}

/** What a master in packet mode is told. */
export function status(pty: Pty, set: number, clear = TIOCPKT_DATA): void {
  if (!pty.packet) return;
  pty.packetStatus = pty.packetStatus & ~clear | set;
  pty.waits.wake(pty.outputQueue);
}

const SIGNAL_KEYS = [[VINTR, SIGINT], [VQUIT, SIGQUIT], [VSUSP, SIGTSTP]] as const;

function signalKey(kernel: Kernel, pty: Pty, byte: number): boolean {
  const key = SIGNAL_KEYS.find(([which]) => pty.isControl(which, byte));
  if (!key) return false;
  if ((pty.settings.lflag & NOFLSH) === 0) {
    flushInput(pty);
    // What was shown before has reached the master.
    pty.output.length = Math.min(pty.output.length, pty.shown);
  }
  if ((pty.settings.iflag & IXON) !== 0) start(pty);
  if ((pty.settings.lflag & ECHO) !== 0) echo(pty, byte);
  if (pty.pgrp !== 0) signalGroup(kernel, pty.pgrp, siginfo(key[1], SI_KERNEL));
  return true;
}

/** tcflush(3) of the input. */
export function flushInput(pty: Pty): void {
  pty.input = [];
  pty.canonHead = 0;
  status(pty, TIOCPKT_FLUSHREAD);
  pty.waits.wake(pty.roomQueue);
}

/** Canonical mode's special characters: true when the byte was one. */
function edit(pty: Pty, byte: number): boolean {
  const { lflag } = pty.settings;
  const isExtended = (lflag & IEXTEN) !== 0;
  if (pty.isControl(VERASE, byte) || pty.isControl(VKILL, byte) || (isExtended && pty.isControl(VWERASE, byte))) {
    erase(pty, byte);
    return true;
  }
  if (isExtended && pty.isControl(VLNEXT, byte)) {
    pty.literalNext = true;
    if ((lflag & ECHO) !== 0 && (lflag & ECHOCTL) !== 0) put(pty, 94, BS);
    return true;
  }
  if (isExtended && (lflag & ECHO) !== 0 && pty.isControl(VREPRINT, byte)) {
    echo(pty, byte);
    echo(pty, NL);
    for (let at = pty.canonHead; at < pty.input.length; at++) echo(pty, pty.input[at]);
    return true;
  }
  if (byte === NL) {
    if ((lflag & (ECHO | ECHONL)) !== 0) echo(pty, NL);
  } else if (pty.isControl(VEOL, byte) || (isExtended && pty.isControl(VEOL2, byte))) {
    if ((lflag & ECHO) !== 0) echo(pty, byte);
  } else if (!pty.isControl(VEOF, byte)) return false;
  pty.input.push(pty.isControl(VEOF, byte) && byte !== NL ? END_OF_FILE : byte);
  pty.canonHead = pty.input.length;
  return true;
}

function store(pty: Pty, byte: number): void {
  if ((pty.settings.lflag & ECHO) !== 0) echo(pty, byte);
  if (pty.input.length < INPUT_MAX - 1) pty.input.push(byte);
}

function isContinuation(pty: Pty, byte: number): boolean {
  return (pty.settings.iflag & IUTF8) !== 0 && (byte & 0xc0) === 0x80;
}

function isWordByte(byte: number): boolean {
  return byte >= 128 || /\w/.test(String.fromCharCode(byte));
}

/** Takes a character, a word or the whole line away again. */
function erase(pty: Pty, key: number): void {
  const { lflag } = pty.settings;
  const isKill = pty.isControl(VKILL, key), isWord = !isKill && !pty.isControl(VERASE, key);
  if (pty.input.length === pty.canonHead) return;
  if (isKill && (lflag & (ECHO | ECHOK | ECHOKE | ECHOE)) !== (ECHO | ECHOK | ECHOKE | ECHOE)) {
    pty.input.length = pty.canonHead;
    if ((lflag & ECHO) === 0) return;
    echo(pty, key);
    if ((lflag & ECHOK) !== 0) echo(pty, NL);
    return;
  }
  let seen = false;
  while (pty.input.length > pty.canonHead) {
    let first = pty.input.length - 1;
    while (first > pty.canonHead && isContinuation(pty, pty.input[first])) first--;
    const byte = pty.input[first];
    if (isWord) {
      if (isWordByte(byte)) seen = true;
      else if (seen) break;
    }
    pty.input.length = first;
    if ((lflag & ECHO) !== 0) eraseEcho(pty, byte, key);
    if (!isKill && !isWord) break;
  }
}

function eraseEcho(pty: Pty, byte: number, key: number): void {
  const { lflag } = pty.settings;
  if ((lflag & ECHOE) === 0 || (lflag & ECHOPRT) !== 0) return echo(pty, pty.isControl(VERASE, key) ? key : byte);
  if (byte === TAB) {
    const width = tabWidth(pty);
    for (let i = 0; i < width; i++) put(pty, BS);
    pty.column -= width;
    return;
  }
  const isControl = byte < SPACE || byte === DEL;
  if (isControl && (lflag & ECHOCTL) === 0) return;
  for (let i = isControl ? 2 : 1; i > 0; i--) {
    put(pty, BS, SPACE, BS);
    if (pty.column > 0) pty.column--;
  }
}

/** How many columns the tab that was just taken away had filled. */
function tabWidth(pty: Pty): number {
  let column = 0;
  for (let at = pty.input.length - 1; at >= pty.canonHead && pty.input[at] !== TAB; at--) {
    const byte = pty.input[at];
    if (byte < SPACE || byte === DEL) column += (pty.settings.lflag & ECHOCTL) !== 0 ? 2 : 0;
    else if (!isContinuation(pty, byte)) column++;
  }
  return 8 - column % 8;
}

/** Shows a typed byte. */
function echo(pty: Pty, byte: number): void {
  const isControl = (byte < SPACE && byte !== TAB && byte !== NL) || byte === DEL;
  if (isControl && (pty.settings.lflag & ECHOCTL) !== 0) {
    put(pty, 94, byte ^ 64);
    pty.column += 2;
  } else process(pty, byte);
}

/** Straight to the master; what it does not read is lost once there is too much. */
function put(pty: Pty, ...bytes: number[]): void {
  if (pty.output.length < 2 * OUTPUT_MAX) pty.output.push(...bytes);
}

/** One byte of output, as c_oflag says. */
function process(pty: Pty, written: number): void {
  const { oflag } = pty.settings;
  let byte = written;
  if ((oflag & OPOST) === 0) return put(pty, byte);
  switch (byte) {
    case NL:
      if ((oflag & ONLRET) !== 0) pty.column = 0;
      if ((oflag & ONLCR) !== 0) {
        pty.column = 0;
        return put(pty, CR, NL);
      }
      break;
    case CR:
      if ((oflag & ONOCR) !== 0 && pty.column === 0) return;
      if ((oflag & OCRNL) !== 0) byte = NL;
      if (byte === CR || (oflag & ONLRET) !== 0) pty.column = 0;
      break;
    case TAB: {
      const width = 8 - pty.column % 8;
      pty.column += width;
      if ((oflag & TABDLY) === TAB3) return put(pty, ...new Array<number>(width).fill(SPACE));
      break;
    }
    case BS:
      if (pty.column > 0) pty.column--;
      break;
    default:
      if (byte >= SPACE && byte !== DEL && !isContinuation(pty, byte)) pty.column++;
      if ((oflag & OLCUC) !== 0 && byte >= 97 && byte <= 122) byte -= 32;
  }
  put(pty, byte);
}

/** Takes what a program wrote, as far as there is room: bytes taken. */
export function transmit(pty: Pty, bytes: Uint8Array): number {
  if (pty.stopped) return 0;
  let taken = 0;
  while (taken < bytes.length && pty.output.length < OUTPUT_MAX) process(pty, bytes[taken++]);
  if (taken > 0) pty.waits.wake(pty.outputQueue);
  return taken;
}

/** Bytes for a program's read: in canonical mode up to a line's end. */
export function take(pty: Pty, dst: Uint8Array): number {
  let count = 0, used = 0;
  const end = pty.readable;
  const isCanonical = pty.isCanonical;
  while (used < end && count < dst.length) {
    const byte = pty.input[used++];
    if (!isCanonical) {
      dst[count++] = Math.max(byte, 0);
      continue;
    }
    if (byte === END_OF_FILE) break;
    dst[count++] = byte;
    if (byte === NL || pty.isControl(VEOL, byte) || pty.isControl(VEOL2, byte)) break;
  }
  // A line that filled the buffer exactly takes its end of file along.
  if (isCanonical && count === dst.length && used < end && pty.input[used] === END_OF_FILE && pty.input[used - 1] !== NL) used++;
  pty.input.splice(0, used);
  pty.canonHead = Math.max(0, pty.canonHead - used);
  if (used > 0) pty.waits.wake(pty.roomQueue);
  return count;
}

/** tcsetattr(3) into or out of canonical mode: what was typed can be read, whole lines or not. */
export function modeChanged(pty: Pty, wasCanonical: boolean): void {
  if (pty.isCanonical && !wasCanonical) pty.canonHead = pty.input.length;
  else if (!pty.isCanonical && wasCanonical) pty.canonHead = 0;
  if (pty.readable > 0) pty.waits.wake(pty.inputQueue);
}
