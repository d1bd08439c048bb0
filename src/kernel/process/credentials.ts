// Who a process is: credentials(7). Immutable; a change makes a new object.

export interface Credentials {
  readonly ruid: number;
  readonly euid: number;
  readonly suid: number;
  readonly fsuid: number;
  readonly rgid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  readonly groups: readonly number[];
}

/** AT_SECURE of a program that gets `now`: its effective ids are not the real ids of who started it. */
export function isSecure(before: Credentials, now: Credentials): boolean {
  return now.euid !== before.ruid || now.egid !== before.rgid;
}

/** All ids the same, no supplementary groups but the primary one. */
export function credentialsOf(uid: number, gid: number): Credentials {
  return { ruid: uid, euid: uid, suid: uid, fsuid: uid, rgid: gid, egid: gid, sgid: gid, fsgid: gid, groups: [gid] };
}
