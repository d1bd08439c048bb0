// The vDSO: the time functions every process of a sandbox finds through AT_SYSINFO_EHDR, answered without a trap.
// Interface: vdso(7), with Linux's names and symbol version (LINUX_2.6). Built by tools/vdso.ts into vdso.ts.
//
// Time comes from the vvar page: one page of the host, shared read-only by every VM and refreshed by the worker. Its layout
// is `struct vvar`; its address is a word of this image (`vvar`), so that the image itself stays position independent.
// What belongs to one sandbox alone is `monotonic_offset`: the kernel writes it in the sandbox's copy of this image, so
// that CLOCK_MONOTONIC goes on where it stopped when a sandbox is resumed on another boot or another host.
// Nothing here may use the stack protector, SSE, TLS or a relocation.

typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;
typedef unsigned __int128 u128;

struct timespec { i64 sec, nsec; };
struct timeval { i64 sec, usec; };
struct timezone { int minutes_west, dst; };

/* Written by the host under a sequence lock: `seq` is odd while it writes. */
struct vvar {
  u32 seq;
  u32 mode; /* MODE_SYSCALL, MODE_TSC */
  u64 tsc_base;
  u32 mult, shift; /* ns = (ticks * mult) >> shift */
  u64 monotonic_ns_at_base;
  u64 realtime_ns_at_base;
  u32 generation;
};
enum { MODE_SYSCALL = 0, MODE_TSC = 1 };
enum { NS_PER_S = 1000000000 };

enum {
  CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_MONOTONIC_RAW = 4, CLOCK_REALTIME_COARSE = 5, CLOCK_MONOTONIC_COARSE = 6,
  CLOCK_BOOTTIME = 7,
};
#define BIT(clock) (1u << (clock))
#define REALTIME_CLOCKS (BIT(CLOCK_REALTIME) | BIT(CLOCK_REALTIME_COARSE))
#define MONOTONIC_CLOCKS (BIT(CLOCK_MONOTONIC) | BIT(CLOCK_MONOTONIC_RAW) | BIT(CLOCK_MONOTONIC_COARSE) | BIT(CLOCK_BOOTTIME))
#define HIGH_RESOLUTION_CLOCKS (BIT(CLOCK_REALTIME) | BIT(CLOCK_MONOTONIC) | BIT(CLOCK_MONOTONIC_RAW) | BIT(CLOCK_BOOTTIME))

enum { SYS_gettimeofday = 96, SYS_time = 201, SYS_clock_gettime = 228, SYS_clock_getres = 229 };

/* The words the kernel fills in; volatile because the compiler must not fold their initial values into the code. */
struct words { i64 monotonic_offset; u64 vvar; };
__attribute__((section(".vdsowords"), visibility("hidden"), used))
volatile const struct words vdso_words = { 0, VVAR_GVA };

static inline i64 syscall2(i64 number, i64 a, i64 b) {
  i64 result;
  __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return result;
}

/* lfence keeps the read of the counter behind the loads before it (SDM volume 2, RDTSC). */
static inline u64 tsc(void) {
  u32 low, high;
  __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
  return (u64)high << 32 | low;
}

static inline u32 load_acquire(const volatile u32 *word) {
  u32 value = *word;
  __asm__ volatile("" ::: "memory");
  return value;
}

/* Nanoseconds of the clock into *ns; 0 when only the kernel knows. */
static inline int now(int is_realtime, u64 *ns) {
  const struct vvar *vvar = (const struct vvar *)vdso_words.vvar;
  for (;;) {
    u32 seq = load_acquire(&vvar->seq);
    if (seq & 1) {
      __asm__ volatile("pause" ::: "memory");
      continue;
    }
    if (vvar->mode != MODE_TSC) return 0;
    u64 ticks = tsc(), base = vvar->tsc_base;
    /* A counter behind the base (another core, a new host) must not take time back before it. */
    u64 elapsed = ticks > base ? (u64)((u128)(ticks - base) * vvar->mult >> vvar->shift) : 0;
    u64 at_base = is_realtime ? vvar->realtime_ns_at_base : vvar->monotonic_ns_at_base + (u64)vdso_words.monotonic_offset;
    __asm__ volatile("" ::: "memory");
    if (load_acquire(&vvar->seq) != seq) continue;
    *ns = at_base + elapsed;
    return 1;
  }
}

int __vdso_clock_gettime(int clock, struct timespec *result) {
  u64 ns;
  if ((u32)clock < 32 && BIT(clock) & (REALTIME_CLOCKS | MONOTONIC_CLOCKS) && now(BIT(clock) & REALTIME_CLOCKS, &ns)) {
    result->sec = ns / NS_PER_S;
    result->nsec = ns % NS_PER_S;
    return 0;
  }
  return syscall2(SYS_clock_gettime, clock, (i64)result);
}

int __vdso_gettimeofday(struct timeval *result, struct timezone *zone) {
  u64 ns;
  if (result && !now(1, &ns)) return syscall2(SYS_gettimeofday, (i64)result, (i64)zone);
  if (result) {
    result->sec = ns / NS_PER_S;
    result->usec = ns % NS_PER_S / 1000;
  }
  if (zone) zone->minutes_west = zone->dst = 0;
  return 0;
}

i64 __vdso_time(i64 *result) {
  u64 ns;
  if (!now(1, &ns)) return syscall2(SYS_time, (i64)result, 0);
  i64 seconds = ns / NS_PER_S;
  if (result) *result = seconds;
  return seconds;
}

int __vdso_clock_getres(int clock, struct timespec *result) {
  if ((u32)clock >= 32 || !(BIT(clock) & HIGH_RESOLUTION_CLOCKS)) return syscall2(SYS_clock_getres, clock, (i64)result);
  if (result) {
    result->sec = 0;
    result->nsec = 1;
  }
  return 0;
}

/* A sandbox has one CPU. */
i64 __vdso_getcpu(u32 *cpu, u32 *node, void *unused) {
  (void)unused;
  if (cpu) *cpu = 0;
  if (node) *node = 0;
  return 0;
}

#define WEAK_ALIAS(name) __attribute__((weak, alias("__vdso_" #name)))
int clock_gettime(int clock, struct timespec *result) WEAK_ALIAS(clock_gettime);
int gettimeofday(struct timeval *result, struct timezone *zone) WEAK_ALIAS(gettimeofday);
i64 time(i64 *result) WEAK_ALIAS(time);
int clock_getres(int clock, struct timespec *result) WEAK_ALIAS(clock_getres);
i64 getcpu(u32 *cpu, u32 *node, void *unused) WEAK_ALIAS(getcpu);
