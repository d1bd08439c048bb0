// All rows of the x86-64 table, by topic. Each topic file lives beside this one and exports `rows`.

import { rows as attrRows } from './attr.ts';
import { rows as cloneRows } from './clone.ts';
import { rows as dirRows } from './dir.ts';
import { rows as epollRows } from './epoll.ts';
import { rows as inotifyRows } from './inotify.ts';
import { rows as eventfdRows } from './eventfd.ts';
import { rows as execRows } from './exec.ts';
import { rows as fdRows } from './fd.ts';
import { rows as fileRows } from './file.ts';
import { rows as futexRows } from './futex.ts';
import { rows as identityRows } from './identity.ts';
import { rows as ioctlRows } from './ioctl.ts';
import { rows as linkRows } from './link.ts';
import { rows as miscRows } from './misc.ts';
import { rows as mmRows } from './mm.ts';
import { rows as pidfdRows } from './pidfd.ts';
import { rows as pipeRows } from './pipe.ts';
import { rows as pollRows } from './poll.ts';
import { rows as prctlRows } from './prctl.ts';
import { rows as processRows } from './process.ts';
import { rows as randomRows } from './random.ts';
import { rows as rlimitRows } from './rlimit.ts';
import { rows as rwRows } from './rw.ts';
import { rows as schedRows } from './sched.ts';
import { rows as signalRows } from './signal.ts';
import { rows as signalfdRows } from './signalfd.ts';
import { rows as socketRows } from './socket.ts';
import { rows as sockmsgRows } from './sockmsg.ts';
import { rows as sockoptRows } from './sockopt.ts';
import { rows as spliceRows } from './splice.ts';
import { rows as statRows } from './stat.ts';
import { rows as timeRows } from './time.ts';
import { rows as waitRows } from './wait.ts';
import { rows as xattrRows } from './xattr.ts';
import type { SyscallRow } from './row.ts';

export const ROWS: readonly SyscallRow[] = [
  ...attrRows,
  ...cloneRows,
  ...dirRows,
  ...epollRows,
  ...inotifyRows,
  ...eventfdRows,
  ...execRows,
  ...fdRows,
  ...fileRows,
  ...futexRows,
  ...identityRows,
  ...ioctlRows,
  ...linkRows,
  ...miscRows,
  ...mmRows,
  ...pidfdRows,
  ...pipeRows,
  ...pollRows,
  ...prctlRows,
  ...processRows,
  ...randomRows,
  ...rlimitRows,
  ...rwRows,
  ...schedRows,
  ...signalRows,
  ...signalfdRows,
  ...socketRows,
  ...sockmsgRows,
  ...sockoptRows,
  ...spliceRows,
  ...statRows,
  ...timeRows,
  ...waitRows,
  ...xattrRows,
];
