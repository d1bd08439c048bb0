// A file mapped read-only and seen as bytes: images' blobs and template files.

import { MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_READ } from '../abi/linux/host.ts';
import type { Arena, Region } from './arena.ts';
import { mmap } from './libc.ts';

/** A mapped file. Its bytes must not be touched after `release`; the file must not shrink (SIGBUS ends the process). */
export interface MappedFile {
  readonly bytes: Uint8Array;
  release(): void;
}

/** Maps the first `sizeBytes` of an open file. The descriptor may be closed afterwards. Throws HostError. */
export function mapFile(arena: Arena, fd: number, sizeBytes: number): MappedFile {
  const region: Region = arena.take(Math.max(sizeBytes, 1));
  mmap(region.hva, region.sizeBytes, PROT_READ, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd, 0);
  return { bytes: new Uint8Array(region.buffer, region.byteOffset, sizeBytes), release: () => arena.release(region) };
}
