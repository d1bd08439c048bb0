// Events of poll(2), ppoll(2) and select(2): include/uapi/asm-generic/poll.h. Constants only.

export const POLLIN = 0x001;
export const POLLPRI = 0x002;
export const POLLOUT = 0x004;
export const POLLERR = 0x008;
export const POLLHUP = 0x010;
export const POLLNVAL = 0x020;
export const POLLRDNORM = 0x040;
export const POLLRDBAND = 0x080;
export const POLLWRNORM = 0x100;
export const POLLWRBAND = 0x200;
export const POLLMSG = 0x400;
export const POLLRDHUP = 0x2000;

/** struct pollfd: int fd, short events, short revents. */
export const POLLFD_SIZE = 8;
/** FD_SETSIZE of glibc; the kernel itself takes any number up to the descriptor limit. */
export const FD_SETSIZE = 1024;

/** What select(2) takes for readable, writable and exceptional (fs/select.c). */
export const SELECT_IN = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR;
export const SELECT_OUT = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR;
export const SELECT_EX = POLLPRI;
