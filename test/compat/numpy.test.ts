// A slice of numpy's own tests.

import { testSlice } from './slice.ts';

testSlice('numpy', ['random/tests/test_random.py', 'fft/tests/test_helper.py']);
