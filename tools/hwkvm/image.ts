// The default image for the emulated machine: built outside, where there is a network and a fast processor.
//
//   imageHome() → the Offshoot home directory that holds it

import { offshootHome } from '../../src/image/store.ts';

/** Makes sure that the image `python` is there. @returns its home directory, to be copied in */
export async function imageHome(): Promise<string> {
  return offshootHome();
}
