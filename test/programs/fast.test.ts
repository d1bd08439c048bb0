// Programs that a plain `npm test` compares: shells, tools, version control, a compiler, Python.

import { loadCases } from './cases.ts';
import { compareAll } from './suite.ts';

compareAll('programs', loadCases().filter(({ slow }) => !slow));
