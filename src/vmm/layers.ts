// Layers: which parts of a machine's memory lie in files that branches share, so that a branch maps instead of copying.
//
// What a machine that may be branched grows by lies in an anonymous file of its own, mapped MAP_SHARED. A branch freezes that
// file: from then on it is a layer, which nobody writes any more and both sides map MAP_PRIVATE. Pages that a side changes
// afterwards are its own, as those of the template's range always are. The next branch copies them, and where they have become
// many it writes the whole granule to a new layer instead, once, which both sides map again.
//
// Interface: one Layers for each Memory; `extend` when it grows, `freeze` on the source and `adopt` on the copy of a branch,
// `release` at its end. A layer holds each granule at the offset of its gpa, so neighbours of one layer are one mapping. What
// bounds it all: a machine has at most GRANULES_MAX granules (host mappings) in LAYERS_MAX layers (descriptors); a granule that no
// machine maps any more is punched out of its layer, and a layer that no machine maps is closed.

import {
  MADV_COLLAPSE, MADV_POPULATE_WRITE, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, MFD_CLOEXEC, PROT_READ, PROT_WRITE,
} from '../abi/linux/host.ts';
import { HostError } from '../host/errors.ts';
import { close, ftruncate, madvise, memfdCreate, mmap, punchHole, pwriteAll } from '../host/libc.ts';
import * as L from './layout.ts';

const PAGE = 4096;
const HUGE_PAGE_BYTES = 2 ** 21;
const GRANULES_MAX = 256;
const LAYERS_MAX = 32;
/** A granule is written to a new layer when so large a part of it would be copied, in this branch and those before it. */
const COPIED_PART_MAX = 1 / 2;

const PROT = PROT_READ | PROT_WRITE;

/** Runs of pages by gpa: [first gpa, bytes, …], ascending. */
export type PageRuns = readonly number[];

/** The memory in all layers of this process. */
export const allLayers = {
  bytes: 0,
  /** Called when it has changed. */
  changed: (): void => {},
};

function count(bytes: number): void {
  allLayers.bytes += bytes;
  allLayers.changed();
}

/** A file of which each granule is used by so many machines. */
class Layer {
  readonly fd: number;
  readonly #users: Uint32Array;
  readonly #granuleBytes: number;
  /** Granules somebody uses. */
  #used = 0;

  constructor(granules: number, granuleBytes: number) {
    this.fd = memfdCreate('offshoot-layer', MFD_CLOEXEC);
    ftruncate(this.fd, granules * granuleBytes);
    this.#users = new Uint32Array(granules);
    this.#granuleBytes = granuleBytes;
  }

  closeIfUnused(): void {
    if (this.#used === 0) close(this.fd);
  }

  isOnlyUser(granule: number): boolean {
    return this.#users[granule] === 1;
  }

  hold(granule: number): void {
    if (this.#users[granule]++ > 0) return;
    this.#used++;
    count(this.#granuleBytes);
  }

  /** Nothing maps the granule any more on behalf of one of its users. */
  letGo(granule: number): void {
    if (--this.#users[granule] > 0) return;
    count(-this.#granuleBytes);
    if (--this.#used === 0) close(this.fd);
    else punchHole(this.fd, granule * this.#granuleBytes, this.#granuleBytes);
  }
}

export class Layers {
  /** Where gpa 0 is in this process, as long as the memory is mapped. */
  hva = 0;
  readonly #limitBytes: number;
  /** Memory is in one layer or another by pieces of this size. */
  readonly granuleBytes: number;
  /** The layer each granule is mapped from; null where it is the template's file, anonymous or nothing. */
  readonly #of: (Layer | null)[];
  /** Pages copied for branches, by granule. */
  readonly #copied: Uint32Array;
  /** The layer this machine still writes: mapped MAP_SHARED. */
  #own: Layer | null = null;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    let size = HUGE_PAGE_BYTES;
    while (limitBytes / size > GRANULES_MAX) size *= 2;
    this.granuleBytes = size;
    const granules = Math.ceil(limitBytes / size);
    this.#of = new Array<Layer | null>(granules).fill(null);
    this.#copied = new Uint32Array(granules);
  }

  /** Maps fresh memory from gpa `start` on, a huge page of it or less. Returns where it ends. Throws HostError. */
  extend(start: number): number {
    const granule = Math.floor(start / this.granuleBytes);
    const granuleStart = this.#startOf(granule);
    const hva = this.hva + start;
    if (this.#of[granule] === null && start !== granuleStart) { // its beginning is in no layer
      const end = this.#endOf(granule);
      mmap(hva, end - start, PROT, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
      return end;
    }
    const end = Math.min(start + HUGE_PAGE_BYTES, this.#endOf(granule));
    if (this.#of[granule] === null) this.#mapOwn(granule);
    if (this.#of[granule] === this.#own) fill(hva, end - start);
    return end;
  }

  /** Puts what lies in [start, end) and holds nothing into this machine's own layer: whole granules of it. Throws HostError. */
  replaceEmpty(start: number, end: number): void {
    const first = Math.ceil(start / this.granuleBytes);
    const last = Math.floor(end / this.granuleBytes);
    for (let granule = first; granule < last; granule++) if (this.#of[granule] === null) this.#mapOwn(granule);
  }

  /**
   * Makes all layers of this machine immutable: it maps them privately from now on. `changed`: its own pages, those above the
   * area; from `end` on nothing is mapped. Returns those of them that a branch must copy. Nothing of this machine runs meanwhile. When it
   * throws HostError, this machine is of no use any more.
   */
  freeze(changed: PageRuns, end: number): number[] {
    const own = this.#own;
    this.#own = null;
    if (own) this.#forRuns((layer, start, bytes) => {
      if (layer === own) this.#mapPrivately(layer, start, bytes);
    });
    const rewritten = this.#rewrite(this.#toRewrite(changed), end);
    return without(changed, rewritten, this.granuleBytes);
  }

  /** Maps what `source`, which was frozen just now, has in layers. Both have the same limit. */
  adopt(source: Layers): void {
    source.#of.forEach((layer, granule) => {
      layer?.hold(granule);
      this.#of[granule] = layer;
    });
    this.#copied.set(source.#copied);
    this.#forRuns((layer, start, bytes) => this.#mapPrivately(layer, start, bytes));
  }

  /** The machine's memory is unmapped. */
  release(): void {
    this.#of.forEach((layer, granule) => layer?.letGo(granule));
    this.#of.fill(null);
    this.#own = null;
  }

  /** Bytes of layers that no other machine uses: what ending this one gives back, beside its own pages. */
  get ownBytes(): number {
    return this.#of.reduce((sum, layer, granule) => (layer?.isOnlyUser(granule) ? sum + this.granuleBytes : sum), 0);
  }

  /** Whether something of [start, end) lies in a layer. */
  isIn(start: number, end: number): boolean {
    return this.#of.some((layer, granule) => layer !== null && this.#startOf(granule) < end && this.#endOf(granule) > start);
  }

  /** Layers and mappings: for tests. */
  get counts(): { readonly layers: number; readonly mappings: number } {
    let mappings = 0;
    this.#forRuns(() => mappings++);
    return { layers: new Set(this.#of.filter((layer) => layer !== null)).size, mappings };
  }

  #newLayer(): Layer {
    return new Layer(this.#of.length, this.granuleBytes);
  }

  #mapOwn(granule: number): void {
    this.#own ??= this.#newLayer();
    const start = this.#startOf(granule);
    mmap(this.hva + start, this.#endOf(granule) - start, PROT, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, this.#own.fd, start);
    this.#own.hold(granule);
    this.#of[granule] = this.#own;
  }

  #mapPrivately({ fd }: Layer, start: number, bytes: number): void {
    mmap(this.hva + start, bytes, PROT, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd, start);
  }

  /** Calls back for each run of granules of one layer, where its memory lies. */
  #forRuns(visit: (layer: Layer, start: number, bytes: number) => void): void {
    for (let first = 0, next = 1; first < this.#of.length; first = next++) {
      const layer = this.#of[first];
      while (next < this.#of.length && this.#of[next] === layer) next++;
      if (layer) visit(layer, this.#startOf(first), this.#endOf(next - 1) - this.#startOf(first));
    }
  }

  /** Granules of which much was changed, and those of the smallest layers when there are too many. Counts what is copied of the rest. */
  #toRewrite(changed: PageRuns): Set<number> {
    const size = this.granuleBytes;
    for (let i = 0; i < changed.length; i += 2) {
      for (let at = changed[i], end = at + changed[i + 1]; at < end;) {
        const granule = Math.floor(at / size);
        const next = Math.min(end, (granule + 1) * size);
        this.#copied[granule] += (next - at) / PAGE;
        at = next;
      }
    }
    const found = new Set<number>();
    this.#copied.forEach((pages, granule) => {
      if (pages >= COPIED_PART_MAX * (size / PAGE)) found.add(granule);
    });
    for (const layer of this.#smallestLayers()) this.#of.forEach((each, granule) => each === layer && found.add(granule));
    return found;
  }

  /** With more than LAYERS_MAX layers, the smaller half of them. */
  #smallestLayers(): readonly Layer[] {
    const sizes = new Map<Layer, number>();
    for (const layer of this.#of) if (layer) sizes.set(layer, (sizes.get(layer) ?? 0) + 1);
    if (sizes.size <= LAYERS_MAX) return [];
    return [...sizes].sort(([, a], [, b]) => a - b).slice(0, sizes.size / 2).map(([layer]) => layer);
  }

  /**
   * Writes granules to a new layer, as far as something is mapped there, and maps that. Returns which: when the host has no room for more,
   * the rest stays as it is, to be copied.
   */
  #rewrite(granules: ReadonlySet<number>, mappedEnd: number): Set<number> {
    const done = new Set<number>();
    if (granules.size === 0) return done;
    let layer: Layer | null = null;
    try {
      layer = this.#newLayer();
      for (const granule of granules) {
        const start = this.#startOf(granule);
        pwriteAll(layer.fd, this.hva + start, Math.min(this.#endOf(granule), mappedEnd) - start, start);
        this.#mapPrivately(layer, start, this.#endOf(granule) - start);
        layer.hold(granule);
        this.#of[granule]?.letGo(granule);
        this.#of[granule] = layer;
        this.#copied[granule] = 0;
        done.add(granule);
      }
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
    layer?.closeIfUnused();
    return done;
  }

  /** The area at gpa 0 is mapped by the machine and in no layer. */
  #startOf(granule: number): number {
    return Math.max(granule * this.granuleBytes, L.AREA_BYTES);
  }

  #endOf(granule: number): number {
    return Math.min((granule + 1) * this.granuleBytes, this.#limitBytes);
  }
}

/**
 * Allocates fresh memory of a file, as a huge page where the host has them: to freeze and to map 100 MB of small ones takes ten times as
 * long. Where it cannot, all small ones together: that is a fault less for each. Throws HostError when there is no memory.
 */
function fill(hva: number, sizeBytes: number): void {
  if (!populate(hva, PAGE)) return; // nothing is made huge that nobody has touched
  try {
    madvise(hva, sizeBytes, MADV_COLLAPSE);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    populate(hva, sizeBytes);
  }
}

/** False: a host before Linux 5.14, which cannot. */
function populate(hva: number, sizeBytes: number): boolean {
  try {
    madvise(hva, sizeBytes, MADV_POPULATE_WRITE);
    return true;
  } catch (error) {
    if (error instanceof HostError && error.code === 'EINVAL') return false;
    throw error;
  }
}

/** What of `runs` lies outside of `granules`. */
function without(runs: PageRuns, granules: ReadonlySet<number>, granuleBytes: number): number[] {
  const rest: number[] = [];
  for (let i = 0; i < runs.length; i += 2) {
    for (let at = runs[i], end = at + runs[i + 1]; at < end;) {
      const granule = Math.floor(at / granuleBytes);
      const next = Math.min(end, (granule + 1) * granuleBytes);
      if (!granules.has(granule)) rest.push(at, next - at);
      at = next;
    }
  }
  return rest;
}
