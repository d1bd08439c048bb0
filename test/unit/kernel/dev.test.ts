// Devices, the host streams and the control channel.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EACCES, EMSGSIZE, ENODEV, ENOSPC, ENOTTY, ENXIO, EPIPE } from '../../../src/abi/linux/errno.ts';
import { FIONREAD } from '../../../src/abi/linux/ioctl.ts';
import { TCGETS } from '../../../src/abi/linux/termios.ts';
import { POLLIN } from '../../../src/abi/linux/poll.ts';
import { lookupAt } from '../../../src/kernel/fs/path.ts';
import { Kit } from './fskit.ts';

const O_WRONLY = 1, O_RDWR = 2;

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** A kit with descriptors 0, 1, 2 and the control channel as 3. */
function withStreams(): Kit {
  const kit = new Kit();
  const { streams, control } = kit.kernel;
  const files = [streams.openStdin(), streams.openOutput(1), streams.openOutput(2), control.openFile()];
  for (const file of files) kit.task.process.files.install(file);
  return kit;
}

test('memory devices', () => {
  const kit = new Kit();
  const [zero, full, none, random] = ['zero', 'full', 'null', 'urandom'].map((name) => kit.open(`/dev/${name}`, O_RDWR));
  kit.put('xxxx', 0x40000);
  assert.equal(kit.read(zero, 4), '\0\0\0\0');
  assert.equal(kit.read(full, 2), '\0\0');
  assert.equal(kit.write(full, 'x'), -ENOSPC);
  assert.equal(kit.read(none), '');
  assert.equal(kit.write(none, 'abc'), 3);
  assert.equal((kit.read(random, 300) as string).length, 300);
  assert.notEqual(kit.read(random, 16), kit.read(random, 16));
  assert.equal(kit.call('lseek', none, 100, 0), 0);
  assert.equal(kit.open('/dev/tty', O_RDWR), -ENXIO);
});

test('device numbers and modes; a node made elsewhere works too', () => {
  const kit = new Kit();
  const shown = Object.fromEntries(['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx'].map((name) => {
    const at = lookupAt(kit.task, -100, `/dev/${name}`, 0);
    assert.ok(typeof at !== 'number');
    return [name, `${at.inode.mode.toString(8)} ${at.inode.rdev >> 8}:${at.inode.rdev & 255}`];
  }));
  assert.deepEqual(shown, {
    null: '20666 1:3', zero: '20666 1:5', full: '20666 1:7', random: '20666 1:8', urandom: '20666 1:9', tty: '20666 5:0', ptmx: '20666 5:2',
  });
  kit.kernel.vfs.root.inode.create('mynull', 0o020666, 0, 0, 0x103);
  assert.equal(kit.write(kit.open('/mynull', O_WRONLY), 'x'), 1);
  const zero = kit.task.process.files.get(kit.open('/dev/zero', O_RDWR));
  assert.ok(typeof zero?.mmapInode() === 'object');
  assert.equal(kit.task.process.files.get(kit.open('/dev/null', O_RDWR))?.mmapInode(), -ENODEV);
});

test('stdout and stderr reach the host as they are written and look like pipes', () => {
  const kit = withStreams();
  assert.equal(kit.write(1, 'a\0b'), 3);
  assert.equal(kit.write(2, 'err'), 3);
  assert.deepEqual([...kit.host.outputs], [[1, 'a\0b'], [2, 'err']]);
  assert.equal(kit.call('ioctl', 1, TCGETS, 0), -ENOTTY);
  assert.equal((kit.task.process.files.get(1)?.inode.mode ?? 0) & 0o170000, 0o010000);
  assert.equal(kit.write(kit.open('/dev/stdout', O_WRONLY), '!'), 1);
  assert.equal(kit.host.outputs.get(1), 'a\0b!');
  assert.equal(kit.open('/dev/stdout', 0), -EACCES);
});

test('the output limit delivers what fits and ends the sandbox', () => {
  const kit = withStreams();
  assert.equal(kit.write(1, 'x'.repeat(60)), 60);
  assert.equal(kit.write(2, 'y'.repeat(60)), 40);
  assert.deepEqual([kit.host.outputs.get(1)?.length, kit.host.outputs.get(2)?.length], [60, 40]);
  assert.equal(kit.kernel.endReason?.kind, 'limit');
});

test('stdin blocks until the engine pushes, ends when it closes', () => {
  const kit = withStreams();
  const { stdin } = kit.kernel.streams;
  const args = [0, kit.buffer + 0x1000, 4];
  kit.blocks('read', args);
  stdin.push(bytes('hello '));
  stdin.push(bytes('world'));
  assert.ok(kit.woken());
  assert.equal(kit.start('read', args), 4);
  assert.equal(kit.text(0x1000, 4), 'hell');
  assert.equal(kit.call('ioctl', 0, FIONREAD, kit.buffer), 0);
  assert.equal(kit.i32(0), 7);
  assert.equal(kit.read(0), 'o world');
  const poll = [kit.ints(0x100, 0, POLLIN), 1, -1];
  kit.blocks('poll', poll);
  stdin.close();
  assert.equal(kit.start('poll', poll), 1);
  assert.equal(kit.read(0), '');
});

test('control: messages keep their bounds, a reader is parked, closing is the end', () => {
  const kit = withStreams();
  const { control } = kit.kernel;
  const heard: string[] = [];
  assert.equal(kit.write(3, 'early'), 5);
  control.onMessage((message) => heard.push(String.fromCharCode(...message)));
  assert.equal(kit.write(3, 'hi'), 2);
  assert.deepEqual(heard, ['early', 'hi']);
  assert.equal(control.isParked, false);
  const args = [3, kit.buffer + 0x1000, 4];
  kit.blocks('read', args);
  assert.equal(control.isParked, true);
  assert.equal(control.send(bytes('longer')), true);
  assert.equal(control.send(bytes('two')), true);
  assert.equal(kit.start('read', args), 4);
  assert.equal(kit.text(0x1000, 4), 'long');
  assert.equal(kit.read(3), 'two');
  assert.equal(control.send(new Uint8Array(65537)), false);
  assert.equal(kit.call('write', 3, kit.buffer, 65537), -EMSGSIZE);
  control.close();
  assert.equal(kit.read(3), '');
  assert.equal(kit.write(3, 'x'), -EPIPE);
});
