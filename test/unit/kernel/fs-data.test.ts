// File contents: reads and writes of all kinds, holes, mapped pages, limits. A model (a plain byte array) says what must be read.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EBADF, EFAULT, EINVAL, EISDIR, ENXIO, ESPIPE } from '../../../src/abi/linux/errno.ts';
import {
  FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_APPEND, O_CREAT, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
} from '../../../src/abi/linux/fcntl.ts';
import { World } from './fsworld.ts';

const PAGE = 4096;
const IMAGE = new Uint8Array(5 * PAGE + 700).map((_, i) => 1 + i % 251);
const TREE = { 'f': { data: IMAGE }, 'small': { data: '0123456789' } };

function content(w: World, fd: number): Buffer {
  const n = w.call('pread64', fd, w.out, 1 << 18, 0);
  return Buffer.from(w.outBytes(n));
}

/** An iovec array over user addresses. */
function iovec(...pieces: readonly (readonly [number, number])[]): Uint8Array {
  const words = new BigUint64Array(pieces.flatMap(([base, length]) => [BigInt(base), BigInt(length)]));
  return new Uint8Array(words.buffer);
}

test('a file is what a byte array would be', () => {
  let seed = 7;
  const below = (n: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * n);
  };
  let w = new World(TREE);
  for (const path of ['/f', '/tmp/new']) {
    const fd = w.open(path, O_RDWR | O_CREAT);
    let model = path === '/f' ? Buffer.from(IMAGE) : Buffer.alloc(0);
    for (let step = 0; step < 250; step++) {
      const pos = below(7 * PAGE);
      const length = 1 + below(below(4) === 0 ? 3 * PAGE : 300);
      switch (below(7)) {
        case 0: case 1: {
          const data = new Uint8Array(length).fill(1 + below(255));
          assert.equal(w.call('pwrite64', fd, data, length, pos), length);
          if (model.length < pos + length) model = Buffer.concat([model, Buffer.alloc(pos + length - model.length)]);
          model.set(data, pos);
          break;
        }
        case 2:
          assert.equal(w.call('ftruncate', fd, pos), 0);
          model = pos <= model.length ? model.subarray(0, pos) : Buffer.concat([model, Buffer.alloc(pos - model.length)]);
          model = Buffer.from(model);
          break;
        case 3:
          assert.equal(w.call('fallocate', fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos, length), 0);
          model.fill(0, Math.min(pos, model.length), Math.min(pos + length, model.length));
          break;
        case 4: {
          const inode = w.task.process.files.get(fd)?.inode;
          const index = below(7);
          const gpa = inode?.mapPage(index, below(2) === 0) ?? 0;
          if (index * PAGE >= model.length) assert.equal(gpa, -EFAULT);
          else {
            const bytes = Buffer.from(w.kernel.frames.bytes(gpa));
            assert.deepEqual(bytes.subarray(0, model.length - index * PAGE), model.subarray(index * PAGE, (index + 1) * PAGE));
            w.kernel.frames.unref(gpa);
          }
          break;
        }
        case 5:
          if (below(10) === 0) w = w.fork();
          if (below(4) === 0) w.kernel.vfs.dropCaches();
          break;
        default: {
          const n = w.call('pread64', fd, w.out, length, pos);
          assert.deepEqual(Buffer.from(w.outBytes(n)), model.subarray(pos, pos + length));
        }
      }
      assert.deepEqual(content(w, fd), model, `${path}, step ${step}`);
    }
    w.call('close', fd);
    w.call('unlink', path);
  }
  assert.equal(w.kernel.vfs.budget.usedPages, 0, 'every page was given back');
});

test('holes are found and cost nothing', () => {
  const w = new World(TREE);
  const fd = w.open('/tmp/sparse', O_RDWR | O_CREAT);
  assert.equal(w.call('pwrite64', fd, 'end', 3, 2 ** 40), 3);
  assert.equal(w.stat('/tmp/sparse').st_size, 2 ** 40 + 3);
  assert.equal(w.stat('/tmp/sparse').st_blocks, 8);
  assert.equal(w.call('lseek', fd, 0, SEEK_DATA), 2 ** 40);
  assert.equal(w.call('lseek', fd, 0, SEEK_HOLE), 0);
  assert.equal(w.call('lseek', fd, 2 ** 40, SEEK_HOLE), 2 ** 40 + 3);
  assert.equal(w.call('lseek', fd, 2 ** 40 + 3, SEEK_DATA), -ENXIO);
  assert.equal(w.call('pread64', fd, w.out, 10, 12345), 10);
  assert.equal(w.call('ftruncate', fd, 2 ** 30), 0);
  assert.equal(w.call('lseek', fd, 0, SEEK_DATA), -ENXIO);
  assert.equal(w.kernel.vfs.budget.usedPages, 0);
  const image = w.open('/f', O_RDWR);
  assert.equal(w.call('lseek', image, 100, SEEK_DATA), 100);
  assert.equal(w.call('fallocate', image, 3, PAGE, PAGE), 0);
  assert.equal(w.call('lseek', image, 0, SEEK_HOLE), PAGE);
  assert.equal(w.call('lseek', image, PAGE, SEEK_DATA), 2 * PAGE);
  assert.equal(w.stat('/f').st_blocks, 40);
});

test('positions', () => {
  const w = new World(TREE);
  const fd = w.open('/small', O_RDWR);
  assert.equal(w.read(fd, 4), '0123');
  assert.equal(w.call('lseek', fd, -2, SEEK_END), 8);
  assert.equal(w.read(fd), '89');
  assert.equal(w.read(fd), '');
  assert.equal(w.call('lseek', fd, -11, SEEK_CUR), -EINVAL);
  assert.equal(w.call('lseek', fd, 0, 9), -EINVAL);
  assert.equal(w.call('lseek', fd, 100, SEEK_SET), 100);
  assert.equal(w.read(fd), '');
  assert.equal(w.call('pwrite64', fd, 'AB', 2, 1), 2);
  assert.equal(w.text('/small'), '0AB3456789');
  assert.equal(w.call('pread64', fd, w.out, 1, -1), -EINVAL);
  const append = w.open('/small', O_WRONLY | O_APPEND);
  assert.equal(w.call('pwrite64', append, 'Z', 1, 0), 1);
  assert.equal(w.text('/small'), '0AB3456789Z');
  assert.equal(w.call('read', append, w.out, 1), -EBADF);
  const dir = w.open('/tmp');
  assert.equal(w.call('read', dir, w.out, 1), -EISDIR);
  assert.equal(w.call('pipe2', w.out, 0), 0);
  assert.equal(w.call('pread64', new Uint32Array(w.outBytes(4).buffer)[0], w.out, 1, 0), -ESPIPE);
});

test('vectors, and what a bad pointer leaves done', () => {
  const w = new World(TREE);
  const fd = w.open('/small', O_RDWR);
  assert.equal(w.call('readv', fd, iovec([w.out, 3], [w.out + 100, 0], [w.out + 10, 4]), 3), 7);
  assert.equal(Buffer.from(w.outBytes(14)).toString('latin1').replaceAll('\0', '.'), '012.......3456');
  assert.equal(w.call('preadv', fd, iovec([w.out, 2]), 1, 8, 0), 2);
  assert.equal(w.call('readv', fd, iovec([0x10, 5]), 1), -EFAULT);
  assert.equal(w.call('lseek', fd, 0, SEEK_CUR), 7, 'nothing was read');
  assert.equal(w.call('writev', fd, iovec([w.out, 2], [0x10, 5]), 2), 2, 'what came before the bad piece');
  assert.equal(w.call('readv', fd, iovec(), 0), 0);
  assert.equal(w.call('readv', fd, 0x10, 1), -EFAULT);
  assert.equal(w.call('readv', fd, w.out, 1025), -EINVAL);
  assert.equal(w.call('readv', fd, iovec([w.out, 2 ** 63]), 1), -EINVAL);
  assert.equal(w.call('write', fd, 0x10, 0), 0);
});

test('sendfile and copy_file_range', () => {
  const w = new World(TREE);
  const from = w.open('/f');
  const to = w.open('/tmp/copy', O_RDWR | O_CREAT);
  assert.equal(w.call('sendfile', to, from, 0, 1 << 20), IMAGE.length);
  assert.deepEqual(content(w, to), Buffer.from(IMAGE));
  assert.equal(w.call('lseek', from, 0, SEEK_CUR), IMAGE.length);
  assert.equal(w.call('sendfile', to, from, 0, 10), 0);
  const offset = new Uint8Array(new BigUint64Array([BigInt(5 * PAGE)]).buffer);
  assert.equal(w.call('sendfile', to, from, offset, 1 << 20), 700);
  assert.equal(w.call('lseek', to, 0, SEEK_CUR), IMAGE.length + 700);
  assert.equal(w.call('copy_file_range', from, offset, to, new Uint8Array(8), 100, 0), 100);
  assert.deepEqual(content(w, to).subarray(0, 100), Buffer.from(IMAGE.subarray(5 * PAGE, 5 * PAGE + 100)));
  assert.equal(w.call('copy_file_range', to, new Uint8Array(8), to, offset, 1 << 20, 0), -EINVAL, 'they overlap');
  assert.equal(w.call('copy_file_range', to, 0, from, 0, 1, 0), -EBADF);
});
