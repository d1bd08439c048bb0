// What programs expect of every root file system and a directory, a tar file or a container image may lack: mount points,
// places to write, the sandbox's user. What is there stays as it is.
//
// Interface: finishForeign.

import { collectLibraries, encodeLdCache } from './ldcache.ts';
import type { ImageBuilder } from './pack.ts';
import { USER } from './system.ts';

const DIRECTORIES: readonly (readonly [path: string, mode: number])[] = [
  ['/dev', 0o755], ['/proc', 0o555], ['/sys', 0o555], ['/tmp', 0o1777], ['/var/tmp', 0o1777], ['/run', 0o755], ['/etc', 0o755], ['/home', 0o755],
];

/** Adds what is missing. */
export function finishForeign(builder: ImageBuilder): void {
  builder.tree.root.mode |= 0o555; // a directory made by mktemp is its owner's alone
  for (const [path, mode] of DIRECTORIES) if (!builder.tree.get(path)) builder.dir(path, mode);
  if (!builder.tree.get(USER.home)) builder.dir(USER.home, 0o755, { uid: USER.uid, gid: USER.gid });
  addLine(builder, '/etc/passwd', new RegExp(`^[^:]*:[^:]*:${USER.uid}:`, 'm'), `${USER.name}:x:${USER.uid}:${USER.gid}::${USER.home}:/bin/sh\n`);
  addLine(builder, '/etc/group', new RegExp(`^[^:]*:[^:]*:${USER.gid}:`, 'm'), `${USER.name}:x:${USER.gid}:\n`);
  // Container engines leave these two empty: they mount their own over them.
  addLine(builder, '/etc/hosts', /\S/, '127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n');
  addLine(builder, '/etc/hostname', /\S/, 'sandbox\n');
  if (!builder.tree.get('/etc/ld.so.cache') && builder.tree.get('/lib64/ld-linux-x86-64.so.2')) {
    builder.file('/etc/ld.so.cache', encodeLdCache(collectLibraries(builder)));
  }
}

/** Appends a line to a text file unless it has one like it. */
function addLine(builder: ImageBuilder, path: string, has: RegExp, line: string): void {
  const text = builder.read(path)?.toString('latin1') ?? '';
  if (has.test(text)) return;
  const { mode = 0o644 } = builder.tree.get(path) ?? {};
  builder.file(path, Buffer.from(text === '' || text.endsWith('\n') ? text + line : `${text}\n${line}`, 'latin1'), mode & 0o7777);
}
