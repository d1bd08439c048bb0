// The conformance cases: which there are, what their head says, and how a C case becomes a program.
// Head of a case: comment lines; the first says what it checks, `key: value` lines are directives:
//   uid: 0 | 1000        who runs it (default 1000)
//   link: static | dynamic | both   (default static; C only)
//   timeout: seconds     (default 40)
//   differs: reason      outputs are known to differ from Linux; the case runs, its outputs are not compared

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CASES = fileURLToPath(new URL('cases/', import.meta.url));

export type Language = 'c' | 'python' | 'shell';
const LANGUAGES: Readonly<Record<string, Language>> = { c: 'c', py: 'python', sh: 'shell' };

export interface Case {
  readonly name: string;
  readonly path: string;
  readonly what: string;
  readonly language: Language;
  readonly uid: number;
  readonly links: readonly ('static' | 'dynamic')[];
  readonly timeoutMs: number;
  readonly differs: string | null;
}

/** One way of running a case: C cases that are linked both ways give two. */
export interface Variant {
  readonly name: string;
  readonly case: Case;
  readonly link: 'static' | 'dynamic' | null;
}

function readCase(file: string): Case {
  const path = join(CASES, file);
  const head: string[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const match = /^(?:\/\/|#(?!include|!)) ?(.*)/.exec(line);
    if (!match) break;
    head.push(match[1]);
  }
  const directive = (key: string): string | null => head.find((line) => line.startsWith(`${key}: `))?.slice(key.length + 2) ?? null;
  const [name, extension] = file.split('.');
  const language = LANGUAGES[extension];
  const link = directive('link') ?? 'static';
  return {
    name, path, what: head[0] ?? '', language,
    uid: Number(directive('uid') ?? 1000),
    links: language !== 'c' ? [] : link === 'both' ? ['static', 'dynamic'] : [link === 'dynamic' ? 'dynamic' : 'static'],
    timeoutMs: Number(directive('timeout') ?? 40) * 1000, differs: directive('differs'),
  };
}

/** Every case, by name. */
export function loadCases(): Case[] {
  return readdirSync(CASES).filter((file) => /\.(c|py|sh)$/.test(file)).sort().map(readCase);
}

export function variantsOf(one: Case): Variant[] {
  if (one.language !== 'c') return [{ name: one.name, case: one, link: null }];
  return one.links.map((link) => ({ name: one.links.length > 1 ? `${one.name}-${link}` : one.name, case: one, link }));
}

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/conformance/', import.meta.url));
const CFLAGS = ['-std=gnu11', '-O1', '-s', '-w', '-pthread', '-fno-builtin'];
const LIBRARIES = ['-lm', '-ldl', '-lrt'];

/**
 * Builds a variant and returns the program's path; other cases are their own source. Programs are kept by their content's hash.
 * Rejects with the compiler's words.
 */
export async function build(variant: Variant): Promise<string> {
  if (variant.link === null) return variant.case.path;
  const flags = [...CFLAGS, variant.link === 'static' ? '-static' : '-rdynamic'];
  const hash = createHash('sha256').update(flags.join(' '));
  for (const file of [variant.case.path, join(CASES, 'case.h')]) hash.update(readFileSync(file));
  const program = join(CACHE, `${variant.name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  await promisify(execFile)('gcc', [...flags, '-o', unfinished, variant.case.path, ...LIBRARIES]);
  renameSync(unfinished, program);
  return program;
}
