// ioctls of terminals: tty_ioctl(4), ioctl_tty(2). Those of the master act on the terminal of its other end.
//
// Interface: ttyIoctl (a program's end), masterIoctl.

import { EFAULT, EINVAL, EIO, ENOTTY, EPERM, ESRCH } from '../../abi/linux/errno.ts';
import { SIGWINCH, SI_KERNEL } from '../../abi/linux/signal.ts';
import {
  ICANON, IXON, TCFLSH, TCGETS, TCGETS2, TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON, TCSBRK, TCSBRKP, TCSETS, TCSETS2, TCSETSF, TCSETSF2,
  TCSETSW, TCSETSW2, TCXONC, TIOCGETD, TIOCGPGRP, TIOCGPKT, TIOCGPTLCK, TIOCGPTN, TIOCGSID, TIOCGWINSZ, TIOCINQ, TIOCNOTTY, TIOCOUTQ,
  TIOCPKT, TIOCPKT_DOSTOP, TIOCPKT_FLUSHWRITE, TIOCPKT_NOSTOP, TIOCSCTTY, TIOCSETD, TIOCSPGRP, TIOCSPTLCK, TIOCSTI, TIOCSWINSZ, Termios, Termios2, VSTART,
  VSTOP,
} from '../../abi/linux/termios.ts';
import type { Task } from '../process/task.ts';
import { signalGroup } from '../signal/send.ts';
import { siginfo } from '../signal/state.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { attach, detach, mayChange, ttyOf } from './jobcontrol.ts';
import { flushInput, modeChanged, start, status, stop } from './ldisc.ts';
import type { Pty } from './pty.ts';

const N_TTY = 0;
/** c_ispeed and c_ospeed of termios2: the one speed there is. */
const SPEED = 38400;

/** A program's terminal. */
export function ttyIoctl(task: Task, pty: Pty, command: number, argument: number): number | Wait {
  if (pty.hungUp) return -EIO;
  switch (command) {
    case TIOCSCTTY: return attach(pty, task.process, argument === 1);
    case TIOCNOTTY:
      if (ttyOf(task.process) !== pty) return -ENOTTY;
      detach(task.process);
      return 0;
    case TIOCGPGRP:
      if (ttyOf(task.process) !== pty) return -ENOTTY;
      break;
    case TIOCGSID:
      if (ttyOf(task.process) !== pty) return -ENOTTY;
      break;
    case TIOCSTI: return -EIO; // dev.tty.legacy_tiocsti is 0
    case TIOCINQ: return task.process.mm.writeU32(argument, pty.input.slice(0, pty.readable).filter((byte) => byte >= 0).length);
    case TIOCOUTQ: return task.process.mm.writeU32(argument, 0);
  }
  return common(task, pty, command, argument);
}

/** The master. */
export function masterIoctl(task: Task, pty: Pty, command: number, argument: number): number | Wait {
  const { mm } = task.process;
  switch (command) {
    case TIOCGPTN: return mm.writeU32(argument, pty.index);
    case TIOCSPTLCK: {
      const value = mm.readU32(argument);
      if (value < 0) return value;
      pty.locked = value !== 0;
      return 0;
    }
    case TIOCGPTLCK: return mm.writeU32(argument, Number(pty.locked));
    case TIOCPKT: {
      const value = mm.readU32(argument);
      if (value < 0) return value;
      pty.packet = value !== 0;
      pty.packetStatus = 0;
      return 0;
    }
    case TIOCGPKT: return mm.writeU32(argument, Number(pty.packet));
    case TIOCINQ: return mm.writeU32(argument, pty.output.length);
    case TIOCOUTQ: return mm.writeU32(argument, 0);
    case TIOCSCTTY: return -ENOTTY;
  }
  return common(task, pty, command, argument);
}

function common(task: Task, pty: Pty, command: number, argument: number): number | Wait {
  const { mm } = task.process;
  switch (command) {
    case TCGETS: return mm.copyOut(argument, settingsBytes(pty, false));
    case TCGETS2: return mm.copyOut(argument, settingsBytes(pty, true));
    case TCSETS: case TCSETS2: case TCSETSW: case TCSETSW2: case TCSETSF: case TCSETSF2: return changeSettings(task, pty, command, argument);
    case TIOCGWINSZ: return mm.copyOut(argument, pty.windowSize);
    case TIOCSWINSZ: return resize(task, pty, argument);
    case TIOCGPGRP: return mm.writeU32(argument, pty.pgrp);
    case TIOCSPGRP: return setForeground(task, pty, argument);
    case TIOCGSID: return pty.session === 0 ? -ENOTTY : mm.writeU32(argument, pty.session);
    case TIOCGETD: return mm.writeU32(argument, N_TTY);
    case TIOCSETD: return mm.readU32(argument) === N_TTY ? 0 : -EINVAL;
    case TCSBRK: case TCSBRKP: return mayChange(task, pty); // output is the master's at once, breaks are nothing here
    case TCFLSH: return mayChange(task, pty) || flush(pty, argument);
    case TCXONC: return mayChange(task, pty) || flow(task, pty, argument);
    default: return -ENOTTY;
  }
}

function settingsBytes(pty: Pty, hasSpeed: boolean): Uint8Array {
  const { iflag, oflag, cflag, lflag, line, cc } = pty.settings;
  const bytes = new Uint8Array(hasSpeed ? Termios2.size : Termios.size);
  const value = { c_iflag: iflag, c_oflag: oflag, c_cflag: cflag, c_lflag: lflag, c_line: line, c_cc: cc };
  if (hasSpeed) Termios2.write(new DataView(bytes.buffer), 0, { ...value, c_ispeed: SPEED, c_ospeed: SPEED });
  else Termios.write(new DataView(bytes.buffer), 0, value);
  return bytes;
}

function changeSettings(task: Task, pty: Pty, command: number, argument: number): number | Wait {
  const refused = mayChange(task, pty);
  if (refused !== 0) return refused;
  const bytes = new Uint8Array(Termios.size);
  if (task.process.mm.copyIn(argument, bytes) < 0) return -EFAULT;
  const isSlowest = command === TCSETSF || command === TCSETSF2;
  // Output is the master's as soon as it is written, so that TCSETSW has nothing to wait for but ^S.
  if ((isSlowest || command === TCSETSW || command === TCSETSW2) && pty.stopped) return waitOn([pty.roomQueue]);
  if (isSlowest) flushInput(pty);
  const { c_iflag: iflag, c_oflag: oflag, c_cflag: cflag, c_lflag: lflag, c_line: line, c_cc: cc } = Termios.read(new DataView(bytes.buffer), 0);
  const wasCanonical = (pty.settings.lflag & ICANON) !== 0, couldStop = stopsOnKeys(pty);
  pty.settings = { iflag, oflag, cflag, lflag, line, cc: Uint8Array.from(cc) };
  modeChanged(pty, wasCanonical);
  if ((iflag & IXON) === 0) start(pty);
  if (stopsOnKeys(pty) !== couldStop) status(pty, couldStop ? TIOCPKT_NOSTOP : TIOCPKT_DOSTOP, TIOCPKT_NOSTOP | TIOCPKT_DOSTOP);
  return 0;
}

/** What a master in packet mode hears of: ^S and ^Q have their meaning. */
function stopsOnKeys({ settings: { iflag, cc } }: Pty): boolean {
  return (iflag & IXON) !== 0 && cc[VSTOP] === 0x13 && cc[VSTART] === 0x11;
}

function resize(task: Task, pty: Pty, argument: number): number {
  const size = new Uint8Array(8);
  if (task.process.mm.copyIn(argument, size) < 0) return -EFAULT;
  if (size.every((byte, i) => byte === pty.windowSize[i])) return 0;
  pty.windowSize = size;
  if (pty.pgrp !== 0) signalGroup(task.kernel, pty.pgrp, siginfo(SIGWINCH, SI_KERNEL));
  return 0;
}

function setForeground(task: Task, pty: Pty, argument: number): number {
  const refused = mayChange(task, pty);
  if (refused !== 0) return refused === -EIO ? -ENOTTY : refused;
  const { process, kernel } = task;
  if (ttyOf(process) !== pty || pty.session !== process.sid) return -ENOTTY;
  const value = process.mm.readU32(argument);
  if (value < 0) return value;
  const pgid = value | 0;
  if (pgid < 0) return -EINVAL;
  const members = [...kernel.processes.values()].filter((other) => other.pgid === pgid);
  if (members.length === 0) return -ESRCH;
  if (members.every((other) => other.sid !== process.sid)) return -EPERM;
  pty.pgrp = pgid;
  return 0;
}

function flush(pty: Pty, which: number): number {
  if (which !== TCIFLUSH && which !== TCOFLUSH && which !== TCIOFLUSH) return -EINVAL;
  if (which !== TCOFLUSH) flushInput(pty);
  // Output has reached the master as soon as it is written.
  if (which !== TCIFLUSH) status(pty, TIOCPKT_FLUSHWRITE);
  return 0;
}

function flow(task: Task, pty: Pty, which: number): number {
  switch (which) {
    case TCOOFF: stop(pty); return 0;
    case TCOON: start(pty); return 0;
    case TCIOFF: case TCION: {
      const character = pty.settings.cc[which === TCIOFF ? VSTOP : VSTART];
      if (character !== 0) pty.output.push(character);
      pty.waits.wake(pty.outputQueue);
      return 0;
    }
    default: return -EINVAL;
  }
}

