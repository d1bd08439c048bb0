// Random operations on an address space against a model of it (mmmodel.ts), without KVM.

import test from 'node:test';
import { newMm } from '../fakemachine.ts';
import { KERNEL_ACCESS, runModel } from '../mmmodel.ts';

for (const realPaging of [false, true]) {
  test(`model: random operations with ${realPaging ? 'real' : 'fake'} page tables`, () => {
    for (let seed = 1; seed <= 40; seed++) runModel(seed, newMm(8 << 20, realPaging), KERNEL_ACCESS);
  });
}
