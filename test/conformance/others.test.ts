// The conformance cases about processes, memory, threads and the rest: suite.ts runs them.

import { testCases } from './suite.ts';

testCases('others');
