// Modules with one mistake in them, for tests that prove other tests: a check, an addition or a removal is left out, and somebody must notice.

import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import test from 'node:test';

/** What is replaced in a source, which has it once, and by what. */
export type Mistake = readonly [text: string, replacement: string];

const mistakes = new Map<string, Mistake>();

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const mistake = mistakes.get(url);
    if (!mistake) return loaded;
    const parts = String(loaded.source).split(mistake[0]);
    assert.equal(parts.length, 2, `once in ${url}: ${mistake[0]}`);
    return { ...loaded, source: parts.join(mistake[1]) };
  },
});

/** The module `path` of src/ with a mistake: an instance of its own, over the same other modules. */
async function mistaken<M>(path: string, mistake: Mistake): Promise<M> {
  const url = new URL(`../../src/${path}?mistake=${mistakes.size}`, import.meta.url).href;
  mistakes.set(url, mistake);
  return await import(url) as M;
}

/** Checks of a module, by what they say of it. */
export type Checks<M> = Readonly<Record<string, (module: M) => void | Promise<void>>>;

/** Each check passes with the module as it is; with any of the mistakes at least one does not. */
export function testWithMistakes<M>(path: string, module: M, checks: Checks<M>, list: readonly Mistake[]): void {
  for (const [name, check] of Object.entries(checks)) test(name, () => check(module));
  test(`${path}: each of ${list.length} mistakes is noticed`, async () => {
    const unnoticed: string[] = [];
    for (const mistake of list) {
      const wrong = await mistaken<M>(path, mistake);
      let isNoticed = false;
      for (const check of Object.values(checks)) {
        try {
          await check(wrong);
        } catch {
          isNoticed = true;
          break;
        }
      }
      if (!isNoticed) unnoticed.push(mistake.join(' → '));
    }
    assert.deepEqual(unnoticed, []);
  });
}
