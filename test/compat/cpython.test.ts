// A slice of CPython's regression suite: processes, signals, files, memory, sockets, events and time, a few seconds each.

import { testSlice } from './slice.ts';

testSlice('cpython', [
  'test_posix', 'test_select', 'test_epoll', 'test_mmap', 'test_pathlib', 'test_tempfile', 'test_fork1', 'test_popen', 'test_resource', 'test_asyncore',
]);
