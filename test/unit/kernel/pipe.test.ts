// pipe(7), fifo(7), eventfd(2): results, errnos, blocking, and a saved and restored pipe.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EAGAIN, EBUSY, EINVAL, ENXIO, EPERM, EPIPE, ERESTARTSYS } from '../../../src/abi/linux/errno.ts';
import { SIGPIPE, sigbit } from '../../../src/abi/linux/signal.ts';
import type { PipeKernel } from '../../../src/kernel/ipc/pipe.ts';
import { openFifo, Pipe, PipeFile } from '../../../src/kernel/ipc/pipe.ts';
import type { Inode } from '../../../src/kernel/fs/inode.ts';
import { IpcBudget, PIPE_PAGES_SOFT } from '../../../src/kernel/ipc/budget.ts';
import { WaitQueues } from '../../../src/kernel/wait.ts';
import { Kit } from './fskit.ts';

/** What a pipe needs of a kernel. */
function parts(): PipeKernel {
  return { waits: new WaitQueues(), ipc: new IpcBudget() };
}

const O_NONBLOCK = 0o4000, O_WRONLY = 1, O_RDWR = 2;

test('what is written is read, in order, across the end of the ring', () => {
  const pipe = new Pipe(parts());
  let sent = 0;
  let seen = 0;
  const out = new Uint8Array(700);
  for (let round = 0; round < 500; round++) {
    const piece = Uint8Array.from({ length: 1 + round % 997 }, () => sent++ & 0xff);
    pipe.put(piece);
    while (pipe.length > 200) {
      const n = pipe.take(out);
      for (let i = 0; i < n; i++) assert.equal(out[i], seen++ & 0xff);
    }
  }
  assert.equal(sent - seen, pipe.length);
});

test('an empty pipe blocks its reader; a writer wakes it; the last writer\'s close is end of file', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  const reader = kit.newTask(4, kit.task);
  const args = [r, kit.buffer + 0x10000, 100];
  assert.equal(kit.blocks('read', args, reader).onSignal, -ERESTARTSYS);
  assert.equal(kit.write(w, 'hello'), 5);
  assert.ok(kit.woken(reader));
  assert.equal(kit.start('read', args, reader), 5);
  assert.equal(kit.text(0x10000, 5), 'hello');
  kit.blocks('read', args, reader);
  kit.call('close', w);
  assert.ok(kit.woken(reader));
  assert.equal(kit.start('read', args, reader), 0);
  assert.equal(kit.call('read', r, kit.buffer, 0), 0);
});

test('O_NONBLOCK: EAGAIN when empty and when full; writes of PIPE_BUF bytes are atomic, longer ones partial', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe(O_NONBLOCK);
  assert.equal(kit.read(r), -EAGAIN);
  assert.equal(kit.write(w, 'x'.repeat(65536 - 100)), 65436);
  assert.equal(kit.write(w, 'y'.repeat(200)), -EAGAIN);
  assert.equal(kit.write(w, 'z'.repeat(4097)), 100);
  assert.equal(kit.write(w, 'z'), -EAGAIN);
  assert.equal((kit.read(r) as string).length, 65536);
  assert.equal(kit.call('pipe2', kit.buffer, 1), -EINVAL);
});

test('a blocking write of more than fits goes on until all is written', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  const writer = kit.newTask(4, kit.task);
  const size = 200_000;
  kit.put(Uint8Array.from({ length: size }, (_, i) => i % 251), 0x80000);
  const args = [w, kit.buffer + 0x80000, size];
  assert.equal(kit.blocks('write', args, writer).onSignal, 65536);
  let got = '';
  for (let rounds = 0; ; rounds++) {
    got += kit.read(r, 50_000) as string;
    assert.ok(kit.woken(writer));
    const result = kit.start('write', args, writer);
    if (typeof result === 'number') {
      assert.equal(result, size);
      break;
    }
    assert.ok(rounds < 10);
  }
  while (got.length < size) got += kit.read(r, 50_000) as string;
  assert.ok([...got].every((char, i) => char.charCodeAt(0) === i % 251));
});

test('writing without readers: SIGPIPE and EPIPE', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  kit.call('close', r);
  assert.equal(kit.write(w, 'x'), -EPIPE);
  assert.equal(kit.helper.pending, sigbit(SIGPIPE));
});

test('F_SETPIPE_SZ rounds up, refuses too little and too much', () => {
  const pipe = new Pipe(parts());
  assert.equal(pipe.setCapacity(5000), 8192);
  assert.equal(pipe.setCapacity(1), 4096);
  assert.equal(pipe.setCapacity(2 << 20), -EPERM);
  assert.equal(pipe.setCapacity(1 << 20), 1 << 20);
  pipe.put(new Uint8Array(10_000));
  assert.equal(pipe.setCapacity(4096), -EBUSY);
  assert.equal(pipe.setCapacity(-1), -EINVAL);
});

test('fifo: read-only waits for a writer, write-only without a reader is ENXIO with O_NONBLOCK', () => {
  const kit = new Kit();
  const { kernel, task } = kit;
  const inode = kernel.vfs.root.inode.create('fifo', 0o010666, 0, 0, 0) as Inode;
  assert.equal(openFifo(inode, O_WRONLY | O_NONBLOCK, task), -ENXIO);
  const reader = kit.newTask(4, task);
  const wait = openFifo(inode, 0, reader);
  assert.ok(typeof wait === 'object' && 'queues' in wait);
  kernel.block(reader, wait);
  const writeEnd = openFifo(inode, O_WRONLY | O_NONBLOCK, task) as PipeFile;
  assert.ok(writeEnd instanceof PipeFile);
  // The reader has been let in but has not run yet: writing works already.
  assert.equal(writeEnd.write(task, Uint8Array.of(7)), 1);
  assert.ok(kit.woken(reader));
  const readEnd = openFifo(inode, 0, reader) as PipeFile;
  reader.rerun = null;
  const out = new Uint8Array(4);
  assert.equal(readEnd.read(reader, out), 1);
  writeEnd.unref();
  assert.equal(readEnd.read(reader, out), 0);
  readEnd.unref();
  const both = openFifo(inode, O_RDWR, task) as PipeFile;
  assert.equal(both.write(task, Uint8Array.of(1, 2)), 2);
  assert.equal(both.read(task, out), 2);
});

test('a saved pipe is restored with its content, twice, and the copies do not share it', () => {
  const pipe = new Pipe(parts());
  pipe.put(Uint8Array.of(1, 2, 3));
  const state = pipe.save();
  const copies = [Pipe.restore(state, parts()), Pipe.restore(state, parts())];
  copies[0].put(Uint8Array.of(9));
  const out = new Uint8Array(8);
  assert.equal(copies[0].take(out), 4);
  assert.equal(copies[1].take(out), 3);
  assert.deepEqual([...out.subarray(0, 3)], [1, 2, 3]);
});

test('eventfd: counter, semaphore, blocking, limits', () => {
  const kit = new Kit();
  const fd = kit.call('eventfd2', 3, O_NONBLOCK);
  assert.equal(kit.call('read', fd, kit.buffer, 4), -EINVAL);
  assert.equal(kit.call('read', fd, kit.buffer, 8), 8);
  assert.equal(kit.u64(0), 3n);
  assert.equal(kit.call('read', fd, kit.buffer, 8), -EAGAIN);
  kit.words(0, -1n);
  assert.equal(kit.call('write', fd, kit.buffer, 8), -EINVAL);
  kit.words(0, -2n);
  assert.equal(kit.call('write', fd, kit.buffer, 8), 8);
  kit.words(0, 1n);
  assert.equal(kit.call('write', fd, kit.buffer, 8), -EAGAIN);
  const semaphore = kit.call('eventfd2', 2, O_NONBLOCK | 1);
  for (const expected of [8, 8, -EAGAIN]) assert.equal(kit.call('read', semaphore, kit.buffer, 8), expected);
  assert.equal(kit.u64(0), 1n);
  assert.equal(kit.call('eventfd2', 0, 2), -EINVAL);
});

test('beyond the soft limit pipes get one page and cannot grow; closing gives the pages back', () => {
  const kit = new Kit();
  const { ipc } = kit.kernel;
  ipc.pipePages = PIPE_PAGES_SOFT - 16;
  const [r1, w1] = kit.pipe();
  assert.equal(ipc.pipePages, PIPE_PAGES_SOFT);
  const [r2, w2] = kit.pipe(O_NONBLOCK);
  assert.equal(kit.write(w2, 'x'.repeat(5000)), 4096);
  const file = kit.task.process.files.get(r2) as PipeFile;
  assert.equal(file.pipe.setCapacity(8192), -EPERM);
  for (const fd of [r1, w1, r2, w2]) kit.call('close', fd);
  assert.equal(ipc.pipePages, PIPE_PAGES_SOFT - 16);
});
