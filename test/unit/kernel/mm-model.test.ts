// Random operations on an address space against a model of it (mmmodel.ts), without KVM.

import test from 'node:test';
import fc from 'fast-check';
import { newMm } from '../fakemachine.ts';
import { KERNEL_ACCESS, runModel, runSteps } from '../mmmodel.ts';
import { Drawer, check, tape } from './model.ts';

for (const realPaging of [false, true]) {
  const tables = realPaging ? 'real' : 'fake';
  test(`model: random operations with ${tables} page tables, known seeds`, () => {
    for (let seed = 1; seed <= 40; seed++) runModel(seed, newMm(8 << 20, realPaging), KERNEL_ACCESS);
  });

  test(`model: areas and their contents with ${tables} page tables`, () => {
    check(fc.property(tape(400), (numbers) => {
      runSteps('tape', new Drawer(numbers).below, numbers.length >> 2, newMm(8 << 20, realPaging), KERNEL_ACCESS);
    }), 60);
  });
}
