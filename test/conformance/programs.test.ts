// The conformance cases about Python and shell programs: suite.ts runs them.

import { testCases } from './suite.ts';

testCases('programs');
