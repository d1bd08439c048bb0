// landlock(7): from now on the calling thread may open no file, bind or connect no TCP socket, reach no abstract Unix socket and
// signal no process outside; as much of it as this kernel knows. Files that are open stay usable.

import * as L from '../abi/linux/confine.ts';
import { SYS_landlock_create_ruleset, SYS_landlock_restrict_self } from '../abi/linux/hostcalls.ts';
import { buffer, struct, u64 } from '../abi/struct.ts';
import { close } from './libc.ts';
import { syscall, syscallPointer } from './syscall.ts';

const RulesetAttr = struct('landlock_ruleset_attr', 24, { handled_access_fs: u64, handled_access_net: u64, scoped: u64 });
/** Bytes of the struct that a kernel of ABI 1 knows. */
const ATTR_BYTES_MIN = 8;
const ABI_NET = 4, ABI_SCOPE = 6, ABI_TSYNC = 8;

/** What was done: the kernel's version of Landlock, and whether it holds for all threads of the process or the calling one. */
export interface LandlockState {
  readonly abi: number;
  readonly allThreads: boolean;
}

/** Denies everything that Landlock can deny. Needs no_new_privs. Throws HostError (ENOSYS, EOPNOTSUPP: not on this kernel). */
export function landlockDenyAll(): LandlockState {
  const abi = syscallPointer('landlock_create_ruleset', SYS_landlock_create_ruleset, null, 0, L.LANDLOCK_CREATE_RULESET_VERSION);
  const attr = buffer(RulesetAttr.size);
  const bits = L.LANDLOCK_ACCESS_FS_BITS[Math.min(abi, L.LANDLOCK_ACCESS_FS_BITS.length) - 1];
  RulesetAttr.write(attr.view, 0, {
    handled_access_fs: (1n << BigInt(bits)) - 1n,
    handled_access_net: abi >= ABI_NET ? BigInt(L.LANDLOCK_ACCESS_NET_ALL) : 0n,
    scoped: abi >= ABI_SCOPE ? BigInt(L.LANDLOCK_SCOPE_ALL) : 0n,
  });
  const size = abi >= ABI_NET ? RulesetAttr.size : ATTR_BYTES_MIN;
  const ruleset = syscallPointer('landlock_create_ruleset', SYS_landlock_create_ruleset, attr.u8, size, 0);
  const allThreads = abi >= ABI_TSYNC;
  try {
    syscall('landlock_restrict_self', SYS_landlock_restrict_self, ruleset, allThreads ? L.LANDLOCK_RESTRICT_SELF_TSYNC : 0);
  } finally {
    close(ruleset);
  }
  return { abi, allThreads };
}
