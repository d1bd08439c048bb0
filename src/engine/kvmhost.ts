// What one worker process shares among all its VMs: /dev/kvm, the self-test's findings, mapped images, clocks.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { closeSync, openSync, readSync } from 'node:fs';
import { createHash, randomFillSync } from 'node:crypto';
import { hostClock } from '../host/clock.ts';
import { mapFile, type MappedFile } from '../host/mapfile.ts';
import { ImageError } from '../image/errors.ts';
import { openImage } from '../image/store.ts';
import { parseImageIndex, type ImageIndex } from '../kernel/fs/imageindex.ts';
import type { Host } from '../platform.ts';
import type { CpuInfo } from '../kernel/kernel.ts';
import { cpuInfo } from '../vmm/cpuinfo.ts';
import { openKvm, type Kvm } from '../vmm/kvm.ts';
import { fingerprint } from '../vmm/fingerprint.ts';
import { selfTest, type SelfTest } from '../vmm/selftest.ts';
import { Vvar } from '../vmm/vvar.ts';
import { OffshootError } from './errors.ts';
import { prepareHome } from './home.ts';

/** An image with its blob mapped. */
export interface MappedImage {
  readonly index: ImageIndex;
  readonly blob: MappedFile;
}

const VVAR_REFRESH_MS = 500;

export class KvmHost {
  readonly home: string;
  readonly kvm: Kvm;
  readonly selfTest: SelfTest;
  /** CPU features and kind of KVM: what a template's memory depends on. */
  readonly fingerprint: string;
  /** What kernels tell their programs about the processor. */
  readonly cpu: CpuInfo;
  private readonly images = new Map<string, MappedImage>();
  private readonly vvar: Vvar;

  private constructor(home: string, kvm: Kvm, result: SelfTest) {
    this.home = home;
    this.kvm = kvm;
    this.selfTest = result;
    this.fingerprint = fingerprint(kvm);
    this.cpu = cpuInfo(kvm);
    this.vvar = new Vvar(kvm);
    this.refreshClock();
    setInterval(() => this.refreshClock(), VVAR_REFRESH_MS).unref();
  }

  /** Opens /dev/kvm and makes sure that it behaves in a known way (tested once per kernel build). Throws OffshootError, HostError. */
  static open(home: string): KvmHost {
    prepareHome(home);
    const result = knownSelfTest(home);
    return new KvmHost(home, openKvm(result.kind), result);
  }

  /** Brings the time page up to date; called before long runs of guests, at least twice a second. */
  refreshClock(): void {
    this.vvar.refresh(hostClock);
  }

  /** An image, its blob mapped; kept for the life of the process. */
  image(id: string): MappedImage {
    const known = this.images.get(id);
    if (known) return known;
    const { blobPath, index } = openImage(this.home, id);
    const fd = openSync(blobPath, 'r');
    try {
      return this.mapImage(id, index, fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Makes image `id` known from its open files, the blob verified. They may be closed afterwards. Throws ImageError, ImageIndexError. */
  addImage(id: string, indexFd: number, indexBytes: number, blobFd: number): void {
    if (this.images.has(id)) return;
    const bytes = Buffer.alloc(indexBytes);
    for (let at = 0, got = 1; at < indexBytes && got > 0; at += got) got = readSync(indexFd, bytes, at, indexBytes - at, at);
    if (createHash('sha256').update(bytes).digest('hex') !== id) throw new ImageError('the checksum of an image index is wrong');
    this.mapImage(id, parseImageIndex(bytes, true), blobFd);
  }

  private mapImage(id: string, index: ImageIndex, blobFd: number): MappedImage {
    const mapped = { index, blob: mapFile(this.kvm.arena, blobFd, index.blobSizeBytes) };
    this.images.set(id, mapped);
    return mapped;
  }

  /** What a sandbox on this image may reach of the outside. */
  guestHost(image: MappedImage, output: (stream: number, bytes: Uint8Array) => void): Host {
    const { bytes } = image.blob;
    return {
      clock: hostClock,
      random: (target) => void randomFillSync(target),
      blob: (offset, length) => bytes.subarray(offset, offset + length),
      output,
    };
  }
}

/** Refuses a host that failed a check, by the check's name. Throws OffshootError. */
export function accepted(result: SelfTest): SelfTest {
  const failed = result.checks.find((check) => !check.ok);
  if (failed) throw new OffshootError('host-unsupported', `This host's KVM behaves in an unknown way: ${failed.name}: ${failed.detail}.`);
  return result;
}

/** The self-test's result for this kernel build, from the cache or by running it. */
function knownSelfTest(home: string): SelfTest {
  const path = `${home}/selftest.json`;
  const key = `2 ${readFileSync('/proc/version', 'utf8').trim()}`;
  try {
    const cached = JSON.parse(readFileSync(path, 'utf8')) as { key: string; result: SelfTest };
    if (cached.key === key) return cached.result;
  } catch { /* never tested here, or unreadable: test again */ }
  const result = accepted(selfTest());
  const aside = `${path}.${process.pid}.tmp`;
  writeFileSync(aside, JSON.stringify({ key, result }));
  renameSync(aside, path);
  return result;
}
