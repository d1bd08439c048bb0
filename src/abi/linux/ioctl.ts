// ioctl(2) commands of files, terminals and devices: include/uapi/asm-generic/ioctls.h.

export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TIOCSCTTY = 0x540e;
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCOUTQ = 0x5411;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
/** SIOCATMARK of <asm-generic/sockios.h>. */
export const SIOCATMARK = 0x8905;
export const FIONREAD = 0x541b;
export const FIONBIO = 0x5421;
export const TIOCNOTTY = 0x5422;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
export const FIOASYNC = 0x5452;
export const FIOQSIZE = 0x5460;
/** _IOR('R', 0x00, int): entropy count of /dev/random. */
export const RNDGETENTCNT = 0x80045200;
/** _IOW(0x94, 9, int) and _IOW(0x94, 13, struct file_clone_range): <linux/fs.h>. */
export const FICLONE = 0x40049409;
export const FICLONERANGE = 0x4020940d;
/** _IOW('m', 1, struct mtop) of magnetic tapes. */
export const MTIOCTOP = 0x40086d01;
