// The one shape of errors on the wire (docs/errors.md lists the codes).

import { Type, type Static } from 'typebox';

/** What every answer with a status of 400 or more holds. */
export const ErrorBody = Type.Object({
  code: Type.String({ description: 'Stable; docs/errors.md explains each.' }),
  error: Type.String({ description: 'One sentence: what is wrong.' }),
  hint: Type.String({ description: 'One sentence: what to do.' }),
  errno: Type.Optional(Type.String({ description: 'Of file-error: the name of the errno.' })),
}, { title: 'Error' });
export type ErrorBody = Static<typeof ErrorBody>;
