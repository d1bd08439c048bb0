// uname, sysinfo, affinity, scheduling calls, sysconf, getrandom, identity; fields that may not vary.
#include "case.h"
#include <grp.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main(void) {
  struct utsname name;
  SHOW(uname(&name));
  printf("%s %s\n", name.sysname, name.machine);
  SAY(atoi(name.release) >= 4 && strlen(name.nodename) > 0 && name.version[0] == '#');
  struct sysinfo info;
  SHOW(sysinfo(&info));
  SAY(info.totalram * info.mem_unit > 10 << 20 && info.freeram <= info.totalram && info.procs >= 1 && info.uptime > 0);
  SHOW(sysinfo((void *)16));
  cpu_set_t set;
  CPU_ZERO(&set);
  SHOW(sched_getaffinity(0, sizeof set, &set));
  int cpus = CPU_COUNT(&set);
  SAY(cpus >= 1 && cpus == get_nprocs());
  SAY(sysconf(_SC_NPROCESSORS_ONLN) == cpus);
  SHOW(sched_setaffinity(0, sizeof set, &set));
  CPU_ZERO(&set);
  SHOW(sched_setaffinity(0, sizeof set, &set));
  SHOW(syscall(SYS_sched_getaffinity, 0, 1, &set));
  SHOW(syscall(SYS_sched_getaffinity, 999999, 128, &set));
  SAY(sched_getcpu() >= 0);
  SHOW(sched_yield());
  SHOW(sched_getscheduler(0));
  SHOW(sched_get_priority_max(SCHED_FIFO));
  SHOW(sched_get_priority_min(SCHED_FIFO));
  SHOW(sched_get_priority_max(SCHED_OTHER));
  SHOW(sched_get_priority_max(99));
  struct sched_param param;
  SHOW(sched_getparam(0, &param));
  printf("%d\n", param.sched_priority);
  SHOW(sysconf(_SC_PAGESIZE));
  SHOW(sysconf(_SC_CLK_TCK));
  SAY(sysconf(_SC_PHYS_PAGES) > 1000);
  unsigned char a[32] = { 0 }, b[32] = { 0 };
  SHOW(getrandom(a, 32, 0));
  SHOW(getrandom(b, 32, GRND_NONBLOCK));
  SAY(memcmp(a, b, 32) != 0);
  SHOW(getrandom(a, 32, GRND_RANDOM));
  SHOW(getrandom(a, 0, 0));
  SHOW(getrandom(a, 8, 0x80));
  static char big[100000];
  SHOW(getrandom(big, sizeof big, 0));
  int zeros = 0;
  for (int i = 0; i < 100000; i++) zeros += big[i] == 0;
  SAY(zeros > 200 && zeros < 700);
  SHOW(getentropy(a, 32));
  SHOW(getentropy(big, 257));
  SHOW(getuid());
  SHOW(getgid());
  SAY(getgroups(0, NULL) >= 0);
  SHOW(setuid(1000));
  SHOW(setreuid(-1, -1));
  SHOW(setregid(1000, 1000));
  SHOW(setresuid(0, -1, -1));
  SHOW(setfsuid(-1));
  SHOW(syscall(9999));
  SHOW(gethostname(big, 1));
  SHOW(sethostname("x", 1));
  SHOW(syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL));
  SHOW(syscall(SYS_reboot, 0, 0, 0, NULL));
  SHOW(syscall(SYS_set_robust_list, NULL, 1));
  SHOW(syscall(SYS_membarrier, 0, 0) >= 0);
  SHOW(syscall(SYS_arch_prctl, 0x9999, 0));
  return 0;
}
