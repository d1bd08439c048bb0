// OpenAPI, its page, and that docs/service.md and docs/errors.md name all settings and codes there are.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { SETTINGS } from '../../src/server/settings.ts';
import { newKeys, newService } from './serverhelp.ts';

interface Operation { readonly summary?: string; readonly requestBody?: { readonly content: object }; readonly responses: Record<string, unknown> }

const page = (name: string): string => readFileSync(resolve(import.meta.dirname, '../../docs', name), 'utf8');

test('every address of the service is in it, with a summary, an answer and errors', async () => {
  const { file } = newKeys({});
  const service = await newService({}, file);
  const { status, json } = await service.get('/v1/openapi.json');
  assert.deepEqual([status, json['openapi']], [200, '3.1.0']);
  const paths = json['paths'] as Record<string, Record<string, Operation>>;
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })));
  assert.ok(all.length >= 30, `${all.length}`);
  for (const { name, operation } of all) {
    assert.ok(operation.summary, name);
    assert.ok(Object.keys(operation.responses).length > 0, name);
  }
  const exec = paths['/v1/exec']['post'].requestBody?.content as Record<string, { schema: { properties: object } }>;
  assert.ok('timeout_seconds' in exec['application/json'].schema.properties);
  const docs = await service.get('/docs');
  assert.match(docs.headers.get('content-type') ?? '', /text\/html/);
  assert.doesNotMatch(docs.text, /https?:\/\/(?!localhost)/, 'it loads something from elsewhere');
});

test('docs/service.md has all settings and no others', () => {
  const table = page('service.md').split('## Settings')[1].split('## Errors')[0];
  const named = [...table.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)].flatMap(([, names]) => names.replaceAll('`', '').split(', '));
  assert.deepEqual(named.sort(), Object.keys(SETTINGS).sort());
});

test('docs/errors.md has all codes of the service', () => {
  const source = readFileSync(resolve(import.meta.dirname, '../../src/server/errors.ts'), 'utf8');
  const codes = [...source.matchAll(/^ {2}'([a-z-]+)': \{ status/gm)].map(([, code]) => code);
  assert.ok(codes.length > 20);
  for (const code of codes) assert.ok(page('errors.md').includes(`\`${code}\``), code);
});
