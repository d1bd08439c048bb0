// `offshoot shell` on a terminal: a Python program on the host plays the user, on a pseudo-terminal.

import assert from 'node:assert/strict';
import test from 'node:test';
import { MAIN, command } from './clihelp.ts';

/** Types each line when the last one's mark has been printed; prints what was shown and the exit code. */
const USER = `
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], '--no-warnings', sys.argv[2], 'shell', '--quiet'])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
shown = b''
def until(mark):
    global shown
    end = time.time() + 40
    while mark not in shown and time.time() < end:
        if select.select([fd], [], [], 1)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                return
            if not piece:
                return
            shown += piece
def type(keys, mark):
    global shown
    os.write(fd, keys)
    until(mark)
    text, shown = shown.decode().replace('\\r\\n', '\\n'), b''
    sys.stdout.write(text)
    return text
until(b'$ ')
type(b"PS1='rea''dy> '\\n", b'ready> ')
type(b'tty; stty size; echo $-\\n', b'ready> ')
type(b'echo wrongg\\x7f\\x7f\\n', b'ready> ')
type(b"""sh -c 'trap "echo on a""gain" CONT; echo it is u""p; while :; do sleep 0.1; done'\\n""", b'it is up\\r\\n')
type(b'\\x1a', b'ready> ')
type(b'jobs; fg\\n', b'on again\\r\\n')
type(b'\\x03', b'ready> ')
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 44, 88, 0, 0))
end = time.time() + 40
while '44 88' not in type(b'stty size\\n', b'ready> ') and time.time() < end:
    time.sleep(0.1)
type(b'sleep 500 &\\n', b'ready> ')
type(b'exit 7\\n', b'no such mark')
print('code', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

test('a shell on a terminal: editing, job control, sizes, the exit code', { timeout: 280_000 }, async () => {
  const { stdout, stderr } = await command('python3', ['-c', USER, process.execPath, MAIN]);
  // bash's own line editor prints escapes.
  const shown = stdout.toString().replace(/\x1b\[[?\d;]*[a-zA-Z]|\r/g, '');
  for (const expected of [/\/dev\/pts\/0\n/, /\n33 77\n/, /\nh?imBHs|himBHs\n/, /\nwron\n/, /\[1\]\+ +Stopped +sh -c/, /\n44 88\n/, /code 7\n$/]) {
    assert.match(shown, expected, `${shown}${stderr}`);
  }
});
