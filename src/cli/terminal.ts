// A shell on a terminal: the user's terminal gives every key as it is, a pseudo-terminal inside does the rest: line editing, job control, ^C.
//
// Interface: terminalShell. What goes in is framed, so that keys and window sizes have one way: a byte K or W, two bytes of length, the
// keys or rows and columns.

import { execFileSync } from 'node:child_process';
import type { RunInit, RunResult } from '../engine/run.ts';
import type { Sandbox } from '../engine/sandbox.ts';

/** Runs inside: bash on a pseudo-terminal, bytes to and fro. */
const BRIDGE = `
import fcntl, os, pty, select, signal, sys, termios
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
pid, master = pty.fork()
if pid == 0:
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
# What bash leaves running may hold the terminal, and print on: bash's end is what counts.
ended, wake = os.pipe()
os.set_blocking(wake, False)
signal.set_wakeup_fd(wake)
signal.signal(signal.SIGCHLD, lambda *_: None)
status, last = None, 64
frames, keys = b'', b''
while True:
    if status is None and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        status = os.waitpid(pid, 0)[1]
    readable, writable, _ = select.select([0, master, ended], [master] if keys else [], [], None if status is None else 0)
    if status is not None:
        last -= 1
        if last < 0 or master not in readable:
            break
    if ended in readable:
        os.read(ended, 4096)
    if 0 in readable:
        piece = os.read(0, 65536)
        frames += piece
        while len(frames) >= 3 and len(frames) >= 3 + int.from_bytes(frames[1:3], 'little'):
            end = 3 + int.from_bytes(frames[1:3], 'little')
            kind, body, frames = frames[:1], frames[3:end], frames[end:]
            if kind == b'K':
                keys += body
            else:
                fcntl.ioctl(master, termios.TIOCSWINSZ, body + bytes(4))
        if not piece:
            os.kill(pid, signal.SIGHUP)
            break
    if master in writable:
        keys = keys[os.write(master, keys[:4096]):]
    if master in readable:
        try:
            os.write(1, os.read(master, 65536))
        except OSError:
            break
if status is None:
    status = os.waitpid(pid, 0)[1]
os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
`;
const FRAME_BYTES_MAX = 60_000;

/** A start for `launch`: bash on a terminal of its own. */
export async function terminalShell(sandbox: Sandbox, init: RunInit): Promise<RunResult> {
  const { stdin } = process;
  const frames = new Frames();
  const onKeys = (keys: Buffer): void => frames.keys(keys);
  const onResize = (): void => frames.size(process.stdout.rows, process.stdout.columns);
  const onEnd = (): void => frames.end();
  const restore = makeRaw();
  stdin.on('data', onKeys).on('end', onEnd);
  process.stdout.on('resize', onResize);
  onResize();
  try {
    return await sandbox.run(BRIDGE, { ...init, stdin: frames, env: { ...init.env, TERM: process.env['TERM'] ?? 'dumb' } });
  } finally {
    restore();
    stdin.off('data', onKeys).off('end', onEnd).pause();
    process.stdout.off('resize', onResize);
  }
}

/**
 * The terminal passes every byte on, both ways; returns what undoes that, which the end of this process does too. Node's setRawMode
 * would go on turning newlines into two characters.
 */
function makeRaw(): () => void {
  const stty = (...args: string[]): string => execFileSync('stty', args, { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' });
  const before = stty('-g').trim();
  const restore = (): void => void stty(before);
  stty('raw', '-echo');
  process.once('exit', restore);
  return () => {
    process.off('exit', restore);
    restore();
  };
}

/** What is typed, as the bridge reads it. */
class Frames implements AsyncIterable<Uint8Array> {
  private waiting: Uint8Array[] = [];
  private isOver = false;
  private wake: () => void = () => {};

  keys(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += FRAME_BYTES_MAX) this.add('K', bytes.subarray(at, at + FRAME_BYTES_MAX));
  }

  size(rows: number, columns: number): void {
    this.add('W', Uint8Array.of(rows & 255, rows >> 8, columns & 255, columns >> 8));
  }

  end(): void {
    this.isOver = true;
    this.wake();
  }

  private add(kind: 'K' | 'W', body: Uint8Array): void {
    this.waiting.push(Buffer.concat([Buffer.from([kind.charCodeAt(0), body.length & 255, body.length >> 8]), body]));
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (!this.isOver || this.waiting.length > 0) {
      const frame = this.waiting.shift();
      if (frame) yield frame;
      else await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
