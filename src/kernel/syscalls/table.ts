// All rows of the x86-64 table, by topic. Each topic file lives beside this one and exports `rows`.

import type { SyscallRow } from './row.ts';

export const ROWS: readonly SyscallRow[] = [
];
