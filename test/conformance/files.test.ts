// The conformance cases about the file system: suite.ts runs them.

import { testCases } from './suite.ts';

testCases('files');
