// Who a process is: get*id, set*id, groups, capabilities, uname. credentials(7), capabilities(7).
//
// uid 0 has all capabilities while its effective uid is 0, everybody else none; that is what programs see of capabilities.

import { EFAULT, EINVAL, EPERM, ESRCH, ENAMETOOLONG } from '../../abi/linux/errno.ts';
import { KERNEL_MACHINE, KERNEL_NAME, KERNEL_RELEASE, KERNEL_VERSION } from '../../abi/linux/utsname.ts';
import type { Credentials } from '../process/credentials.ts';
import type { Task } from '../process/task.ts';
import { FULL, INT, PARTIAL, SIZE, STRUCT, STR, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const UNCHANGED = 0xffff_ffff;
const GROUPS_MAX = 65536;
const UTS_FIELD = 65;
const CAP_V1 = 0x1998_0330, CAP_V2 = 0x2007_1026, CAP_V3 = 0x2008_0522;
/** CAP_CHOWN … CAP_CHECKPOINT_RESTORE. */
const ALL_CAPS = 0x1ff_ffff_ffffn;

type Change = Partial<{ -readonly [K in keyof Credentials]: Credentials[K] }>;

function update(task: Task, change: Change): number {
  const { process } = task;
  process.credentials = { ...process.credentials, ...change };
  process.dumpable = 1;
  return 0;
}

function getuid(task: Task): number { return task.process.credentials.ruid; }
function geteuid(task: Task): number { return task.process.credentials.euid; }
function getgid(task: Task): number { return task.process.credentials.rgid; }
function getegid(task: Task): number { return task.process.credentials.egid; }

function setuid(task: Task, uid: number): number {
  const { euid, ruid, suid } = task.process.credentials;
  if (uid === UNCHANGED) return -EINVAL;
  if (euid === 0) return update(task, { ruid: uid, euid: uid, suid: uid, fsuid: uid });
  return uid === ruid || uid === suid ? update(task, { euid: uid, fsuid: uid }) : -EPERM;
}

function setgid(task: Task, gid: number): number {
  const { euid, rgid, sgid } = task.process.credentials;
  if (gid === UNCHANGED) return -EINVAL;
  if (euid === 0) return update(task, { rgid: gid, egid: gid, sgid: gid, fsgid: gid });
  return gid === rgid || gid === sgid ? update(task, { egid: gid, fsgid: gid }) : -EPERM;
}

function setreuid(task: Task, ruid: number, euid: number): number {
  const old = task.process.credentials;
  const isRoot = old.euid === 0;
  if (ruid !== UNCHANGED && !isRoot && ruid !== old.ruid && ruid !== old.euid) return -EPERM;
  if (euid !== UNCHANGED && !isRoot && ![old.ruid, old.euid, old.suid].includes(euid)) return -EPERM;
  const next = { ruid: ruid === UNCHANGED ? old.ruid : ruid, euid: euid === UNCHANGED ? old.euid : euid };
  const changesSaved = ruid !== UNCHANGED || (euid !== UNCHANGED && euid !== old.ruid);
  return update(task, { ...next, suid: changesSaved ? next.euid : old.suid, fsuid: next.euid });
}

function setregid(task: Task, rgid: number, egid: number): number {
  const old = task.process.credentials;
  const isRoot = old.euid === 0;
  if (rgid !== UNCHANGED && !isRoot && rgid !== old.rgid && rgid !== old.egid) return -EPERM;
  if (egid !== UNCHANGED && !isRoot && ![old.rgid, old.egid, old.sgid].includes(egid)) return -EPERM;
  const next = { rgid: rgid === UNCHANGED ? old.rgid : rgid, egid: egid === UNCHANGED ? old.egid : egid };
  const changesSaved = rgid !== UNCHANGED || (egid !== UNCHANGED && egid !== old.rgid);
  return update(task, { ...next, sgid: changesSaved ? next.egid : old.sgid, fsgid: next.egid });
}

function setresuid(task: Task, ruid: number, euid: number, suid: number): number {
  const old = task.process.credentials;
  const mine = [old.ruid, old.euid, old.suid];
  if (old.euid !== 0 && [ruid, euid, suid].some((uid) => uid !== UNCHANGED && !mine.includes(uid))) return -EPERM;
  const pick = (wanted: number, now: number): number => (wanted === UNCHANGED ? now : wanted);
  const next = pick(euid, old.euid);
  return update(task, { ruid: pick(ruid, old.ruid), euid: next, suid: pick(suid, old.suid), fsuid: next });
}

function setresgid(task: Task, rgid: number, egid: number, sgid: number): number {
  const old = task.process.credentials;
  const mine = [old.rgid, old.egid, old.sgid];
  if (old.euid !== 0 && [rgid, egid, sgid].some((gid) => gid !== UNCHANGED && !mine.includes(gid))) return -EPERM;
  const pick = (wanted: number, now: number): number => (wanted === UNCHANGED ? now : wanted);
  const next = pick(egid, old.egid);
  return update(task, { rgid: pick(rgid, old.rgid), egid: next, sgid: pick(sgid, old.sgid), fsgid: next });
}

function write3(task: Task, gvas: readonly number[], values: readonly number[]): number {
  const { mm } = task.process;
  return gvas.every((gva, i) => mm.writeU32(gva, values[i]) === 0) ? 0 : -EFAULT;
}

function getresuid(task: Task, ruid: number, euid: number, suid: number): number {
  const old = task.process.credentials;
  return write3(task, [ruid, euid, suid], [old.ruid, old.euid, old.suid]);
}

function getresgid(task: Task, rgid: number, egid: number, sgid: number): number {
  const old = task.process.credentials;
  return write3(task, [rgid, egid, sgid], [old.rgid, old.egid, old.sgid]);
}

function setfsuid(task: Task, uid: number): number {
  const old = task.process.credentials;
  if (old.euid === 0 || [old.ruid, old.euid, old.suid, old.fsuid].includes(uid)) {
    if (uid !== UNCHANGED) update(task, { fsuid: uid });
  }
  return old.fsuid;
}

function setfsgid(task: Task, gid: number): number {
  const old = task.process.credentials;
  if (old.euid === 0 || [old.rgid, old.egid, old.sgid, old.fsgid].includes(gid)) {
    if (gid !== UNCHANGED) update(task, { fsgid: gid });
  }
  return old.fsgid;
}

function getgroups(task: Task, size: number, gva: number): number {
  const { groups } = task.process.credentials;
  if (size < 0) return -EINVAL;
  if (size === 0) return groups.length;
  if (size < groups.length) return -EINVAL;
  const bytes = new Uint8Array(Uint32Array.from(groups).buffer);
  return task.process.mm.copyOut(gva, bytes) < 0 ? -EFAULT : groups.length;
}

function setgroups(task: Task, size: number, gva: number): number {
  if (task.process.credentials.euid !== 0) return -EPERM;
  if (size < 0 || size > GROUPS_MAX) return -EINVAL;
  const bytes = new Uint8Array(size * 4);
  if (task.process.mm.copyIn(gva, bytes) < 0) return -EFAULT;
  return update(task, { groups: [...new Uint32Array(bytes.buffer)] });
}

/** Number of 32-bit halves for a capability header's version, or -EINVAL after writing the preferred version. */
function capWords(task: Task, header: number): number {
  const version = task.process.mm.readU32(header);
  if (version < 0) return version;
  if (version === CAP_V1) return 1;
  if (version === CAP_V2 || version === CAP_V3) return 2;
  return task.process.mm.writeU32(header, CAP_V3) < 0 ? -EFAULT : -EINVAL;
}

function capget(task: Task, header: number, data: number): number {
  const words = capWords(task, header);
  if (words < 0) return words === -EINVAL && data === 0 ? 0 : words;
  const pid = task.process.mm.readU32(header + 4) | 0;
  const target = pid === 0 ? task.process : task.kernel.processes.get(pid) ?? task.kernel.tasks.get(pid)?.process;
  if (pid < 0) return -EINVAL;
  if (!target) return -ESRCH;
  if (data === 0) return 0;
  const { ruid, euid, suid } = target.credentials;
  const effective = euid === 0 ? ALL_CAPS : 0n;
  const permitted = ruid === 0 || euid === 0 || suid === 0 ? ALL_CAPS : 0n;
  const out = new Uint32Array(3 * words);
  for (let i = 0; i < words; i++) {
    out[3 * i] = Number(effective >> BigInt(32 * i) & 0xffff_ffffn);
    out[3 * i + 1] = Number(permitted >> BigInt(32 * i) & 0xffff_ffffn);
  }
  return task.process.mm.copyOut(data, new Uint8Array(out.buffer));
}

/** Dropping is accepted and has no effect; taking what one has not is EPERM. */
function capset(task: Task, header: number, data: number): number {
  const words = capWords(task, header);
  if (words < 0) return words;
  const bytes = new Uint8Array(12 * words);
  if (task.process.mm.copyIn(data, bytes) < 0) return -EFAULT;
  const wanted = new Uint32Array(bytes.buffer);
  if (task.process.credentials.euid === 0) return 0;
  for (let i = 0; i < words; i++) if (wanted[3 * i] !== 0 || wanted[3 * i + 1] !== 0) return -EPERM;
  return 0;
}

function uname(task: Task, gva: number): number {
  const fields = [KERNEL_NAME, task.kernel.hostname, KERNEL_RELEASE, KERNEL_VERSION, KERNEL_MACHINE, '(none)'];
  const bytes = new Uint8Array(UTS_FIELD * fields.length);
  fields.forEach((text, i) => {
    for (let k = 0; k < Math.min(text.length, UTS_FIELD - 1); k++) bytes[i * UTS_FIELD + k] = text.charCodeAt(k);
  });
  return task.process.mm.copyOut(gva, bytes);
}

function sethostname(task: Task, gva: number, length: number): number {
  if (task.process.credentials.euid !== 0) return -EPERM;
  if (length > 64) return length > 4096 ? -ENAMETOOLONG : -EINVAL;
  const bytes = new Uint8Array(length);
  if (task.process.mm.copyIn(gva, bytes) < 0) return -EFAULT;
  task.kernel.hostname = String.fromCharCode(...bytes);
  return 0;
}

function setdomainname(): number {
  return -EPERM;
}

export const rows: SyscallRow[] = [
  sys(63, 'uname', uname, FULL, [STRUCT]),
  sys(102, 'getuid', getuid, FULL, []),
  sys(104, 'getgid', getgid, FULL, []),
  sys(105, 'setuid', setuid, FULL, [UINT]),
  sys(106, 'setgid', setgid, FULL, [UINT]),
  sys(107, 'geteuid', geteuid, FULL, []),
  sys(108, 'getegid', getegid, FULL, []),
  sys(113, 'setreuid', setreuid, FULL, [UINT, UINT]),
  sys(114, 'setregid', setregid, FULL, [UINT, UINT]),
  sys(115, 'getgroups', getgroups, FULL, [INT, STRUCT]),
  sys(116, 'setgroups', setgroups, FULL, [INT, STRUCT]),
  sys(117, 'setresuid', setresuid, FULL, [UINT, UINT, UINT]),
  sys(118, 'getresuid', getresuid, FULL, [STRUCT, STRUCT, STRUCT]),
  sys(119, 'setresgid', setresgid, FULL, [UINT, UINT, UINT]),
  sys(120, 'getresgid', getresgid, FULL, [STRUCT, STRUCT, STRUCT]),
  sys(122, 'setfsuid', setfsuid, FULL, [UINT]),
  sys(123, 'setfsgid', setfsgid, FULL, [UINT]),
  sys(125, 'capget', capget, PARTIAL('uid 0 has all capabilities, others none'), [STRUCT, STRUCT]),
  sys(126, 'capset', capset, PARTIAL('capabilities cannot be dropped'), [STRUCT, STRUCT]),
  sys(170, 'sethostname', sethostname, FULL, [STR, SIZE]),
  sys(171, 'setdomainname', setdomainname, PARTIAL('always EPERM'), [STR, SIZE]),
];
