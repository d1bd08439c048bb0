// What installing packages would have made besides unpacking them: users, configuration copied from defaults, certificate
// bundle, time zone, directories, the linker's cache. Maintainer scripts are not run; this is what those of the packages
// in our images do, after their sources. Everything is only made where a package did not bring it.
//
// Interface: prepareRoot (before unpacking), finishSystem (after it).

import { applyAlternatives, parseAlternatives } from './alternatives.ts';
import { collectLibraries, encodeLdCache } from './ldcache.ts';
import type { ImageBuilder } from './pack.ts';

/** The user that sandboxed programs run as. */
export const USER = { name: 'user', uid: 1000, gid: 1000, home: '/home/user', shell: '/bin/bash' } as const;

const USERS = `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
games:x:5:60:games:/usr/games:/usr/sbin/nologin
man:x:6:12:man:/var/cache/man:/usr/sbin/nologin
lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
news:x:9:9:news:/var/spool/news:/usr/sbin/nologin
uucp:x:10:10:uucp:/var/spool/uucp:/usr/sbin/nologin
proxy:x:13:13:proxy:/bin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
list:x:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin
irc:x:39:39:ircd:/run/ircd:/usr/sbin/nologin
_apt:x:42:65534::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`;

/** Debian's static groups, base-passwd's group.master. */
const GROUPS = 'root:0 daemon:1 bin:2 sys:3 adm:4 tty:5 disk:6 lp:7 mail:8 news:9 uucp:10 man:12 proxy:13 kmem:15 dialout:20 fax:21 '
  + 'voice:22 cdrom:24 floppy:25 tape:26 sudo:27 audio:29 dip:30 www-data:33 backup:34 operator:37 list:38 irc:39 src:40 shadow:42 '
  + 'utmp:43 video:44 sasl:45 plugdev:46 staff:50 games:60 users:100 nogroup:65534';

const NSSWITCH = `passwd:         files
group:          files
shadow:         files
hosts:          files dns
networks:       files
protocols:      db files
services:       db files
ethers:         db files
rpc:            db files
`;

/** Directories with unusual modes, and those that only maintainer scripts make. */
const DIRECTORIES: readonly (readonly [path: string, mode: number])[] = [
  ['/tmp', 0o1777], ['/var/tmp', 0o1777], ['/run', 0o755], ['/run/lock', 0o1777], ['/proc', 0o555], ['/sys', 0o555], ['/dev', 0o755],
  ['/root', 0o700], ['/home', 0o755], ['/mnt', 0o755], ['/srv', 0o755], ['/opt', 0o755], ['/media', 0o755], ['/var/opt', 0o755],
  ['/var/log', 0o755], ['/var/lib', 0o755], ['/var/cache', 0o755], ['/var/spool', 0o755], ['/usr/local/bin', 0o755],
  ['/usr/local/sbin', 0o755], ['/usr/local/lib', 0o755], ['/usr/local/share/ca-certificates', 0o755], ['/usr/local/include', 0o755],
  ['/usr/local/src', 0o755], ['/usr/local/etc', 0o755],
];

/** Links that maintainer scripts make. */
const LINKS: readonly (readonly [path: string, target: string])[] = [
  ['/var/run', '/run'], ['/var/lock', '/run/lock'], ['/var/spool/mail', '../mail'], ['/etc/mtab', '../proc/self/mounts'],
  ['/etc/localtime', '/usr/share/zoneinfo/Etc/UTC'], ['/etc/dpkg/origins/default', 'debian'],
];

/** Files that maintainer scripts copy from a default: [path, where the package has it]. */
const DEFAULTS: readonly (readonly [path: string, from: string])[] = [
  ['/etc/profile', '/usr/share/base-files/profile'], ['/etc/motd', '/usr/share/base-files/motd'],
  ['/root/.profile', '/usr/share/base-files/dot.profile'], ['/root/.bashrc', '/usr/share/base-files/dot.bashrc'],
  ['/etc/nsswitch.conf', '/usr/share/libc-bin/nsswitch.conf'], ['/etc/shells', '/usr/share/debianutils/shells'],
  ['/etc/inputrc', '/usr/share/readline/inputrc'],
];

const FILES: readonly (readonly [path: string, content: string])[] = [
  ['/etc/passwd', `${USERS}${USER.name}:x:${USER.uid}:${USER.gid}::${USER.home}:${USER.shell}\n`],
  ['/etc/group', `${GROUPS.split(' ').map((group) => `${group.replace(':', ':x:')}:\n`).join('')}${USER.name}:x:${USER.gid}:\n`],
  ['/etc/nsswitch.conf', NSSWITCH], ['/etc/hostname', 'sandbox\n'], ['/etc/timezone', 'Etc/UTC\n'],
  ['/etc/hosts', '127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n'], ['/etc/resolv.conf', ''],
  ['/etc/shells', '/bin/sh\n/bin/bash\n/usr/bin/sh\n/usr/bin/bash\n'], ['/etc/fstab', ''], ['/etc/environment', ''],
  ['/etc/host.conf', 'multi on\n'], ['/etc/python3/debian_config', '[DEFAULT]\nbyte-compile = standard\n'],
];

/** Merged /usr: Debian since 12 and Ubuntu since 23.04 need it, and packages still ship files below /bin and /lib. */
export function prepareRoot(builder: ImageBuilder): void {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    builder.dir(`/usr/${name}`);
    builder.symlink(`/${name}`, `usr/${name}`);
  }
}

/** `postinst` are the texts of the packages' postinst scripts, `status` is dpkg's status file. */
export function finishSystem(builder: ImageBuilder, postinst: readonly string[], status: string): void {
  const missing = (path: string) => builder.tree.get(path, false) === null;
  for (const [path, mode] of DIRECTORIES) if (missing(path) || mode !== 0o755) builder.dir(path, mode);
  for (const [path, target] of LINKS) replaceEmptyDir(builder, path, target);
  for (const [path, from] of DEFAULTS) {
    const content = builder.read(from);
    if (content && missing(path)) builder.file(path, content);
  }
  for (const [path, content] of FILES) if (missing(path)) builder.file(path, content);
  if (missing('/var/mail')) builder.dir('/var/mail', 0o2775, { gid: 8 });
  makeHome(builder);
  applyAlternatives(builder, postinst.flatMap(parseAlternatives));
  makePython(builder);
  makeCertificates(builder);
  builder.file('/var/lib/dpkg/status', status);
  builder.file('/etc/ld.so.cache', encodeLdCache(collectLibraries(builder)));
}

function replaceEmptyDir(builder: ImageBuilder, path: string, target: string): void {
  const node = builder.tree.get(path, false);
  if (!node || node.children?.size === 0) builder.symlink(path, target);
}

function makeHome(builder: ImageBuilder): void {
  const owner = { uid: USER.uid, gid: USER.gid };
  builder.dir(USER.home, 0o755, owner);
  for (const name of builder.tree.get('/etc/skel')?.children?.keys() ?? []) {
    const content = builder.read(`/etc/skel/${name}`);
    if (content) builder.file(`${USER.home}/${name}`, content, 0o644, owner);
  }
}

/** Directories and the empty file that pythonX.Y-minimal's script makes. */
function makePython(builder: ImageBuilder): void {
  for (const name of builder.tree.get('/usr/lib')?.children?.keys() ?? []) {
    if (!/^python3\.\d+$/.test(name)) continue;
    builder.dir(`/usr/local/lib/${name}/dist-packages`);
    const site = `/etc/${name}/sitecustomize.py`;
    if (!builder.tree.get(site)) builder.file(site, '# Empty sitecustomize.py to avoid a dangling symlink\n');
  }
}

/**
 * The bundle that update-ca-certificates(8) makes. OpenSSL's default directory /etc/ssl/certs would need links named
 * after hashes; its default file, cert.pem, as a link to the bundle does the same.
 */
function makeCertificates(builder: ImageBuilder): void {
  const dir = '/usr/share/ca-certificates/mozilla';
  const names = [...builder.tree.get(dir)?.children?.keys() ?? []].filter((name) => name.endsWith('.crt')).sort();
  if (names.length === 0) return;
  const bundle: Buffer[] = [];
  for (const name of names) {
    const content = builder.read(`${dir}/${name}`);
    if (!content) continue;
    bundle.push(content, Buffer.from(content.at(-1) === 10 ? '' : '\n'));
    builder.symlink(`/etc/ssl/certs/${name.slice(0, -'.crt'.length)}.pem`, `${dir}/${name}`);
  }
  builder.file('/etc/ssl/certs/ca-certificates.crt', Buffer.concat(bundle));
  builder.file('/etc/ca-certificates.conf', Buffer.from(names.map((name) => `mozilla/${name}\n`).join(''), 'latin1'));
  if (builder.tree.get('/usr/lib/ssl')) builder.symlink('/usr/lib/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt');
}
