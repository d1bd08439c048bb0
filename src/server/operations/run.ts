// A request's program, files and limits as the engine takes them: checked against the service's bounds.

import { LANGUAGES, type LimitFields, type Content, type ExecRequest } from '../../api/exec.ts';
import type { LimitInit, RunInit } from '../../engine/run.ts';
import { ServiceError } from '../errors.ts';
import type { Settings } from '../settings.ts';

const MB = 2 ** 20;

type Language = (typeof LANGUAGES)[number];
type ProgramRequest = Pick<ExecRequest, 'code' | 'argv' | 'language' | 'args' | 'filename' | 'env' | 'cwd' | 'stdin'>;
type LimitRequest = Pick<ExecRequest, keyof typeof LimitFields>;

/** Python source for the agent, or a program of the image. */
export type Program = { readonly kind: 'code'; readonly code: string } | { readonly kind: 'exec'; readonly argv: readonly string[] };

/** What is forked for each language unless the request names a template. */
const TEMPLATES: Readonly<Record<Language, string>> = { python: 'python', bash: 'python', javascript: 'node', node: 'node' };

export function templateOf({ template, language = 'python' }: Pick<ExecRequest, 'template' | 'language'>): string {
  return template ?? TEMPLATES[language];
}

/** Throws ServiceError 'invalid'. */
export function programOf({ code, argv, language = 'python', args = [], filename }: ProgramRequest): Program {
  if ((code === undefined) === (argv === undefined)) throw new ServiceError('invalid', 'Give either code or argv.');
  if (argv !== undefined) {
    if (args.length > 0 || filename !== undefined) throw new ServiceError('invalid', 'args and filename go with code, not with argv.');
    return { kind: 'exec', argv };
  }
  const source = code as string;
  if (language === 'python') return { kind: 'code', code: source };
  if (source.includes('\0')) throw new ServiceError('invalid', 'code of this language cannot hold a NUL character.');
  if (language === 'bash') return { kind: 'exec', argv: ['bash', '-c', source, filename ?? 'bash', ...args] };
  return { kind: 'exec', argv: ['node', '-e', source, '--', ...args] };
}

/** Options of the run, without its files. Throws ServiceError 'invalid'. */
export function runInit(request: ProgramRequest & LimitRequest, settings: Settings): RunInit {
  const { env, cwd, args, filename, stdin, language = 'python', code } = request;
  const isPython = code !== undefined && language === 'python';
  return {
    ...limitsOf(request, settings), env, cwd, stdin: stdin === undefined ? undefined : bytesOf(stdin, 'stdin'),
    args: isPython ? args : undefined, filename: isPython ? filename : undefined,
  };
}

/** Memory is for who forks the sandbox. */
export function memoryOf({ memory_mb: memory }: LimitRequest, { memory_mb_max: most }: Settings): { memoryBytes: number | undefined } {
  return { memoryBytes: memory === undefined ? undefined : Math.floor(within(memory, most, 'memory_mb') * MB) };
}

function limitsOf(request: LimitRequest, settings: Settings): LimitInit {
  const { timeout_seconds: timeout = Math.min(settings.timeout_seconds, settings.timeout_seconds_max), cpu_seconds: cpu } = request;
  const { processes, inodes, kernel_memory_mb: kernel } = request;
  return {
    timeoutMs: Math.ceil(within(timeout, settings.timeout_seconds_max, 'timeout_seconds') * 1000),
    outputBytes: Math.floor(within(request.output_mb ?? settings.output_mb_max, settings.output_mb_max, 'output_mb') * MB),
    diskBytes: Math.floor(within(request.disk_mb ?? settings.disk_mb_max, settings.disk_mb_max, 'disk_mb') * MB),
    cpuTimeMs: cpu === undefined ? undefined : Math.ceil(cpu * 1000), processes, files: request.open_files, inodes,
    kernelMemoryBytes: kernel === undefined ? undefined : Math.floor(kernel * MB),
  };
}

/** Throws ServiceError 'invalid'. */
export function within(value: number, most: number, name: string): number {
  if (value <= most) return value;
  throw new ServiceError('invalid', `${name} may be ${most} at most.`);
}

/** Throws ServiceError 'invalid'. */
export function bytesOf(content: Content, name: string): Buffer {
  if (typeof content === 'string') return Buffer.from(content);
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(content.base64)) return Buffer.from(content.base64, 'base64');
  throw new ServiceError('invalid', `base64 of ${name} is not base64.`);
}
