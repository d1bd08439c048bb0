// A pipe against a model: a list of bytes with a capacity. A writer that blocks and a reader that does not, polls, sizes, ends that are
// closed, and going on in a forked sandbox.

import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { EAGAIN, EBUSY, EPIPE } from '../../../src/abi/linux/errno.ts';
import { F_GETFL, F_SETFL } from '../../../src/abi/linux/fcntl.ts';
import { FIONREAD } from '../../../src/abi/linux/ioctl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../../src/abi/linux/poll.ts';
import { Kit } from './fskit.ts';
import { Drawer, check, tape } from './model.ts';

const O_NONBLOCK = 0o4000, F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032, PIPE_BUF = 4096;
const SIZES = [0, 1, 2, 100, 4095, 4096, 4097, 8192, 10000, 65535, 65536, 65537, 100_000];
const SOURCE = 0x80000, TARGET = 0x40000, TARGET_MAX = 0x3f000, POLLFD = 0x100;

class Check {
  private readonly draw: Drawer;
  private kit = new Kit();
  private readonly reader: number;
  private readonly writer: number;
  /** In the pipe: every byte is the low byte of its position in all that was written. */
  private from = 0;
  private to = 0;
  private capacity = 65536;
  private hasReader = true;
  private hasWriter = true;
  /** The blocked write: of so many bytes, so many are still to come. */
  private pending: { readonly length: number; rest: number } | null = null;

  constructor(draw: Drawer) {
    this.draw = draw;
    [this.reader, this.writer] = this.kit.pipe();
    this.kit.call('fcntl', this.reader, F_SETFL, O_NONBLOCK);
  }

  run(): void {
    const steps = [this.write, this.write, this.write, this.read, this.read, this.read, this.read, this.resize, this.mode, this.fork, this.close];
    while (!this.draw.isOver && this.hasReader) {
      const step = this.draw.of(steps);
      step.call(this);
      this.poll(step.name);
    }
  }

  private get length(): number {
    return this.to - this.from;
  }

  private get free(): number {
    return Math.max(0, this.capacity - this.length);
  }

  /** What a write of `length` bytes, `rest` of them left, puts in now. */
  private goesIn(length: number, rest: number): number {
    return length <= PIPE_BUF && this.free < rest ? 0 : Math.min(this.free, rest);
  }

  private source(length: number): number {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.to + i;
    return this.kit.put(bytes, SOURCE);
  }

  private write(): void {
    if (this.pending || !this.hasWriter) return;
    const length = this.draw.of(SIZES);
    const isBlocking = (this.kit.call('fcntl', this.writer, F_GETFL, 0) & O_NONBLOCK) === 0;
    const result = this.kit.start('write', [this.writer, this.source(length), length]);
    const goes = this.goesIn(length, length);
    this.to += goes;
    if (goes === length) return assert.equal(result, length, 'write');
    if (!isBlocking) return assert.equal(result, goes || -EAGAIN, 'write without blocking');
    assert.equal(typeof result, 'object', 'a write that does not fit blocks');
    this.pending = { length, rest: length - goes };
  }

  private read(): void {
    const length = Math.min(this.draw.of(SIZES), TARGET_MAX);
    const got = this.kit.call('read', this.reader, this.kit.buffer + TARGET, length);
    if (length === 0) return assert.equal(got, 0, 'read of nothing');
    if (this.length === 0) return assert.equal(got, this.hasWriter ? -EAGAIN : 0, 'read of an empty pipe');
    const wanted = Math.min(length, this.length);
    assert.equal(got, wanted, 'read');
    const bytes = this.kit.bytes(TARGET, got);
    assert.ok(bytes.every((byte, i) => byte === (this.from + i) % 256), 'bytes in order');
    this.from += wanted;
    this.goOn();
  }

  /** The blocked writer, where it was woken; it must be whenever a write of PIPE_BUF bytes fits. */
  private goOn(): void {
    if (!this.pending) return;
    if (!this.kit.woken()) return assert.ok(this.free < PIPE_BUF, 'a blocked writer is woken when there is room');
    const { length, rest } = this.pending;
    const start = this.kit.buffer + SOURCE;
    const result = this.kit.start('write', [this.writer, start, length]);
    const goes = this.goesIn(length, rest);
    this.to += goes;
    this.pending.rest -= goes;
    if (this.pending.rest > 0) return assert.equal(typeof result, 'object', 'it goes on blocking');
    assert.equal(result, length, 'all of it');
    this.pending = null;
  }

  private resize(): void {
    const wanted = this.draw.of([1, 4096, 5000, 16384, 65536, 131072]);
    const size = Math.max(4096, 2 ** Math.ceil(Math.log2(wanted)));
    const result = this.kit.call('fcntl', this.reader, F_SETPIPE_SZ, wanted);
    if (size < this.length) return assert.equal(result, -EBUSY, 'smaller than its content');
    assert.equal(result, size, 'F_SETPIPE_SZ');
    this.capacity = size;
    this.goOn();
  }

  private mode(): void {
    if (!this.pending && this.hasWriter) this.kit.call('fcntl', this.writer, F_SETFL, this.draw.of([0, O_NONBLOCK]));
  }

  private fork(): void {
    this.kit = new Kit(this.kit);
  }

  /** Rarely: the end of the writer, or of the reader and with it of the test. */
  private close(): void {
    if (this.draw.below(4) !== 0) return;
    if (this.draw.below(2) === 0) {
      if (this.pending || !this.hasWriter) return;
      assert.equal(this.kit.call('close', this.writer), 0);
      this.hasWriter = false;
      return;
    }
    assert.equal(this.kit.call('close', this.reader), 0);
    this.hasReader = false;
    if (!this.pending) return;
    assert.ok(this.kit.woken(), 'a writer without readers is woken');
    const { length, rest } = this.pending;
    const result = this.kit.start('write', [this.writer, this.kit.buffer + SOURCE, length]);
    assert.equal(result, length - rest || -EPIPE, 'what was written, or EPIPE');
  }

  private pollOne(fd: number): number {
    this.kit.ints(POLLFD, fd, POLLIN | POLLOUT);
    this.kit.call('poll', this.kit.buffer + POLLFD, 1, 0);
    return this.kit.i32(POLLFD + 4) >>> 16;
  }

  private poll(step: string): void {
    if (this.hasReader) {
      assert.equal(this.pollOne(this.reader), (this.length > 0 ? POLLIN : 0) | (this.hasWriter ? 0 : POLLHUP), `${step}: poll the reader`);
      this.kit.call('ioctl', this.reader, FIONREAD, this.kit.buffer);
      assert.equal(this.kit.i32(0), this.length, `${step}: FIONREAD`);
      assert.equal(this.kit.call('fcntl', this.reader, F_GETPIPE_SZ, 0), this.capacity, step);
    }
    if (!this.hasWriter) return;
    const expected = (this.free >= PIPE_BUF ? POLLOUT : 0) | (this.hasReader ? 0 : POLLERR);
    assert.equal(this.pollOne(this.writer), expected, `${step}: poll the writer`);
  }
}

test('model: pipes', () => {
  check(fc.property(tape(150), (numbers) => new Check(new Drawer(numbers)).run()), 100);
});
