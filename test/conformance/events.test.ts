// The conformance cases about signals, pipes, sockets, timers: suite.ts runs them.

import { testCases } from './suite.ts';

testCases('events');
