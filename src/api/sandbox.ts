// /v1/sandboxes on the wire: sandboxes that stay, what runs in them.

import { Type, type Static } from 'typebox';
import { ErrorBody } from './error.ts';
import { Content, EndFields, ExecResult, LimitFields, ProgramFields, TEMPLATE_NAME, variable } from './exec.ts';

const idle = Type.Number({ exclusiveMinimum: 0, description: 'It ends when it was not used for so long. Background programs are no use.' });
const lifetime = Type.Number({ exclusiveMinimum: 0, description: 'It ends so long after it was made, whatever it does.' });

/** What a client notes about a sandbox, to find it again. */
const Metadata = Type.Record(Type.String({ pattern: '^[A-Za-z0-9_.-]{1,64}$' }), Type.String({ maxLength: 256 }), {
  maxProperties: 32, additionalProperties: false,
});

const { timeout_seconds, output_mb, ...ofSandbox } = LimitFields;

export const SandboxRequest = Type.Object({
  template: Type.Optional(Type.String({ pattern: TEMPLATE_NAME })),
  idle_seconds: Type.Optional(idle), lifetime_seconds: Type.Optional(lifetime), metadata: Type.Optional(Metadata),
  env: Type.Optional(Type.Record(variable, Type.String({ pattern: '^[^\\u0000]*$' }), { maxProperties: 4096, additionalProperties: false })),
  ...ofSandbox,
}, { additionalProperties: false, title: 'SandboxRequest' });
export type SandboxRequest = Static<typeof SandboxRequest>;

export const SandboxPatch = Type.Object({
  idle_seconds: Type.Optional(idle), lifetime_seconds: Type.Optional(lifetime), metadata: Type.Optional(Metadata),
}, { additionalProperties: false, title: 'SandboxPatch' });
export type SandboxPatch = Static<typeof SandboxPatch>;

export const SandboxInfo = Type.Object({
  id: Type.String(), template: Type.String(), created_at: Type.String(),
  expires_at: Type.String({ description: 'It ends then, whatever it does.' }),
  idle_at: Type.Union([Type.String(), Type.Null()], { description: 'It ends then unless it is used before; null: it is being used.' }),
  idle_seconds: Type.Number(), lifetime_seconds: Type.Number(), metadata: Metadata,
}, { title: 'Sandbox' });
export type SandboxInfo = Static<typeof SandboxInfo>;

export const SandboxDetails = Type.Object({
  ...SandboxInfo.properties,
  memory_bytes: Type.Number(), disk_bytes: Type.Number(), kernel_memory_bytes: Type.Number(),
  processes: Type.Number(), threads: Type.Number(), cpu_time_ms: Type.Number(), syscalls: Type.Number(),
  contexts: Type.Array(Type.String()),
}, { title: 'SandboxDetails' });
export type SandboxDetails = Static<typeof SandboxDetails>;

export const SandboxList = Type.Object({
  sandboxes: Type.Array(SandboxInfo), next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'For the next page; null: this is the last.' }),
}, { title: 'SandboxList' });
export type SandboxList = Static<typeof SandboxList>;

export const SandboxQuery = Type.Object({
  template: Type.Optional(Type.String()),
  metadata: Type.Optional(Type.String({ maxLength: 400, description: 'NAME=VALUE that it must have.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Default 100.' })),
  cursor: Type.Optional(Type.String({ maxLength: 200 })),
}, { additionalProperties: false });
export type SandboxQuery = Static<typeof SandboxQuery>;

export const SandboxId = Type.Object({ id: Type.String({ maxLength: 100 }) });
export const ProcessId = Type.Object({ id: Type.String({ maxLength: 100 }), pid: Type.Integer({ minimum: 1 }) });
export const ContextId = Type.Object({ id: Type.String({ maxLength: 100 }), context: Type.String({ maxLength: 100 }) });

export const ForkRequest = Type.Object({
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 64, description: 'Default 1.' })),
}, { additionalProperties: false, title: 'ForkRequest' });
export type ForkRequest = Static<typeof ForkRequest>;
export const ForkResult = Type.Object({ sandboxes: Type.Array(SandboxInfo) }, { title: 'ForkResult' });
export type ForkResult = Static<typeof ForkResult>;

const { args, filename, env, cwd, stdin } = ProgramFields;
const argv = Type.Array(Type.String({ pattern: '^[^\\u0000]*$' }), { minItems: 1, maxItems: 4096, description: 'A program of the image and its arguments.' });
const ofRun = { env, cwd, stdin, timeout_seconds, output_mb };

export const RunRequest = Type.Object({
  code: Type.String({ description: 'Python, run in the interpreter of the context: it finds the variables of the runs before.' }), args, filename,
  context: Type.Optional(Type.String({ maxLength: 100, description: 'Default "default".' })), ...ofRun,
}, { additionalProperties: false, title: 'RunRequest' });
export type RunRequest = Static<typeof RunRequest>;

export const CommandRequest = Type.Object({ argv, ...ofRun }, { additionalProperties: false, title: 'CommandRequest' });
export type CommandRequest = Static<typeof CommandRequest>;

export const StartRequest = Type.Object({
  argv, env, cwd, stdin, timeout_seconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: 'Default: none.' })),
}, { additionalProperties: false, title: 'StartRequest' });
export type StartRequest = Static<typeof StartRequest>;

export const RunResult = Type.Object({
  ...ExecResult.properties,
  context: Type.Optional(Type.String()),
  context_lost: Type.Optional(Type.Boolean({ description: 'The interpreter ended: its variables are gone.' })),
  context_fresh: Type.Optional(Type.Boolean({ description: 'The first run of its interpreter.' })),
}, { title: 'RunResult' });
export type RunResult = Static<typeof RunResult>;

export const ProcessInfo = Type.Object({
  pid: Type.Integer(), argv: Type.Array(Type.String()), started_at: Type.String(),
  exit_code: Type.Union([Type.Integer(), Type.Null()], { description: 'Null while it runs.' }),
}, { title: 'Process' });
export type ProcessInfo = Static<typeof ProcessInfo>;
export const ProcessList = Type.Object({ processes: Type.Array(ProcessInfo) }, { title: 'ProcessList' });
export type ProcessList = Static<typeof ProcessList>;

export const StdinRequest = Type.Object({
  content: Type.Optional(Content), end: Type.Optional(Type.Boolean({ description: 'Its input ends after that.' })),
}, { additionalProperties: false, title: 'StdinRequest' });
export type StdinRequest = Static<typeof StdinRequest>;

export const SignalRequest = Type.Object({
  signal: Type.Optional(Type.String({ maxLength: 20, description: 'Default "SIGTERM"; to its process group.' })),
}, { additionalProperties: false, title: 'SignalRequest' });
export type SignalRequest = Static<typeof SignalRequest>;
export const SignalResult = Type.Object({ delivered: Type.Boolean({ description: 'False: it had ended.' }) }, { title: 'SignalResult' });

export const OutputQuery = Type.Object({
  stdout: Type.Optional(Type.Integer({ minimum: 0 })), stderr: Type.Optional(Type.Integer({ minimum: 0 })),
}, { additionalProperties: false, description: 'From which byte of each stream on; default 0.' });

const position = Type.Object({ stdout: Type.Integer(), stderr: Type.Integer() }, { description: 'Where to go on after this piece.' });
const stream = Type.Enum(['stdout', 'stderr']);
const dropped = Type.Integer({ description: 'Bytes before this piece that are not kept any more.' });
/** Output of a background program. */
export const ProcessEvent = Type.Union([
  Type.Object({ type: stream, text: Type.String(), dropped, position }),
  Type.Object({ type: stream, base64: Type.String(), dropped, position }),
  Type.Object({ type: Type.Literal('result'), result: Type.Object(EndFields) }),
  Type.Object({ type: Type.Literal('error'), error: ErrorBody }),
], { title: 'ProcessEvent' });
export type ProcessEvent = Static<typeof ProcessEvent>;

export const ContextRequest = Type.Object({ env, cwd }, { additionalProperties: false, title: 'ContextRequest' });
export type ContextRequest = Static<typeof ContextRequest>;
export const ContextInfo = Type.Object({ context: Type.String() }, { title: 'Context' });
export const ContextList = Type.Object({ contexts: Type.Array(Type.String()) }, { title: 'ContextList' });
