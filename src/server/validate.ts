// Requests against their schemas. Bodies are taken as they are; parameters of an address are text, and become what the schema wants.

import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { ServiceError } from './errors.ts';

interface Params { readonly additionalProperties?: readonly string[]; readonly allowedValues?: readonly unknown[] }
interface Problem { readonly keyword: string; readonly instancePath: string; readonly message: string; readonly params: Params }

const NAME_MAX = 100;

/** typebox's compiler: a third of the service's modules, and nothing needs it before the first request is there. */
interface Compiler { readonly compile: (schema: TSchema) => Validator; readonly convert: (schema: TSchema, data: unknown) => unknown }
interface Validator { Check(data: unknown): boolean; Errors(data: unknown): unknown }

let compiler: Compiler | null = null;
let loading: Promise<void> | null = null;

/** Calls `then` when requests can be validated: at once but for the first. */
export function whenValidating(then: () => void): void {
  if (compiler) then();
  else void loadCompiler().then(then);
}

export function loadCompiler(): Promise<void> {
  loading ??= Promise.all([import('typebox/compile'), import('typebox/value')]).then(([{ Compile }, { Convert }]) => {
    compiler = { compile: (schema) => Compile(schema), convert: Convert };
  });
  return loading;
}

/** Compiled when first wanted. */
export const validatorOf: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  let validator: Validator | null = null;
  return (data: unknown) => {
    if (!compiler) throw new Error('validation before whenValidating');
    validator ??= compiler.compile(schema);
    const value = httpPart === 'body' ? data : compiler.convert(schema, data);
    if (validator.Check(value)) return { value };
    return { error: new ServiceError('invalid', sentence(validator.Errors(value) as Problem[])) };
  };
};

/** The first problem that says something, as one sentence. */
function sentence(problems: readonly Problem[]): string {
  const problem = problems.find(({ keyword }) => keyword === 'additionalProperties')
    ?? problems.find(({ keyword }) => keyword !== 'anyOf' && keyword !== 'boolean') ?? problems[0];
  if (!problem) return 'The request does not have the shape that /docs describes.';
  const where = problem.instancePath.slice(1).replaceAll('/', '.').slice(0, NAME_MAX);
  const { additionalProperties: unknown, allowedValues: allowed } = problem.params;
  if (unknown && unknown.length > 0) {
    const name = JSON.stringify(String(unknown[0]).slice(0, NAME_MAX));
    return where === '' ? `${name} is not a field here.` : `${name} cannot be in ${where}.`;
  }
  if (problem.keyword === 'pattern') return `${where === '' ? 'A name' : where} has characters that it may not have.`;
  if (allowed) return `${where} must be one of ${allowed.map(String).join(', ')}.`;
  return `${where === '' ? 'The request' : where} ${problem.message}.`.replace(/\.+$/, '.');
}
