// The conformance cases: which there are, what their head says, and how a C case becomes a program.
// Head of a case: comment lines; the first says what it checks, `key: value` lines are directives:
//   uid: 0 | 1000        who runs it (default 1000)
//   link: static | dynamic | both   (default static; C only)
//   timeout: seconds     (default 40)
//   differs: reason      outputs are known to differ from Linux; the case runs, its outputs are not compared
//   emulated: WORDS; …   lines that begin so are not compared in the emulated machine, whose processor is not quite one (docs/hwkvm.md)
// A C file may hold many cases: each `CASE(name, "what it checks") { … }` (case.h) is one, run in a process of its own. A directive of
// one of them stands on the line before it.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How many times slower than usual this machine is. */
const SLOW = Number(process.env['OFFSHOOT_TEST_SLOW'] ?? '1');

const CASES = fileURLToPath(new URL('cases/', import.meta.url));

export type Language = 'c' | 'python' | 'shell';
const LANGUAGES: Readonly<Record<string, Language>> = { c: 'c', py: 'python', sh: 'shell' };

export interface Case {
  /** File name, and the case's in a file of many: "file:case". */
  readonly name: string;
  /** Which of the file's cases; null when it is one. */
  readonly part: string | null;
  readonly path: string;
  readonly what: string;
  readonly language: Language;
  readonly uid: number;
  readonly links: readonly ('static' | 'dynamic')[];
  readonly timeoutMs: number;
  readonly differs: string | null;
  /** How lines begin that software emulation gets wrong. */
  readonly emulated: readonly string[];
}

/** One way of running a case: C cases that are linked both ways give two. */
export interface Variant {
  readonly name: string;
  readonly case: Case;
  readonly link: 'static' | 'dynamic' | null;
}

const COMMENT = /^(?:\/\/|#(?!include|!)) ?(.*)/;
const PART = /^CASE\((\w+), "(.*)"\)/;

function readCases(file: string): Case[] {
  const lines = readFileSync(join(CASES, file), 'utf8').split('\n');
  const head = lines.slice(0, lines.findIndex((line) => !COMMENT.test(line))).map((line) => COMMENT.exec(line)?.[1] ?? '');
  const parts = lines.flatMap((line, at) => {
    const [, part, what] = PART.exec(line) ?? [];
    return part ? [makeCase(file, { part, what }, [COMMENT.exec(lines[at - 1])?.[1] ?? '', ...head])] : [];
  });
  return parts.length > 0 ? parts : [makeCase(file, { part: null, what: head[0] ?? '' }, head)];
}

function makeCase(file: string, { part, what }: Pick<Case, 'part' | 'what'>, head: readonly string[]): Case {
  const directive = (key: string): string | null => head.find((line) => line.startsWith(`${key}: `))?.slice(key.length + 2) ?? null;
  const [name, extension] = file.split('.');
  const language = LANGUAGES[extension];
  const link = directive('link') ?? 'static';
  return {
    name: part ? `${name}:${part}` : name, part, path: join(CASES, file), what, language,
    uid: Number(directive('uid') ?? 1000),
    links: language !== 'c' ? [] : link === 'both' ? ['static', 'dynamic'] : [link === 'dynamic' ? 'dynamic' : 'static'],
    timeoutMs: Number(directive('timeout') ?? 40) * 1000 * SLOW, differs: directive('differs'), emulated: directive('emulated')?.split('; ') ?? [],
  };
}

/** Every case, by name. */
export function loadCases(): Case[] {
  return readdirSync(CASES).filter((file) => /\.(c|py|sh)$/.test(file)).sort().flatMap(readCases);
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
export function build(variant: Variant): Promise<string> {
  if (variant.link === null) return Promise.resolve(variant.case.path);
  const key = `${variant.case.path} ${variant.link}`;
  const known = builds.get(key) ?? compile(variant);
  builds.set(key, known);
  return known;
}

/** Cases of one file share its program. */
const builds = new Map<string, Promise<string>>();

async function compile(variant: Variant): Promise<string> {
  const flags = [...CFLAGS, variant.link === 'static' ? '-static' : '-rdynamic'];
  const hash = createHash('sha256').update(flags.join(' '));
  for (const file of [variant.case.path, join(CASES, 'case.h')]) hash.update(readFileSync(file));
  const program = join(CACHE, `${variant.name.replace(/:.*/, '')}-${variant.link}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  await promisify(execFile)('gcc', [...flags, '-o', unfinished, variant.case.path, ...LIBRARIES]);
  renameSync(unfinished, program);
  return program;
}
