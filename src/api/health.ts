// /v1/health and /v1/ready on the wire.

import { Type, type Static } from 'typebox';

export const Health = Type.Object({
  status: Type.Literal('ok'), version: Type.String(), uptime_seconds: Type.Number(),
}, { title: 'Health' });
export type Health = Static<typeof Health>;

export const Ready = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('starting'), Type.Literal('stopping')]),
  templates: Type.Record(Type.String(), Type.String(), { description: 'Those loaded at the start: "ready", "loading", or why not.' }),
}, { title: 'Ready' });
export type Ready = Static<typeof Ready>;
