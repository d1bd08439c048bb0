// The client: what `import … from 'offshoot/client'` gives. Fetch only: Node, Bun, Deno, browsers.

export { Offshoot, type ExecInit, type OutputEvent, type ResultEvent, type BuildLog } from './offshoot.ts';
export { Process, Sandbox, type PieceEvent } from './sandbox.ts';
export type { Files } from './files.ts';
export { ApiError, ConnectionError } from './errors.ts';
export { bytesOf, contentOf, stderrBytes, stdoutBytes } from './bytes.ts';
export type { CallInit, ClientInit } from './http.ts';
export type { Content, ExecEvent, ExecRequest, ExecResult } from '../api/exec.ts';
export type { FileInfo, TarResult } from '../api/file.ts';
export type { ProcessInfo, RunResult, SandboxDetails, SandboxInfo, SandboxPatch, SandboxRequest } from '../api/sandbox.ts';
export type { TemplateDetails, TemplateInfo, TemplateRequest } from '../api/template.ts';
