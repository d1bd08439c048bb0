// Runs a program natively in the unpacked image: a container made of namespaces (mounts, processes, network, IPC, host name) with a
// changed root, as uid 1000, on one processor, so that it has what a sandbox has. Needs root and util-linux's unshare(1).

import { spawn } from 'node:child_process';
import { ENVIRONMENT } from '../../src/engine/spec.ts';
import type { OnOutput, Program } from './program.ts';

const UID = 1000;
/** Loopback is up in a sandbox; SIOCSIFFLAGS, IFF_UP. */
const LOOPBACK = "import fcntl,socket,struct;fcntl.ioctl(socket.socket(),0x8914,struct.pack('16sh14x',b'lo',1))";
const CONTAINER = `
set -e
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
mount -t sysfs sysfs "$1/sys"
hostname sandbox
python3 -c "${LOOPBACK}"
root=$1 cwd=$2
shift 2
exec taskset -c 0 chroot --userspec=${UID}:${UID} --groups= "$root" /usr/bin/env -i -C "$cwd" "$@"
`;

/** How a program ended natively. */
export interface NativeEnd {
  /** Exit code, 128 + signal; null when its time was up. */
  readonly exitCode: number | null;
  readonly timeMs: number;
}

/** Runs the program to its end or its time limit. */
export function runNatively(root: string, program: Program, onOutput: OnOutput): Promise<NativeEnd> {
  const env = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const argv = ['-m', '-p', '-f', '-n', '-u', '-i', '--kill-child', `--mount-proc=${root}/proc`, 'sh', '-c', CONTAINER, 'sh', root,
    ENVIRONMENT['HOME'], ...env, ...program.argv];
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn('unshare', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let timedOut = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => onOutput(1, text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => onOutput(2, text));
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, program.timeoutMs);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ exitCode: timedOut ? null : signal === null ? code : 137, timeMs: performance.now() - start });
    });
  });
}
