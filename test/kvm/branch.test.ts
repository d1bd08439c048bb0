// Branches of a running sandbox go on from where it stands: blocked calls, timers, threads, processes, files; then each alone.
// Their memory: branchmemory.test.ts. That every conformance case survives a branch at any system call: test/conformance.

import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { Talker } from './branchhelp.ts';

afterEach(() => Talker.closeAll());

/** The same on each side. */
function both(sides: readonly Talker[], code: string, expected: string): void {
  for (const side of sides) assert.equal(side.do(code), expected, code);
}

test('a blocked read, a sleep and a running timer go on in each', async () => {
  const source = await Talker.start();
  source.do(`
r, w = os.pipe()
got, slept, rang = [], [], []
def reader(): got.append(os.read(r, 10))
def sleeper(): start = time.monotonic(); time.sleep(0.6); slept.append(time.monotonic() - start)
threads = [threading.Thread(target=f) for f in (reader, sleeper)]
for t in threads: t.start()
signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.4)
time.sleep(0.05)`);
  const branch = source.branch();
  source.do('os.write(w, b"source")');
  branch.do('os.write(w, b"branch")');
  both([source, branch], 'for t in threads: t.join()', '');
  assert.equal(source.do('print(got)'), "[b'source']");
  assert.equal(branch.do('print(got)'), "[b'branch']");
  both([source, branch], 'print(0.6 <= slept[0], rang)', 'True [1]');
});

test('threads that compute and wait for one another go on in each', async () => {
  const source = await Talker.start();
  source.do(`
steps, stop, gate = [0], [False], threading.Barrier(3)
def count():
  while not stop[0]: steps[0] += 1
def wait(): gate.wait(); gate.wait()
threads = [threading.Thread(target=f) for f in (count, wait, wait)]
for t in threads: t.start()`);
  source.step(3);
  const branch = source.branch();
  for (const side of [source, branch]) {
    side.do('now = steps[0]; time.sleep(0.02)');
    side.do('stop[0] = steps[0] > now; gate.wait(); gate.wait(); [t.join() for t in threads]');
    assert.equal(side.do('print(stop, threading.active_count())'), '[True] 1');
  }
});

test('several processes, what they share, and files they have open', async () => {
  const source = await Talker.start();
  source.do(`
shared = mmap.mmap(-1, 1 << 20)
f = open('/tmp/file', 'w+b'); f.write(b'first '); f.flush()
a, b = os.pipe(); c, d = os.pipe()
pid = os.fork()
if pid == 0:
  os.close(b)
  while True:
    word = os.read(a, 20)
    if not word: os._exit(7)
    shared[:len(word)] = word; shared[-1] = word[0]
    f.write(word); f.flush(); os.write(d, b'!')
os.close(a); os.close(d)
shared[:6] = b'before'`);
  const branch = source.branch();
  const say = (word: string): string => `os.write(b, b'${word}'); os.read(c, 1); print(shared[:6], chr(shared[-1]), f.seek(0), f.read())`;
  assert.equal(source.do(say('source')), "b'source' s 0 b'first source'");
  assert.equal(branch.do(say('branch')), "b'branch' b 0 b'first branch'");
  assert.equal(source.do("print(open('/tmp/file').read(), pid in [int(p) for p in os.listdir('/proc') if p.isdigit()])"), 'first source True');
  both([source, branch], 'os.close(b); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))', '7');
});

test('several branches at once: each has its own', async () => {
  const source = await Talker.start();
  source.do("words = ['all']");
  const branches = source.branches(4);
  branches.forEach((branch, i) => branch.do(`words.append(${i})`));
  source.do("words.append('source')");
  branches.forEach((branch, i) => assert.equal(branch.do('print(words)'), `['all', ${i}]`));
  assert.equal(source.do('print(words)'), "['all', 'source']");
});

test('input that nobody has read is there for each', async () => {
  const source = await Talker.start();
  source.guest.stdin(Buffer.from("print('read', flush=True)\n"));
  const branch = source.branch();
  assert.equal(source.answer(), 'read');
  assert.equal(branch.answer(), 'read');
});

test('limits hold in a branch: memory, also when it has been used up before', async () => {
  const source = await Talker.start(160 << 20);
  source.do('a = np.ones(60 << 17)');
  const branch = source.branch();
  assert.equal(branch.do('b = np.ones(20 << 17); print(int(b.sum()))'), `${20 * 2 ** 17}`);
  branch.do('c = np.ones(60 << 17)');
  assert.equal(branch.end?.limit, 'memory');
  assert.equal(source.do('b = np.ones(20 << 17); print(int(a.sum() + b.sum()))'), `${80 * 2 ** 17}`);
  assert.equal(source.end, null);
});

test('one ends, the other goes on', async () => {
  const source = await Talker.start();
  const branch = source.branch();
  source.do('raise SystemExit(3)');
  assert.equal(source.end?.exitCode, 3);
  assert.equal(branch.do('print(1 + 1)'), '2');
  branch.guest.stop('cancelled');
  branch.step(1);
  assert.equal(branch.end?.limit, 'cancelled');
});

test('a prepared sandbox is never rewound', async () => {
  const source = await Talker.start();
  source.do('a = np.ones(30 << 17)');
  assert.equal(source.guest.rewind(), null);
});
