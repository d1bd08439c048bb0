// The memory of branches of running sandboxes: shared until it is written, right on every side, and given back.

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import test, { afterEach } from 'node:test';
import { Talker } from './branchhelp.ts';

/** 100 MB of which every page differs from every other. */
const FILL = 'a = np.arange(100 << 17, dtype=np.int64)';
const MB = 2 ** 20;

/** Layers this process has, and the memory in them. */
function layers(): { readonly count: number; readonly bytes: number } {
  const sizes = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:offshoot-layer') ? [statSync(`/proc/self/fd/${fd}`).blocks * 512] : [];
    } catch {
      return []; // the directory's own
    }
  });
  return { count: sizes.length, bytes: sizes.reduce((sum, bytes) => sum + bytes, 0) };
}

afterEach(() => Talker.closeAll());

function check(talker: Talker, expression: string, expected: string, what: string): void {
  assert.equal(talker.do(`print((${expression}))`), expected, what);
}

test('each side writes all of 100 MB: the other sees nothing of it', async () => {
  const source = await Talker.start();
  source.do(FILL);
  const before = source.do('print(crc(a))');
  const bytes = layers().bytes;
  const branch = source.branch();
  const [mb, afterwards] = [bytes / MB, layers().bytes / MB];
  assert.ok(mb >= 100 && afterwards <= mb + 6, `it is shared: ${mb} MB, then ${afterwards}`); // some of the rest has changed much
  source.do('a += 1');
  check(branch, 'crc(a)', before, 'the branch, after the source has written');
  const written = source.do('print(crc(a))');
  assert.notEqual(written, before);
  branch.do('a *= 3');
  check(source, 'crc(a)', written, 'the source, after the branch has written');
  check(branch, 'bool((a == np.arange(100 << 17, dtype=np.int64) * 3).all())', 'True', 'the branch');
  branch.close();
  source.close();
  assert.deepEqual(layers(), { count: 0, bytes: 0 });
});

test('every other page, written on both sides, branched again', async () => {
  const source = await Talker.start();
  source.do(FILL);
  const branch = source.branch();
  source.do('a[::1024] = 7');
  branch.do('a[512::1024] = 8');
  const second = branch.branch(); // half of each granule is written to a new layer
  const third = source.branch();
  source.do('a[512::1024] = 9');
  branch.do('a[::1024] = 10');
  const expect = (even: string, odd: string): string => `bool((a[::1024] == ${even}).all() and (a[512::1024] == ${odd}).all()), int(a[1::512].sum())`;
  const kept = '(True, ' + source.do('print(int((np.arange(100 << 17, dtype=np.int64))[1::512].sum()))') + ')';
  const [even, odd] = ['np.arange(0, 100 << 17, 1024)', 'np.arange(512, 100 << 17, 1024)'];
  check(source, expect('7', '9'), kept, 'source');
  check(branch, expect('10', '8'), kept, 'branch');
  check(second, expect(even, '8'), kept, 'branch of the branch');
  check(third, expect('7', odd), kept, 'second branch of the source');
  for (const talker of [source, third, second, branch]) talker.close();
  assert.deepEqual(layers(), { count: 0, bytes: 0 });
});

test('a chain of 60 branches, each of the one before: each has what it wrote, and what was there', async () => {
  const chain = [await Talker.start()];
  chain[0].do('kept = np.arange(10 << 17, dtype=np.int64); parts = []; marks = np.zeros(60 * 512, dtype=np.int64)');
  const before = chain[0].do('print(crc(kept))');
  for (let depth = 1; depth <= 60; depth++) {
    const last = chain[chain.length - 1].branch();
    chain.push(last);
    last.do(`parts.append(np.full(2 << 17, ${depth}, dtype=np.int64)); marks[${depth - 1} * 512] = ${depth}; parts[0][${depth}] = -${depth}`);
    const { layers: count, mappings } = last.guest.machine.memory.layers.counts;
    assert.ok(count <= 34 && mappings <= 256, `${count} layers, ${mappings} mappings at depth ${depth}`);
    if (depth % 3 === 0) chain.splice(chain.length - 2, 1)[0].close(); // some are closed before their branches
  }
  const depths = chain.map((talker) => Number(talker.do('print(len(parts))')));
  assert.equal(depths.at(-1), 60);
  chain.forEach((talker, i) => {
    const n = depths[i];
    check(talker, 'crc(kept), marks[::512].tolist()', `(${before}, ${list(60, (at) => (at < n ? at + 1 : 0))})`, `marks at depth ${n}`);
    if (n === 0) return;
    const parts = `(${list(n, (at) => at + 1)}, ${list(n - 1, (at) => at + 2)})`;
    check(talker, '[int(p[-1]) for p in parts], [int(p.min()) for p in parts[1:]]', parts, `parts at depth ${n}`);
    check(talker, 'parts[0][1:61].tolist()', list(60, (at) => (at < n ? -at - 1 : 1)), `first part at depth ${n}`);
  });
  for (const talker of chain) talker.close();
  assert.deepEqual(layers(), { count: 0, bytes: 0 });
});

function list(length: number, of: (at: number) => number): string {
  return `[${Array.from({ length }, (_, at) => of(at)).join(', ')}]`;
}

test('50 branches of one sandbox, which goes on writing: each keeps what it saw', async () => {
  const source = await Talker.start();
  source.do('a = np.arange(32 << 17, dtype=np.int64)');
  const seen: [Talker, string][] = [];
  for (let i = 0; i < 50; i++) {
    source.do(`a[${i} * 65536:(${i} + 4) * 65536] += ${i + 1}; a[::8192] ^= ${i + 1}`);
    seen.push([source.branch(), source.do('print(crc(a))')]);
    const { layers: count, mappings } = source.guest.machine.memory.layers.counts;
    assert.ok(count <= 34 && mappings <= 256, `${count} layers, ${mappings} mappings`);
    if (i % 5 === 4) seen.splice(i % 7, 1)[0][0].close();
  }
  assert.equal(new Set(seen.map(([, crc]) => crc)).size, seen.length);
  source.close();
  for (const [branch, crc] of seen) check(branch, 'crc(a)', crc, 'after the source is closed');
  for (const [branch] of seen) branch.close();
  assert.deepEqual(layers(), { count: 0, bytes: 0 });
});

test('what one side alone has goes with it', async () => {
  const source = await Talker.start();
  source.do(FILL);
  const [one, two] = source.branches(2);
  one.do('b = np.full(50 << 17, 5, dtype=np.int64)');
  const both = layers().bytes;
  assert.ok(both >= 150 * MB, `${both / MB} MB`);
  one.close();
  const without = layers().bytes;
  assert.ok(without <= both - 50 * MB, `${both / MB} MB, then ${without / MB}`);
  source.do('a += 1');
  const third = source.branch(); // all of the source's pages are in a new layer now
  assert.ok(layers().bytes >= 195 * MB, 'and shared, not copied');
  source.do('a += 1');
  two.close();
  const rest = layers().bytes;
  assert.ok(rest < 120 * MB, `the first layer is gone: ${rest / MB} MB`);
  check(third, 'bool((a == np.arange(1, (100 << 17) + 1)).all())', 'True', 'third');
  source.close();
  check(third, 'bool((a == np.arange(1, (100 << 17) + 1)).all())', 'True', 'third, alone');
  third.close();
  assert.deepEqual(layers(), { count: 0, bytes: 0 });
});

test('memory mapped, protected and unmapped after a branch is right on both sides', async () => {
  const source = await Talker.start();
  source.do(`
maps = [mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(32)]
for i, m in enumerate(maps): m[:] = bytes([i]) * len(m)`);
  const branch = source.branch();
  const churn = (add: number): string => `
for i in range(0, 32, 2): maps[i].close()
for i in range(0, 32, 2):
  maps[i] = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
  assert maps[i][:] == bytes(1 << 20)
  maps[i][:] = bytes([i + ${add}]) * len(maps[i])
  maps[i + 1][4096:8192] = bytes([${add}]) * 4096`;
  const read = 'zlib.crc32(b"".join(m[:] for m in maps)), [m[0] for m in maps], {m[5000] for m in maps[1::2]}';
  const before = branch.do(`print((${read}))`);
  source.do(churn(64));
  check(branch, read, before, 'the branch, after the source');
  branch.do(churn(128));
  const all = (add: number): string => list(32, (at) => (at % 2 === 0 ? at + add : at));
  assert.match(source.do(`print((${read}))`), new RegExp(`, ${all(64).replace(/[[\]]/g, '\\$&')}, \\{64\\}\\)$`));
  assert.match(branch.do(`print((${read}))`), new RegExp(`, ${all(128).replace(/[[\]]/g, '\\$&')}, \\{128\\}\\)$`));
  branch.close();
  source.close();
});

test('a sandbox that was not prepared for it is branched all the same', async () => {
  const source = await Talker.start(512 << 20, false);
  source.do('a = np.arange(20 << 17, dtype=np.int64)');
  const before = source.do('print(crc(a))');
  const branch = source.branch();
  source.do('a += 1; b = np.full(20 << 17, 3)');
  check(branch, 'crc(a)', before, 'branch');
  check(branch, 'int(np.full(20 << 17, 4).sum()), crc(a)', `(${4 * 20 * 2 ** 17}, ${before})`, 'branch that grew');
  check(source, 'int(b.sum()), int(a[5])', `(${3 * 20 * 2 ** 17}, 6)`, 'source');
  branch.close();
  source.close();
  assert.deepEqual(layers(), { count: 0, bytes: 0 });
});
