// /v1/templates on the wire.

import { Type, type Static } from 'typebox';
import { ErrorBody } from './error.ts';
import { TEMPLATE_NAME, variable } from './exec.ts';

const names = Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 500 });

export const TemplateName = Type.Object({ name: Type.String({ pattern: TEMPLATE_NAME }) }, { additionalProperties: false });

export const TemplateRequest = Type.Object({
  name: Type.String({ pattern: TEMPLATE_NAME }),
  packages: Type.Optional(Type.Array(names.items, { maxItems: 500, description: 'Debian packages, NAME or NAME=VERSION.' })),
  requirements: Type.Optional(Type.String({ maxLength: 1 << 20, description: "The text of a requirements file: the host's pip fetches the wheels." })),
  preload: Type.Optional(Type.Array(names.items, { maxItems: 500, description: 'Modules imported before the snapshot point.' })),
  setup: Type.Optional(Type.String({ maxLength: 1 << 20, description: 'Python source that runs before the snapshot point.' })),
  env: Type.Optional(Type.Record(variable, Type.String(), { maxProperties: 1000, additionalProperties: false })),
  memory_mb: Type.Optional(Type.Number({ minimum: 64, maximum: 4096 })),
}, { additionalProperties: false, title: 'TemplateRequest' });
export type TemplateRequest = Static<typeof TemplateRequest>;

export const TemplateInfo = Type.Object({
  name: Type.String(),
  built_in: Type.Boolean({ description: 'It comes with Offshoot.' }),
  size_bytes: Type.Integer(),
  built_at: Type.Union([Type.String(), Type.Null()]),
  image: Type.Union([Type.String(), Type.Null()]),
  problem: Type.Union([Type.String(), Type.Null()], { description: 'Why it will be built at its next use; null: it is ready.' }),
}, { title: 'Template' });
export type TemplateInfo = Static<typeof TemplateInfo>;

export const TemplateList = Type.Object({ templates: Type.Array(TemplateInfo) });
export type TemplateList = Static<typeof TemplateList>;

export const TemplateDetails = Type.Object({
  ...TemplateInfo.properties,
  packages: Type.Array(Type.String()), modules: Type.Array(Type.String()), preload: Type.Array(Type.String()),
  env: Type.Record(Type.String(), Type.String()), memory_limit_bytes: Type.Integer(), build_ms: Type.Union([Type.Number(), Type.Null()]),
}, { title: 'TemplateDetails' });
export type TemplateDetails = Static<typeof TemplateDetails>;

export const BuildEvent = Type.Union([
  Type.Object({ type: Type.Literal('log'), phase: Type.String(), message: Type.String(), done: Type.Number(), total: Type.Number() }),
  Type.Object({ type: Type.Literal('result'), template: TemplateDetails }),
  Type.Object({ type: Type.Literal('error'), error: ErrorBody }),
], { title: 'BuildEvent' });
export type BuildEvent = Static<typeof BuildEvent>;
