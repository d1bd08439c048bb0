// ioctl(2) commands of files and devices; those of terminals are in termios.ts: include/uapi/asm-generic/ioctls.h.

/** SIOCATMARK of <asm-generic/sockios.h>. */
export const SIOCATMARK = 0x8905;
export const FIONREAD = 0x541b;
export const FIONBIO = 0x5421;
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
