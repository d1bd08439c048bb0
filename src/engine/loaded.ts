// A template in a worker: its file open for mapping, its kernel state decoded once and shared, read-only, by every fork.

import { closeSync, openSync } from 'node:fs';
import { deserialize } from 'node:v8';
import type { KernelState } from '../kernel/save.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../abi/linux/host.ts';
import type { Arena, Region } from '../host/arena.ts';
import { mmap, mprotect } from '../host/libc.ts';
import { mapFile } from '../host/mapfile.ts';
import { preferHugePages, type SharedMemory } from '../vmm/memory.ts';
import { Views } from '../vmm/views.ts';
import { checkedPath } from './home.ts';
import { NO_HOT_PAGES, type HotPages } from './hot.ts';
import type { KvmHost, MappedImage } from './kvmhost.ts';
import { RewindBase } from './rewind.ts';
import { HEADER_BYTES, TemplateRefused, readHeader, templateKey, verifyOnce, type TemplateHeader } from './templatefile.ts';

export class LoadedTemplate {
  readonly header: TemplateHeader;
  readonly image: MappedImage;
  /** Descriptor of the template file: forks map its memory MAP_PRIVATE. */
  readonly fd: number;
  /** Never changed after loading. */
  readonly state: KernelState;
  /** Pages (gva) that an interpreter of a stateful sandbox writes when it starts, learned from the first; empty: not known yet. */
  interpreterPages: ReadonlySet<number> = new Set();
  #hotPages: HotPages = NO_HOT_PAGES;
  #rewindBase: RewindBase | null = null;
  /** Its worker, and every fork of it. */
  #users = 1;
  readonly #arena: Arena;
  /** Memory that KVM sees in the place of the end of the file, in all forks. */
  readonly shared: HugeCopy | null;
  /** Views of its file that forks have left. */
  readonly views: Views;

  private constructor(arena: Arena, header: TemplateHeader, image: MappedImage, fd: number, state: KernelState, shared: HugeCopy | null) {
    this.#arena = arena;
    this.views = new Views(arena);
    this.header = header;
    this.image = image;
    this.fd = fd;
    this.state = state;
    this.shared = shared;
  }

  /** A template file whose content is known to be intact; `fd` then belongs to it. Throws TemplateRefused. */
  static load(host: KvmHost, header: TemplateHeader, fd: number): LoadedTemplate {
    const file = mapFile(host.kvm.arena, fd, header.memoryBytes + header.stateBytes);
    try {
      const state = decode(file.bytes.subarray(header.memoryBytes));
      return new LoadedTemplate(host.kvm.arena, header, host.image(header.imageId), fd, state, hugeCopy(host.kvm.arena, header.shared, file.bytes));
    } finally {
      file.release();
    }
  }

  /** Opens and verifies a template file. Throws TemplateRefused when it must be built again. */
  static open(host: KvmHost, path: string): LoadedTemplate {
    const header = readHeader(path, templateKey(host.home));
    const fd = openSync(path, 'r');
    try {
      const file = mapFile(host.kvm.arena, fd, header.memoryBytes + header.stateBytes);
      try {
        verifyOnce(checkedPath(host.home, header.name), path, header, file.bytes.subarray(HEADER_BYTES));
      } finally {
        file.release();
      }
      return LoadedTemplate.load(host, header, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** What its runs write, learned from rehearsals. */
  get hotPages(): HotPages {
    return this.#hotPages;
  }

  set hotPages(pages: HotPages) {
    this.#hotPages = pages;
    this.views.keep(pages.kept, this.rewindBase().u8);
  }

  /** What used forks are rewound to. */
  rewindBase(): RewindBase {
    return (this.#rewindBase ??= new RewindBase(this.#arena, this.fd, this.header.memoryBytes, this.state.mms.mms.map((mm) => mm.root)));
  }

  /** One more uses it, and will release it: a fork may be branched, or rewound, when its tenant has another build since long. */
  retain(): void {
    this.#users++;
  }

  /** One fewer uses it: with the last one its file is closed, and the memory that its forks shared is given back. */
  release(): void {
    if (--this.#users > 0) return;
    this.#rewindBase?.release();
    if (this.shared) this.#arena.release(this.shared.region);
    this.views.release();
    closeSync(this.fd);
  }
}

/** Shared memory, and the region it is in. */
export interface HugeCopy extends SharedMemory {
  readonly region: Region;
}

/** The shared text in huge pages, where the host has them; read-only. */
export function hugeCopy(arena: Arena, shared: TemplateHeader['shared'], file: Uint8Array): HugeCopy | null {
  if (!shared) return null;
  const { gpa, sizeBytes } = shared;
  const region = arena.take(sizeBytes);
  const { hva, buffer, byteOffset } = region;
  mmap(hva, sizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  preferHugePages(hva, sizeBytes);
  new Uint8Array(buffer, byteOffset, sizeBytes).set(file.subarray(gpa, gpa + sizeBytes));
  mprotect(hva, sizeBytes, PROT_READ);
  return { gpa, sizeBytes, hva, region };
}

function decode(bytes: Uint8Array): KernelState {
  try {
    // A copy: deserialized arrays are views of what they were read from, and the file is unmapped.
    return deserialize(bytes.slice()) as KernelState;
  } catch {
    throw new TemplateRefused('its state cannot be read by this version of Node');
  }
}
