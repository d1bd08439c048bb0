// The line that follows a failed import.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Tail, importHint } from '../../src/cli/hint.ts';

test('a module that is not there: what to type', () => {
  const hint = (module: string, template = 'python'): string | null => importHint(`ModuleNotFoundError: No module named '${module}'`, template);
  assert.match(hint('pandas') ?? '', /template "python" has no Python module "pandas": .* -t data$/);
  assert.match(hint('pandas', 'mine') ?? '', /-t data/);
  assert.match(hint('yaml', 'data') ?? '', /template build NAME --package python3-yaml.*--requirements.*--wheel/);
  assert.match(hint('sklearn.svm') ?? '', /module "sklearn".*python3-sklearn/);
  assert.match(hint('Typing_Extensions') ?? '', /python3-typing-extensions/);
});

test('nothing for any other last line', () => {
  for (const line of ['', 'ValueError: No module named x', "ModuleNotFoundError: No module named 'a b'", "  ModuleNotFoundError: No module named 'a'"]) {
    assert.equal(importHint(line, 'python'), null, line);
  }
});

test('the end of long output is kept', () => {
  const tail = new Tail();
  for (let i = 0; i < 1000; i++) tail.push(Buffer.from('x'.repeat(100)));
  tail.push(Buffer.from('\nlast'));
  tail.push(Buffer.from(' line\n\n'));
  assert.equal(tail.lastLine, 'last line');
});
