// Requests against their schemas. Bodies are taken as they are; parameters of an address are text, and become what the schema wants.

import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Convert } from 'typebox/value';
import { ServiceError } from './errors.ts';

interface Params { readonly additionalProperties?: readonly string[]; readonly allowedValues?: readonly unknown[] }
interface Problem { readonly keyword: string; readonly instancePath: string; readonly message: string; readonly params: Params }

const NAME_MAX = 100;

export const validatorOf: FastifySchemaCompiler<unknown> = ({ schema, httpPart }) => {
  const validator = Compile(schema as TSchema);
  return (data: unknown) => {
    const value = httpPart === 'body' ? data : Convert(schema as TSchema, data);
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
