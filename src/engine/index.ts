// The library: what `import … from 'offshoot'` gives.

export { Engine, type EngineInit, type OneShotInit } from './engine.ts';
export { OffshootError, type ErrorCode } from './errors.ts';
export type { LayoutInit } from './layouts.ts';
export type { SandboxFiles } from './files.ts';
export type { OutputPiece, OutputPosition, Process } from './process.ts';
export type { FileEntry, LimitReached, Progress, SandboxStats } from './protocol.ts';
export type { GivenFile, HostFile } from './hostfiles.ts';
export type { LimitInit, RunInit, RunResult } from './run.ts';
export type { QueueLimits } from './queue.ts';
export { Sandbox } from './sandbox.ts';
export { StatefulSandbox, type ContextResult } from './statefulsandbox.ts';
export { Template, type ForkInit, type StatefulInit } from './template.ts';
export type { TenantLimits } from './tenantlimits.ts';
export type { EngineStats } from './workers.ts';
export type { TemplateRecipe } from './userspec.ts';
