// Terminals: struct termios and its bits, ioctl commands: termios(3), tty_ioctl(4), include/uapi/asm-generic/termbits.h.

import { bytes, struct, u32, u8 } from '../struct.ts';

export const NCCS = 19;
export const Termios = struct('termios', 36, { c_iflag: u32, c_oflag: u32, c_cflag: u32, c_lflag: u32, c_line: u8, c_cc: bytes(NCCS) });
export const Termios2 = struct('termios2', 44, {
  c_iflag: u32, c_oflag: u32, c_cflag: u32, c_lflag: u32, c_line: u8, c_cc: bytes(NCCS), c_ispeed: u32, c_ospeed: u32,
});

export const VINTR = 0, VQUIT = 1, VERASE = 2, VKILL = 3, VEOF = 4, VTIME = 5, VMIN = 6, VSTART = 8, VSTOP = 9, VSUSP = 10, VEOL = 11;
export const VREPRINT = 12, VDISCARD = 13, VWERASE = 14, VLNEXT = 15, VEOL2 = 16;

export const PARMRK = 0o10, ISTRIP = 0o40, INLCR = 0o100, IGNCR = 0o200, ICRNL = 0o400, IUCLC = 0o1000, IXON = 0o2000, IXANY = 0o4000;
export const IMAXBEL = 0o20000, IUTF8 = 0o40000;
export const OPOST = 1, OLCUC = 2, ONLCR = 4, OCRNL = 0o10, ONOCR = 0o20, ONLRET = 0o40, TABDLY = 0o14000, TAB3 = 0o14000;
export const CBAUD = 0o10017, B38400 = 0o17, CSIZE = 0o60, CS8 = 0o60, CREAD = 0o200;
export const ISIG = 1, ICANON = 2, ECHO = 0o10, ECHOE = 0o20, ECHOK = 0o40, ECHONL = 0o100, NOFLSH = 0o200, TOSTOP = 0o400, ECHOCTL = 0o1000;
export const ECHOPRT = 0o2000, ECHOKE = 0o4000, IEXTEN = 0o100000;

export const TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TCSETSF = 0x5404, TCGETA = 0x5405, TCSBRK = 0x5409, TCXONC = 0x540a;
export const TCFLSH = 0x540b, TIOCSCTTY = 0x540e, TIOCGPGRP = 0x540f, TIOCSPGRP = 0x5410, TIOCOUTQ = 0x5411, TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414, TIOCINQ = 0x541b, TIOCPKT = 0x5420, TIOCNOTTY = 0x5422, TIOCSETD = 0x5423;
export const TIOCGETD = 0x5424, TCSBRKP = 0x5425, TIOCGSID = 0x5429, TIOCGPTPEER = 0x5441;
/** _IOR('T', 0x2A, struct termios2) and its setters; _IOR('T', 0x30, unsigned int) … */
export const TCGETS2 = 0x802c542a, TCSETS2 = 0x402c542b, TCSETSW2 = 0x402c542c, TCSETSF2 = 0x402c542d;
export const TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431, TIOCGPKT = 0x80045438, TIOCGPTLCK = 0x80045439;

export const TCIFLUSH = 0, TCOFLUSH = 1, TCIOFLUSH = 2;
export const TCOOFF = 0, TCOON = 1, TCIOFF = 2, TCION = 3;
/** The first byte of what a master in packet mode reads. */
export const TIOCPKT_DATA = 0, TIOCPKT_FLUSHREAD = 1, TIOCPKT_FLUSHWRITE = 2, TIOCPKT_STOP = 4, TIOCPKT_START = 8, TIOCPKT_NOSTOP = 16;
export const TIOCPKT_DOSTOP = 32, TIOCPKT_IOCTL = 64;
