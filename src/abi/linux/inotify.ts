// inotify(7): event bits, watch flags, struct inotify_event.

export const IN_ACCESS = 1, IN_MODIFY = 2, IN_ATTRIB = 4, IN_CLOSE_WRITE = 8, IN_CLOSE_NOWRITE = 0x10, IN_OPEN = 0x20, IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80, IN_CREATE = 0x100, IN_DELETE = 0x200, IN_DELETE_SELF = 0x400, IN_MOVE_SELF = 0x800;
export const IN_ALL_EVENTS = 0xfff;
export const IN_UNMOUNT = 0x2000, IN_Q_OVERFLOW = 0x4000, IN_IGNORED = 0x8000, IN_ISDIR = 0x4000_0000;
export const IN_ONLYDIR = 0x0100_0000, IN_DONT_FOLLOW = 0x0200_0000, IN_EXCL_UNLINK = 0x0400_0000, IN_MASK_CREATE = 0x1000_0000;
export const IN_MASK_ADD = 0x2000_0000, IN_ONESHOT = 0x8000_0000;
/** Bits inotify_add_watch knows. */
export const ALL_INOTIFY_BITS = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE |
  IN_MASK_ADD | IN_ISDIR | IN_ONESHOT;
/** struct inotify_event without the name: wd, mask, cookie, len. */
export const INOTIFY_EVENT_BYTES = 16;
