// Constants of epoll(7): include/uapi/linux/eventpoll.h.

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

export const EPOLL_CLOEXEC = 0o2000000;

export const EPOLLEXCLUSIVE = 1 << 28;
export const EPOLLWAKEUP = 1 << 29;
export const EPOLLONESHOT = 1 << 30;
/** Bit 31: a positive number, so test it with `!== 0` after `&`. */
export const EPOLLET = 0x8000_0000;

/** struct epoll_event is packed on x86-64: u32 events, u64 data. */
export const EPOLL_EVENT_SIZE = 12;
/** EP_MAX_EVENTS: INT_MAX / sizeof(struct epoll_event). */
export const EP_MAX_EVENTS = Math.floor(0x7fff_ffff / EPOLL_EVENT_SIZE);
/** EP_MAX_NESTS of fs/eventpoll.c. */
export const EP_MAX_NESTS = 4;
