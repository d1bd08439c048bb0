// POST /v1/exec and /v1/exec/batch on the wire. Names of result fields are those of `offshoot run --json`.

import { Type, type Static } from 'typebox';
import { ErrorBody } from './error.ts';

/** Most entries of lists and objects in one request. */
export const ITEMS_MAX = 4096;
/** Longest path, name or pattern, in characters. */
export const PATH_MAX = 4096;
/** What a template may be called. */
export const TEMPLATE_NAME = '^[a-z0-9][a-z0-9_-]{0,62}$';
/** What can be run besides a program of the image (`argv`). */
export const LANGUAGES = ['python', 'bash', 'javascript', 'node'] as const;

const path = Type.String({ minLength: 1, maxLength: PATH_MAX, pattern: '^[^\\u0000]*$' });
const pathKey = Type.String({ pattern: `^[^\\u0000]{1,${PATH_MAX}}$` });
/** Names of environment variables. */
export const variable = Type.String({ pattern: `^[^=\\u0000]{1,${PATH_MAX}}$` });
const text = Type.String({ pattern: '^[^\\u0000]*$' });

/** Bytes: text, or base64. */
export const Content = Type.Union([Type.String(), Type.Object({ base64: Type.String() }, { additionalProperties: false })], {
  description: 'Text, or {"base64": "…"} for any bytes.',
});
export type Content = Static<typeof Content>;

/** Limits of one run; the service's configuration has defaults and upper bounds. */
export const LimitFields = {
  timeout_seconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: 'Wall clock; passing it ends the run (limit "timeout", exit code 124).' })),
  cpu_seconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: 'Processor time of all its processes (limit "cpu").' })),
  memory_mb: Type.Optional(Type.Number({ minimum: 16, description: 'Guest memory, template included (limit "memory").' })),
  output_mb: Type.Optional(Type.Number({ minimum: 0, description: 'stdout and stderr together (limit "output").' })),
  processes: Type.Optional(Type.Integer({ minimum: 1, maximum: 4096, description: 'Processes and threads at a time; beyond: EAGAIN.' })),
  open_files: Type.Optional(Type.Integer({ minimum: 8, description: 'Descriptors of one process; beyond: EMFILE.' })),
  disk_mb: Type.Optional(Type.Number({ minimum: 0, description: 'Data in files it writes; beyond: ENOSPC.' })),
  inodes: Type.Optional(Type.Integer({ minimum: 0, description: 'Files and directories it makes; beyond: ENOSPC.' })),
  kernel_memory_mb: Type.Optional(Type.Number({
    minimum: 1, maximum: 1024,
    description: 'What the kernel keeps for it in its own memory: processes, mappings, open files, queues, names (limit "kernel-memory").',
  })),
};

/** What a program gets, wherever it runs. */
export const ProgramFields = {
  code: Type.Optional(Type.String({ description: 'Source text; or give `argv`.' })),
  argv: Type.Optional(Type.Array(text, { minItems: 1, maxItems: ITEMS_MAX, description: 'A program of the image and its arguments, instead of `code`.' })),
  language: Type.Optional(Type.Enum(LANGUAGES, { description: 'Of `code`; default "python".' })),
  args: Type.Optional(Type.Array(text, { maxItems: ITEMS_MAX, description: 'Arguments of `code` (sys.argv[1:]).' })),
  filename: Type.Optional(path),
  env: Type.Optional(Type.Record(variable, text, { maxProperties: ITEMS_MAX, additionalProperties: false })),
  cwd: Type.Optional(path),
  stdin: Type.Optional(Content),
};

export const ExecRequest = Type.Object({
  ...ProgramFields,
  template: Type.Optional(Type.String({ pattern: TEMPLATE_NAME, description: 'What the sandbox is forked from; default: that of the language.' })),
  files: Type.Optional(Type.Record(pathKey, Content, {
    maxProperties: 64, additionalProperties: false, description: 'Files it finds in its sandbox, by path; relative ones from `cwd`.',
  })),
  collect: Type.Optional(Type.Array(path, { maxItems: 64, description: 'Files to return, by path; * and ? work; directories with all that is in them.' })),
  reuse: Type.Optional(Type.Boolean({ description: 'A VM that ran before for this key and was rewound will do: faster. Default false: a new VM.' })),
  ...LimitFields,
}, { additionalProperties: false, title: 'ExecRequest' });
export type ExecRequest = Static<typeof ExecRequest>;

/** Why a run ended. */
export const ENDED = ['exit', 'signal', 'timeout', 'cpu', 'memory', 'kernel-memory', 'output', 'cancelled', 'kernel-bug'] as const;

/** How a run ended, without what it printed. */
export const EndFields = {
  id: Type.String({ description: 'Of the sandbox.' }),
  template: Type.String(),
  exit_code: Type.Integer({ description: "The program's; 124 timed out; 128 + n ended by signal n." }),
  ended: Type.Enum(ENDED, { description: 'Why it ended.' }),
  reason: Type.Union([Type.String(), Type.Null()], { description: 'One sentence when it was not by the program itself.' }),
  signal: Type.Union([Type.String(), Type.Null()]),
  timed_out: Type.Boolean(),
  limit: Type.Union([Type.String(), Type.Null()]),
  limits_met: Type.Array(Type.String(), {
    description: 'Limits that made calls fail with an errno: processes, files, diskBytes, inodes; with `tenant.` before it: of the key.',
  }),
  fork_time_ms: Type.Number(), exec_time_ms: Type.Number(), total_time_ms: Type.Number(), wait_time_ms: Type.Number(), cpu_time_ms: Type.Number(),
  pooled: Type.Boolean({ description: 'The VM had been made in advance.' }),
  rewound: Type.Boolean({ description: 'The VM had run before and was rewound (only with `reuse`).' }),
  dirty_pages: Type.Union([Type.Integer(), Type.Null()]),
  syscalls: Type.Integer(),
  unimplemented: Type.Record(Type.String(), Type.Integer(), { description: 'Calls the kernel does not have, with how often.' }),
};

export const ExecResult = Type.Object({
  ...EndFields,
  stdout: Type.String(), stderr: Type.String(),
  stdout_base64: Type.Optional(Type.String({ description: 'Where stdout is not UTF-8: its bytes.' })),
  stderr_base64: Type.Optional(Type.String()),
  collected: Type.Optional(Type.Record(Type.String(), Content)),
  not_collected: Type.Optional(Type.Array(Type.Object({ path: Type.String(), reason: Type.String() }))),
}, { title: 'ExecResult' });
export type ExecResult = Static<typeof ExecResult>;

export const BatchRequest = Type.Object({
  executions: Type.Array(ExecRequest, { minItems: 1 }),
  concurrency: Type.Optional(Type.Integer({ minimum: 1, description: 'How many at a time; default 8, at most what the key may have.' })),
}, { additionalProperties: false, title: 'BatchRequest' });
export type BatchRequest = Static<typeof BatchRequest>;

export const BatchResult = Type.Object({
  results: Type.Array(Type.Union([ExecResult, ErrorBody]), { description: 'In the order of the executions; one that could not be run has an error.' }),
}, { title: 'BatchResult' });
export type BatchResult = Static<typeof BatchResult>;

const stream = Type.Enum(['stdout', 'stderr']);
/** One line of NDJSON, or one event of SSE with the same name as its type. */
export const ExecEvent = Type.Union([
  Type.Object({ type: stream, text: Type.String() }),
  Type.Object({ type: stream, base64: Type.String({ description: 'A piece that is not UTF-8 by itself.' }) }),
  Type.Object({ type: Type.Literal('result'), result: ExecResult, index: Type.Optional(Type.Integer({ description: 'In a batch.' })) }),
  Type.Object({ type: Type.Literal('error'), error: ErrorBody, index: Type.Optional(Type.Integer()) }),
], { title: 'ExecEvent' });
export type ExecEvent = Static<typeof ExecEvent>;
