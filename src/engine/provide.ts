// The caller's side of making a template available to a worker, which may open nothing itself: finds the files, checks that
// they are what they should be, opens them; when they are missing or do not fit, has them built (builderclient.ts) first.

import { closeSync, openSync } from 'node:fs';
import { verifiedImage } from '../image/store.ts';
import { build } from './builderclient.ts';
import { staleness } from './current.ts';
import { OffshootError } from './errors.ts';
import { checkedPath, templatePath } from './home.ts';
import type { Progress } from './protocol.ts';
import { isVerified, readHeader, readTemplateKey, type TemplateHeader } from './templatefile.ts';
import { requireSpec } from './userspec.ts';
import type { WorkerClient } from './workerclient.ts';

/** A template ready to be handed to a worker. */
export interface Offer {
  readonly header: TemplateHeader;
  readonly indexBytes: number;
  /** Template file, image index, image blob: read-only. Whoever has the offer closes them. */
  readonly fds: readonly [number, number, number];
}

type OnProgress = ((progress: Progress) => void) | undefined;

/** Loads template `name` into `worker`, building what is missing. Returns what the file says about it. Throws OffshootError. */
export async function provideTemplate(worker: WorkerClient, home: string, name: string, rebuild: boolean, onProgress: OnProgress): Promise<TemplateHeader> {
  requireSpec(home, name);
  const ready = rebuild ? null : await handOverOnce(worker, openOffer(home, name, false));
  if (ready) return ready;
  await build({ home, name, rebuild }, onProgress);
  const built = await handOverOnce(worker, openOffer(home, name, true));
  if (built) return built;
  throw new OffshootError('internal', `The template "${name}" cannot be used although it was just built.`);
}

async function handOverOnce(worker: WorkerClient, offer: Offer | null): Promise<TemplateHeader | null> {
  if (!offer) return null;
  try {
    return await handOver(worker, offer);
  } finally {
    closeOffer(offer);
  }
}

/** Gives the files to a worker; null when they do not fit its processor. The offer stays open. */
export async function handOver(worker: WorkerClient, offer: Offer): Promise<TemplateHeader | null> {
  return await worker.handOver(offer) ? offer.header : null;
}

/** The files of an offer nobody needs any more. */
export function closeOffer(offer: Offer): void {
  offer.fds.forEach((fd) => closeSync(fd));
}

/** A build that was just made for a tenant. Throws OffshootError. */
export function openLayout(home: string, name: string, path: string): Offer {
  const offer = openOffer(home, name, true, path);
  if (!offer) throw new OffshootError('internal', `A build of the template "${name}" cannot be used although it was just made.`);
  return offer;
}

/** The template's files, open; null when one is missing, not what it should be, or (unless `verified`) has an unknown checksum. */
function openOffer(home: string, name: string, verified: boolean, path = templatePath(home, name)): Offer | null {
  const fds: number[] = [];
  const open = (path: string): number => fds[fds.push(openSync(path, 'r')) - 1];
  try {
    const header = readHeader(path, readTemplateKey(home));
    const image = verifiedImage(home, header.imageId, verified);
    const fits = staleness(home, requireSpec(home, name), header) === null && (verified || isVerified(checkedPath(home, name), path, header));
    if (fits && image) return { header, indexBytes: image.indexBytes, fds: [open(path), open(image.indexPath), open(image.blobPath)] };
  } catch {
    // Whatever is wrong with the files, the builder finds it again and says so.
    fds.forEach((fd) => closeSync(fd));
  }
  return null;
}
