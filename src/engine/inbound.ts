// What a worker says is data from a process that a guest may have taken over: every field of its messages is checked here before
// anybody uses it, and text that may reach a terminal has no control characters.

import { isErrorCode } from './errors.ts';
import {
  PIECE_BYTES_MAX, type FileAnswer, type FileEntry, type FromWorker, type LimitReached, type RunEnd, type SandboxStats, type SelfTestReport,
} from './protocol.ts';

/** A message no worker of ours sends: its process is ended. */
export class BadMessage extends Error {
  override readonly name = 'BadMessage';
}

type Fields = Readonly<Record<string, unknown>>;

const TEXT_MAX = 4096;
const NAME_MAX = 200;
const NAMES_MAX = 1000;
const CHECKS_MAX = 200;
const ENTRIES_MAX = 1000;
const NAME_MAX_BYTES = 255;
/** As far as a Date goes, to both sides. */
const DATE_MS_MAX = 8.64e15;
const FILE_TYPES: readonly FileEntry['type'][] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'device'];
const LIMITS: readonly LimitReached[] = ['timeout', 'cpu', 'memory', 'kernel-memory', 'output', 'cancelled', 'kernel-bug', null];
const ERRNO_LIMITS = ['processes', 'files', 'diskBytes', 'inodes'].flatMap((name) => [name, `tenant.${name}`]);

/** The message in `header`, rebuilt from checked fields; `bytesLength` is what came with it. Throws BadMessage. */
export function checkedMessage(header: unknown, bytesLength: number): FromWorker {
  const message = fields(header, 'message');
  if (bytesLength > PIECE_BYTES_MAX) throw new BadMessage(`${bytesLength} bytes in one piece`);
  switch (message['type']) {
    case 'output':
      return { type: 'output', sandbox: count(message, 'sandbox'), stream: message['stream'] === 2 ? 2 : 1 };
    case 'trace':
      return { type: 'trace', sandbox: count(message, 'sandbox') };
    case 'want':
      return { type: 'want', sandbox: count(message, 'sandbox'), tree: count(message, 'tree'), entry: count(message, 'entry') };
    case 'layers':
      return { type: 'layers', bytes: count(message, 'bytes') };
    case 'file':
      return fileMessage(message);
    case 'end':
      return { type: 'end', call: count(message, 'call'), end: runEnd(fields(message['end'], 'end')) };
    case 'started':
      return { type: 'started', call: count(message, 'call'), pid: count(message, 'pid') };
    case 'signalled':
      return { type: 'signalled', call: count(message, 'call'), isAlive: message['isAlive'] === true };
    case 'tail':
      return { type: 'tail', call: count(message, 'call'), stream: message['stream'] === 0 ? 0 : message['stream'] === 2 ? 2 : 1, at: count(message, 'at') };
    case 'files':
      return { type: 'files', call: count(message, 'call'), answer: fileAnswer(fields(message['answer'], 'answer')) };
    case 'measured':
      return { type: 'measured', call: count(message, 'call'), stats: stats(fields(message['stats'], 'stats')) };
    case 'over':
      return { type: 'over', sandbox: count(message, 'sandbox'), limit: limitOf(message), reason: text(message, 'reason') };
    case 'done':
      return { type: 'done', call: count(message, 'call') };
    case 'error':
      return errorAnswer(message);
    case 'fits':
      return { type: 'fits', call: count(message, 'call'), fits: message['fits'] === true };
    case 'selftest':
      return { type: 'selftest', call: count(message, 'call'), report: selfTest(fields(message['report'], 'report')) };
    default:
      throw new BadMessage('a message of an unknown type');
  }
}

/** A path that names no other file than it seems to. */
function fileMessage(message: Fields): FromWorker {
  const { path, problem } = message;
  const sandbox = count(message, 'sandbox');
  if (problem !== null) return { type: 'file', sandbox, path: line(message, 'path'), last: true, problem: line(message, 'problem') };
  if (typeof path !== 'string' || path.length > TEXT_MAX || !isPlainPath(path)) throw new BadMessage('a file with a path that cannot be');
  return { type: 'file', sandbox, path, last: message['last'] === true, problem: null };
}

function isPlainPath(path: string): boolean {
  const names = path.split('/');
  return names[0] === '' && names.length > 1 && !/[\x00-\x1f\x7f-\x9f]/.test(path)
    && names.slice(1).every((name) => name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 255);
}

function errorAnswer(message: Fields): FromWorker {
  const { code, errno } = message;
  const answer = { type: 'error', call: count(message, 'call'), code: isErrorCode(code) ? code : 'internal', message: text(message, 'message') } as const;
  if (errno === undefined) return answer;
  if (typeof errno !== 'string' || !/^(?:E[A-Z0-9]{1,20}|\d{1,4})$/.test(errno)) throw new BadMessage('an errno without a name');
  return { ...answer, errno };
}

function fileAnswer(answer: Fields): FileAnswer {
  const { entries } = answer;
  if (!Array.isArray(entries) || entries.length > ENTRIES_MAX) throw new BadMessage('a list of files that is none');
  return {
    handle: count(answer, 'handle'), isEnd: answer['isEnd'] === true, cookie: count(answer, 'cookie'),
    entries: entries.map((entry: unknown) => fileEntry(fields(entry, 'file'))),
  };
}

/** Names and link targets are the guest's own: any text without NUL, a name without a slash. */
function fileEntry(entry: Fields): FileEntry {
  const { name, type, target, mtimeMs, sameAs } = entry;
  if (typeof name !== 'string' || name.length > NAME_MAX_BYTES || /[\0/]/.test(name)) throw new BadMessage('a file name that cannot be');
  if (target !== null && (typeof target !== 'string' || target.length > TEXT_MAX || target.includes('\0'))) throw new BadMessage('a link that cannot be');
  if (!FILE_TYPES.includes(type as FileEntry['type'])) throw new BadMessage('a file of an unknown type');
  if (sameAs !== undefined && (typeof sameAs !== 'string' || !/^\d{1,20}:\d{1,20}$/.test(sameAs))) throw new BadMessage('a file like none');
  if (typeof mtimeMs !== 'number' || !(Math.abs(mtimeMs) <= DATE_MS_MAX)) throw new BadMessage('a file without a time');
  return {
    name, type: type as FileEntry['type'], target, mtimeMs, ...(sameAs === undefined ? {} : { sameAs }),
    size: amount(entry, 'size'), mode: count(entry, 'mode') & 0o7777, uid: count(entry, 'uid'), gid: count(entry, 'gid'),
  };
}

function stats(given: Fields): SandboxStats {
  return {
    memoryBytes: count(given, 'memoryBytes'), diskBytes: count(given, 'diskBytes'),
    kernelMemoryBytes: count(given, 'kernelMemoryBytes'), processes: count(given, 'processes'),
    threads: count(given, 'threads'), cpuTimeMs: amount(given, 'cpuTimeMs'), syscalls: count(given, 'syscalls'),
  };
}

function runEnd(end: Fields): RunEnd {
  const { signal, reason } = end;
  const exitCode = count(end, 'exitCode');
  if (exitCode > 255) throw new BadMessage(`exit code ${exitCode}`);
  if (signal !== null && !(typeof signal === 'string' && /^[A-Z0-9_]{1,16}$/.test(signal))) throw new BadMessage('a signal without a name');
  return {
    exitCode, signal, limit: limitOf(end), reason: reason === null ? null : text(end, 'reason'), limitsMet: limitsMet(end),
    pooled: end['pooled'] === true, rewound: end['rewound'] === true,
    forkTimeMs: amount(end, 'forkTimeMs'), execTimeMs: amount(end, 'execTimeMs'), totalTimeMs: amount(end, 'totalTimeMs'),
    begunMs: amount(end, 'begunMs'), cpuTimeMs: amount(end, 'cpuTimeMs'),
    dirtyPages: end['dirtyPages'] === null ? null : count(end, 'dirtyPages'), syscalls: count(end, 'syscalls'),
    unimplemented: counts(fields(end['unimplemented'], 'unimplemented')),
    ...('contextLost' in end ? { contextLost: end['contextLost'] === true, contextFresh: end['contextFresh'] === true } : {}),
  };
}

function limitOf({ limit }: Fields): LimitReached {
  if (!LIMITS.includes(limit as LimitReached)) throw new BadMessage('an unknown limit');
  return limit as LimitReached;
}

function limitsMet({ limitsMet: names }: Fields): string[] {
  if (!Array.isArray(names) || names.length > ERRNO_LIMITS.length || !names.every((name) => ERRNO_LIMITS.includes(name as string))) {
    throw new BadMessage('limits nobody knows');
  }
  return names as string[];
}

function counts(given: Fields): Record<string, number> {
  const names = Object.keys(given);
  if (names.length > NAMES_MAX) throw new BadMessage(`${names.length} names`);
  return Object.fromEntries(names.map((name) => [clean(name).slice(0, NAME_MAX), count(given, name)]));
}

function selfTest(given: Fields): SelfTestReport {
  return {
    kind: text(given, 'kind'),
    checks: several(given, 'checks').map((check) => ({ name: text(check, 'name'), ok: check['ok'] === true, detail: text(check, 'detail') })),
    confinement: several(given, 'confinement').map((step) => ({ name: text(step, 'name'), on: step['on'] === true, detail: text(step, 'detail') })),
  };
}

function several(of: Fields, name: string): Fields[] {
  const list = of[name];
  if (!Array.isArray(list) || list.length > CHECKS_MAX) throw new BadMessage(`a self-test without ${name}`);
  return list.map((each: unknown) => fields(each, name));
}

function fields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new BadMessage(`no ${what}`);
  return value as Fields;
}

function count(of: Fields, name: string): number {
  const value = of[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new BadMessage(`${clean(name).slice(0, NAME_MAX)} is no count`);
  return value as number;
}

function amount(of: Fields, name: string): number {
  const value = of[name];
  if (typeof value !== 'number' || !(value >= 0 && value < Infinity)) throw new BadMessage(`${name} is no amount`);
  return value;
}

function text(of: Fields, name: string): string {
  const value = of[name];
  if (typeof value !== 'string') throw new BadMessage(`${name} is no text`);
  return clean(value.slice(0, TEXT_MAX));
}

function line(of: Fields, name: string): string {
  return text(of, name).replace(/[\n\t]/g, '?');
}

/** Without what a terminal might obey; lines and tabs stay. */
function clean(value: string): string {
  return value.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '?');
}
