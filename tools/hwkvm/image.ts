// The default image for the emulated machine: built outside, where there is a network and a fast processor.
//
//   imageHome() → the Offshoot home directory that holds it

import { ensureImage, planImage } from '../../src/image/images.ts';
import { offshootHome } from '../../src/image/store.ts';

/** Makes sure that the image `python` is there. @returns its home directory, to be copied in */
export async function imageHome(): Promise<string> {
  const home = offshootHome();
  const plan = planImage('python', home);
  if (!plan.built) console.error(`hwkvm: ${plan.message}`);
  await ensureImage('python', { home });
  return home;
}
