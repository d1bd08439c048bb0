// Descriptor tables against a model: maps from numbers to files. The lowest free number is given, limits hold, a file is released with its
// last descriptor and not before, copies and shared tables are what fork and CLONE_FILES make, and a saved table is the same one.

import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { EBADF, EMFILE } from '../../../src/abi/linux/errno.ts';
import { FdTable } from '../../../src/kernel/fs/fdtable.ts';
import { File } from '../../../src/kernel/fs/file.ts';
import { TextInode } from '../../../src/kernel/fs/pseudo.ts';
import { Drawer, check, tape } from './model.ts';

class Released extends File {
  isReleased = false;
  override release(): void {
    assert.equal(this.isReleased, false, 'released twice');
    this.isReleased = true;
    super.release();
  }
}

interface Known { readonly file: Released; readonly cloexec: boolean }
interface Pair { table: FdTable; readonly model: Map<number, Known>; limit: number }

function lowest(model: Map<number, Known>, least: number): number {
  let fd = least;
  while (model.has(fd)) fd++;
  return fd;
}

class Check {
  private readonly draw: Drawer;
  private readonly files: Released[] = [];
  private pairs: Pair[] = [{ table: new FdTable(24), model: new Map(), limit: 24 }];

  constructor(draw: Drawer) {
    this.draw = draw;
  }

  run(): void {
    const steps = [this.open, this.open, this.dup, this.dup, this.dupTo, this.close, this.close, this.closeRange, this.cloexec, this.exec, this.limit,
      this.fork, this.end, this.reload];
    while (!this.draw.isOver) {
      const step = this.draw.of(steps);
      step.call(this, this.draw.of(this.pairs));
      for (const pair of this.pairs) this.compare(pair, step.name);
    }
    for (const { table } of this.pairs) table.release();
    for (const file of this.files) assert.ok(file.isReleased, 'a file is left');
  }

  private compare({ table, model, limit }: Pair, step: string): void {
    const seen: [number, File, boolean][] = [];
    table.forEach((fd, file) => seen.push([fd, file, table.isCloexec(fd)]));
    const wanted = [...model].sort(([a], [b]) => a - b);
    assert.deepEqual(seen.map(([fd, , cloexec]) => `${fd} ${cloexec}`), wanted.map(([fd, known]) => `${fd} ${known.cloexec}`), step);
    seen.forEach(([, file], i) => assert.equal(file, wanted[i][1].file, step));
    assert.equal(table.count, model.size, step);
    assert.equal(table.hasRoom(), lowest(model, 0) < limit, step);
    const held = new Set(this.pairs.flatMap((pair) => [...pair.model.values()].map(({ file }) => file)));
    for (const file of this.files) assert.equal(file.isReleased, !held.has(file), `${step}: a file is released with its last descriptor`);
  }

  private install(pair: Pair, file: Released, least: number, cloexec: boolean): void {
    const fd = lowest(pair.model, least);
    const got = pair.table.install(file, least, cloexec);
    assert.equal(got, fd < pair.limit ? fd : -EMFILE, 'install');
    if (got >= 0) pair.model.set(fd, { file, cloexec });
    else file.unref();
  }

  private open(pair: Pair): void {
    const file = new Released(new TextInode({ dev: 1, bootTime: 0n }, `file ${this.files.length}`, () => ''), 2, 'file');
    this.files.push(file);
    this.install(pair, file, 0, this.draw.below(2) === 1);
  }

  private some({ model }: Pair): Known | undefined {
    return [...model.values()][this.draw.below(Math.max(1, model.size))];
  }

  private dup(pair: Pair): void {
    const known = this.some(pair);
    if (known) this.install(pair, known.file.ref(), this.draw.below(30), this.draw.below(2) === 1);
  }

  private dupTo(pair: Pair): void {
    const known = this.some(pair);
    if (!known) return;
    const fd = this.draw.below(30) - 2, cloexec = this.draw.below(2) === 1;
    const got = pair.table.installAt(fd, known.file.ref(), cloexec);
    assert.equal(got, fd >= 0 && fd < pair.limit ? fd : -EBADF, 'installAt');
    if (got >= 0) pair.model.set(fd, { file: known.file, cloexec });
    else known.file.unref();
  }

  private close(pair: Pair): void {
    const fd = this.draw.below(30) - 2;
    assert.equal(pair.table.close(fd), pair.model.delete(fd) ? 0 : -EBADF, 'close');
  }

  private closeRange(pair: Pair): void {
    const first = this.draw.below(30), last = this.draw.below(40);
    const wanted = [...pair.model.keys()].filter((fd) => fd >= first && fd <= last).sort((a, b) => a - b);
    assert.deepEqual(pair.table.openBetween(first, last), wanted);
    for (const fd of wanted) {
      pair.table.close(fd);
      pair.model.delete(fd);
    }
  }

  private cloexec(pair: Pair): void {
    const fd = this.draw.below(24), cloexec = this.draw.below(2) === 1;
    const known = pair.model.get(fd);
    if (!known) return;
    pair.table.setCloexec(fd, cloexec);
    pair.model.set(fd, { ...known, cloexec });
  }

  private exec(pair: Pair): void {
    pair.table.closeOnExec();
    for (const [fd, { cloexec }] of [...pair.model]) if (cloexec) pair.model.delete(fd);
  }

  private limit(pair: Pair): void {
    pair.limit = pair.table.limit = 1 + this.draw.below(30);
  }

  private fork(pair: Pair): void {
    if (this.pairs.length < 4) this.pairs.push({ ...pair, table: pair.table.clone(), model: new Map(pair.model) });
  }

  private end(pair: Pair): void {
    if (this.pairs.length < 2) return;
    // Twice: the first time somebody shares it.
    const shared = pair.table.share();
    shared.release();
    this.compare(pair, 'shared');
    pair.table.release();
    this.pairs = this.pairs.filter((other) => other !== pair);
  }

  private reload(pair: Pair): void {
    pair.table = FdTable.restore(structuredClone(pair.table.save((file) => this.files.indexOf(file as Released))), (id) => this.files[id]);
  }
}

test('model: descriptor tables', () => {
  check(fc.property(tape(300), (numbers) => new Check(new Drawer(numbers)).run()), 200);
});
