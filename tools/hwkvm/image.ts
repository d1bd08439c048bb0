// The default image for the emulated machine: made outside, where there is a network and a fast processor.
//
//   imageHome() → where it is
//
// With /dev/kvm the finished image of the template is taken. Without, only its packages can be unpacked; its modules would then be
// byte-compiled inside, which takes minutes, so the image is passed as one to which that has been done.

import { join } from 'node:path';
import { ensureImage, extendImage, planImage } from '../../src/image/images.ts';
import { offshootHome } from '../../src/image/home.ts';
import { specOf } from '../../src/image/specs.ts';
import { findImage } from '../../src/image/store.ts';
import { kvmProblem } from '../kvm.ts';
import { SetupError, cacheDir } from './base.ts';
import type { Home } from './machine.ts';

const NAME = 'python';

async function buildWithoutKvm(home: string): Promise<void> {
  const image = await ensureImage(specOf(NAME), { home });
  if (findImage(home, NAME)?.stage !== 'ready') await extendImage(image, () => {}, { home, name: NAME, stage: 'ready' });
}

async function buildWithKvm(home: string): Promise<void> {
  const { Engine } = await import('../../src/engine/index.ts');
  const engine = await Engine.open({ home });
  await engine.template(NAME);
  await engine.close();
}

/** Makes sure that the image is there. */
export async function imageHome(): Promise<Home> {
  const withKvm = kvmProblem() === null;
  const home = withKvm ? offshootHome() : join(cacheDir(), 'home');
  const plan = planImage(specOf(NAME), home);
  if (!plan.built) console.error(`hwkvm: ${plan.message}`);
  await (withKvm ? buildWithKvm(home) : buildWithoutKvm(home));
  const ref = findImage(home, NAME);
  if (ref === null || ref === undefined) throw new SetupError(`no image ${NAME} in ${home}`);
  return { dir: home, paths: [`images/${NAME}.json`, `images/${ref.id}`] };
}
