// Where a new mapping goes: arch_get_unmapped_area_topdown() of arch/x86/kernel/sys_x86_64.c and get_unmapped_area().

import { EINVAL, ENOMEM, EPERM } from '../../abi/linux/errno.ts';
import {
  MAP_32BIT, MAP_FIXED, MMAP_MIN_ADDR, PAGE_SIZE, STACK_GUARD_GAP, TASK_SIZE_MAX,
} from '../../abi/linux/mman.ts';
import { USER_END } from '../../platform.ts';
import { startWithGap } from './vma.ts';
import type { VmaList } from './vma.ts';

const PAGE_MASK_INVERSE = PAGE_SIZE - 1;
/** Room below TASK_SIZE that mmap leaves to the stack, at the least. */
const STACK_ROOM_MIN = 128 << 20;
/** Most that exec moves the stack down at random: 16 GB. */
const STACK_RANDOM_BYTES = 16 * 1024 ** 3;
/** MAP_32BIT places mappings in here. */
const LOW_START = 0x40000000, LOW_END = 0x80000000;

export function pageDown(gva: number): number {
  return gva - gva % PAGE_SIZE;
}

export function pageUp(value: number): number {
  return Math.ceil(value / PAGE_SIZE) * PAGE_SIZE;
}

export function isPageAligned(gva: number): boolean {
  return gva % PAGE_SIZE === 0;
}

/** mmap_base(): top of the area mmap uses. `random`: any u32; its low 28 bits count. `stackBytes`: RLIMIT_STACK. */
export function mmapBase(random: number, stackBytes: number): number {
  const room = Math.min(Math.max(stackBytes + STACK_GUARD_GAP + STACK_RANDOM_BYTES, STACK_ROOM_MIN), pageDown(TASK_SIZE_MAX / 6 * 5));
  return pageUp(TASK_SIZE_MAX - room - (random & 0xfffffff) * PAGE_SIZE);
}

/**
 * A free gva for `length` bytes (page-aligned): the hint if it is free, else the highest gap below `base`. With MAP_FIXED
 * the address itself, checked. -ENOMEM, -EINVAL, -EPERM.
 */
export function findUnmapped(list: VmaList, base: number, addr: number, length: number, flags: number): number {
  if (length > USER_END) return -ENOMEM;
  if ((flags & MAP_FIXED) !== 0) {
    if (addr > USER_END - length) return -ENOMEM;
    if (!isPageAligned(addr)) return -EINVAL;
    return addr < MMAP_MIN_ADDR ? -EPERM : addr;
  }
  const hint = roundHint(addr);
  if (hint !== 0 && hint <= USER_END - length && isFreeWithGaps(list, hint, length)) return hint;
  if ((flags & MAP_32BIT) !== 0) return bottomUp(list, LOW_START, LOW_END, length);
  const found = topDown(list, MMAP_MIN_ADDR, base, length);
  return found >= 0 ? found : bottomUp(list, pageUp(USER_END / 3), USER_END, length);
}

function roundHint(addr: number): number {
  if (addr >= TASK_SIZE_MAX) return 0;
  const hint = addr - (addr & PAGE_MASK_INVERSE);
  return hint !== 0 && hint < MMAP_MIN_ADDR ? MMAP_MIN_ADDR : hint;
}

/** Free, and clear of the guard gap of a stack above. */
function isFreeWithGaps(list: VmaList, start: number, length: number): boolean {
  const next = list.ranges[list.indexAbove(start)];
  return next === undefined || start + length <= startWithGap(next);
}

/** The highest gap. A request larger than any gap above the list's hint starts there instead of at the top. */
function topDown(list: VmaList, low: number, high: number, length: number): number {
  const all = list.ranges;
  const { hint } = list;
  const useHint = hint.gva < high && length > hint.largestGap;
  let at = list.indexAbove(useHint ? hint.gva : high);
  let top = at < all.length ? Math.min(high, startWithGap(all[at])) : high;
  let largest = useHint ? hint.largestGap : 0;
  for (at--; ; at--) {
    const bottom = Math.max(low, at >= 0 ? all[at].end : 0);
    if (top - bottom >= length) break;
    largest = Math.max(largest, top - bottom);
    if (at < 0 || top <= low) return -ENOMEM;
    top = Math.min(top, startWithGap(all[at]));
  }
  if (useHint || hint.gva >= high) {
    hint.gva = top;
    hint.largestGap = largest;
  }
  return top - length;
}

function bottomUp(list: VmaList, low: number, high: number, length: number): number {
  const all = list.ranges;
  let bottom = low;
  for (let at = list.indexAbove(low); ; at++) {
    const top = at < all.length ? Math.min(high, startWithGap(all[at])) : high;
    if (top - bottom >= length) return bottom;
    if (at >= all.length || all[at].end >= high) return -ENOMEM;
    bottom = Math.max(bottom, all[at].end);
  }
}
