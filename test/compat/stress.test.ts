// A few stressors of stress-ng.

import { testSlice } from './slice.ts';

testSlice('stress', ['fork', 'mmap', 'pipe', 'sigq']);
