// Programs that take minutes: building a C project, a database's speed test, pip, pandas, scipy, matplotlib (npm run test:programs).

import { loadCases } from './cases.ts';
import { compareAll } from './suite.ts';

compareAll('slow programs', loadCases().filter(({ slow }) => slow));
