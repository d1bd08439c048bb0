// stat(2), statx(2), statfs(2), utimensat(2): mode bits, device numbers and struct layouts (x86-64).
// inode(7); include/uapi/linux/stat.h, arch/x86/include/uapi/asm/stat.h, asm-generic/statfs.h.

import { bytes, i32, i64, nested, off, size, struct, u16, u32 } from '../struct.ts';

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_IXGRP = 0o010;
export const S_ISVTX = 0o1000;
/** All permission bits with setuid, setgid and sticky. */
export const S_IALLUGO = 0o7777;

/** struct stat. */
export const Stat = struct('stat', 144, {
  st_dev: size, st_ino: size, st_nlink: size,
  st_mode: u32, st_uid: u32, st_gid: u32, pad0: bytes(4),
  st_rdev: size, st_size: off, st_blksize: off, st_blocks: off,
  st_atime: i64, st_atime_nsec: i64, st_mtime: i64, st_mtime_nsec: i64, st_ctime: i64, st_ctime_nsec: i64,
  unused: bytes(24),
});

/** struct statx_timestamp. */
export const StatxTimestamp = struct('statx_timestamp', 16, { tv_sec: i64, tv_nsec: u32, pad0: i32 });

/** struct statx. */
export const Statx = struct('statx', 256, {
  stx_mask: u32, stx_blksize: u32, stx_attributes: size,
  stx_nlink: u32, stx_uid: u32, stx_gid: u32, stx_mode: u16, pad0: bytes(2),
  stx_ino: size, stx_size: size, stx_blocks: size, stx_attributes_mask: size,
  stx_atime: nested(StatxTimestamp), stx_btime: nested(StatxTimestamp),
  stx_ctime: nested(StatxTimestamp), stx_mtime: nested(StatxTimestamp),
  stx_rdev_major: u32, stx_rdev_minor: u32, stx_dev_major: u32, stx_dev_minor: u32,
  stx_mnt_id: size, stx_dio_mem_align: u32, stx_dio_offset_align: u32, spare: bytes(96),
});

export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
export const STATX_MNT_ID = 0x1000;
export const STATX__RESERVED = 0x8000_0000;
export const STATX_ATTR_MOUNT_ROOT = 0x2000;

/** struct statfs. */
export const Statfs = struct('statfs', 120, {
  f_type: size, f_bsize: size, f_blocks: size, f_bfree: size, f_bavail: size, f_files: size, f_ffree: size,
  f_fsid: bytes(8), f_namelen: size, f_frsize: size, f_flags: size, f_spare: bytes(32),
});

/** f_flags of struct statfs. */
export const ST_NOSUID = 2;
export const ST_NODEV = 4;
export const ST_NOEXEC = 8;
export const ST_VALID = 0x20;
export const ST_RDONLY = 1;
export const ST_RELATIME = 0x1000;

/** f_type: statfs(2). */
export const TMPFS_MAGIC = 0x01021994;
export const OVERLAYFS_SUPER_MAGIC = 0x794c7630;
export const PROC_SUPER_MAGIC = 0x9fa0;
export const SYSFS_MAGIC = 0x62656572;
export const PIPEFS_MAGIC = 0x50495045;
export const SOCKFS_MAGIC = 0x534f434b;
export const ANON_INODE_FS_MAGIC = 0x09041934;

/** utimensat(2): tv_nsec values. */
export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;

/** DT_* of getdents64(2) are the type bits of a mode, shifted. */
export const DT_UNKNOWN = 0;
export const DT_DIR = 4;
export const DT_LNK = 10;

/** Offset of d_name in struct linux_dirent64: d_ino, d_off, d_reclen, d_type come before it. */
export const DIRENT64_NAME = 19;
/** Offset of d_name in struct linux_dirent (getdents(2)); d_type is the record's last byte. */
export const DIRENT_NAME = 18;

/** Device numbers as stat(2) shows them (the kernel's new_encode_dev; both parts are small here). */
export function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
export function majorOf(dev: number): number {
  return (dev >>> 8) & 0xfff;
}
export function minorOf(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & ~0xff);
}
