// A slice of the conformance cases: natively (recorded outside), in a sandbox, and in one that is forked while they run.

import { testCases } from '../conformance/suite.ts';
import { SLICE } from './slice.ts';

testCases(SLICE);
