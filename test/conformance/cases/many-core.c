// Core files: when there is one, what its status says, and what is in it.
#include "case.h"
#include <elf.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/user.h>

static char marker[] = "a word of the program's data";

/* What Linux 6.18 prints: compared with where the host sends core files elsewhere. */
static const char CONDITIONS[] =
  "abort: signal 6, dumped 1 1, core 1, empty 0, mode 100600\n"
  "fault: signal 11, dumped 1 1, core 1, empty 0, mode 100600\n"
  "quit: signal 3, dumped 1 1, core 1, empty 0, mode 100600\n"
  "term: signal 15, dumped 0 0, core 0, empty 1, mode 0\n"
  "undumpable: signal 6, dumped 0 0, core 0, empty 1, mode 0\n"
  "no limit: signal 6, dumped 0 0, core 0, empty 1, mode 0\n"
  "limit 4095: signal 6, dumped 0 0, core 0, empty 1, mode 0\n"
  "limit 4096: signal 6, dumped 1 1, core 1, empty 0, mode 100600\n"
  "RLIMIT_FSIZE 0: signal 6, dumped 1 1, core 1, empty 1, mode 100600\n"
  "umask 0200: signal 6, dumped 0 0, core 1, empty 1, mode 100400\n"
  "a link: signal 6, dumped 1 1, core 1, empty 0, mode 100600\n"
  "a file: signal 6, dumped 1 1, core 1, empty 0, mode 100600\n"
  "a directory: signal 6, dumped 0 0, core 1, empty 0, mode 40700\n"
  "no directory: signal 6, dumped 0 0, core 0, empty 1, mode 0\n"
  "a directory one may not write: signal 6, dumped 0 0, core 0, empty 1, mode 0\n";
static const char CONTENTS[] =
  "signal 11 dumped 1\n"
  "elf 1 class 2 type 4 machine 62 ehsize 64 phentsize 56\n"
  "type 4\n"
  "note CORE 1 size 336 signal 11 11 first: pid 1 ppid 1 r12 1122334455667788 cs 33 rsp in core 1, code 1\n"
  "note CORE 3 size 136 pid 1 uid 1 args 1\n"
  "note CORE 53494749 size 128 signo 11 code 1 addr 0x8\n"
  "note CORE 6 pages 1 ends 1\n"
  "note CORE 46494c45 unit 4096 exe first 1\n"
  "note CORE 2 size 512 xmm5 1\n"
  "note LINUX 202 xcr0 1\n"
  "note CORE 1 size 336 signal 11 11 other: pid 1, rsp in core 1\n"
  "note CORE 2 size 512 xmm5 1\n"
  "note LINUX 202 xcr0 1\n"
  "whole 1\n"
  "data a word of the program's data\n"
  "stack 1\n";

static bool writes_core(const char *expected) {
  char pattern[16] = "";
  int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
  if (read(fd, pattern, sizeof pattern - 1) < 0) return false;
  close(fd);
  if (strcmp(pattern, "core\n") == 0) return true;
  fputs(expected, stdout);
  return false;
}

static void limit(int which, rlim_t soft) {
  struct rlimit now;
  getrlimit(which, &now);
  now.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max;
  setrlimit(which, &now);
}

/* A directory of its own, which is the working directory from now on. */
static void enter(void) {
  char template[] = "/tmp/coreXXXXXX";
  if (mkdtemp(template) == NULL || chdir(template) != 0) exit(9);
}

/* Runs `die` in a child; what its status and the directory say. */
static void dies(const char *what, void (*die)(void)) {
  int status = 0;
  siginfo_t info = { 0 };
  struct stat st = { 0 };
  unlink("core");
  pid_t pid = fork();
  if (pid == 0) { die(); _exit(8); }
  waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
  waitpid(pid, &status, 0);
  bool there = lstat("core", &st) == 0;
  printf("%s: signal %d, dumped %d %d, core %d, empty %d, mode %o\n", what, WTERMSIG(status), WCOREDUMP(status) != 0,
    info.si_code == CLD_DUMPED, there, st.st_size == 0, st.st_mode);
}

static void aborts(void) { abort(); }
static void faults(void) { *(volatile int *)8 = 1; }
static void terminated(void) { kill(getpid(), SIGTERM); }
static void quits(void) { kill(getpid(), SIGQUIT); }
static void undumpable(void) { prctl(PR_SET_DUMPABLE, 0); abort(); }
static void without_limit(void) { limit(RLIMIT_CORE, 0); abort(); }
static void with_limit_4095(void) { limit(RLIMIT_CORE, 4095); abort(); }
static void with_limit_4096(void) { limit(RLIMIT_CORE, 4096); abort(); }
static void with_small_files(void) { limit(RLIMIT_FSIZE, 0); abort(); }
static void with_umask(void) { umask(0200); abort(); }
static void over_a_directory(void) { mkdir("core", 0700); abort(); }
static void over_a_link(void) { symlink("elsewhere", "core"); abort(); }
static void over_a_file(void) { close(open("core", O_CREAT | O_WRONLY, 0400)); abort(); }
static void where_it_may_not_write(void) { chmod(".", 0500); abort(); }
static void where_nothing_is(void) { char name[] = "/tmp/goneXXXXXX"; mkdtemp(name); chdir(name); rmdir(name); abort(); }

CASE(core_conditions, "a core file and its status bit: limits, dumpable, umask, what is in the way") {
  enter();
  limit(RLIMIT_CORE, RLIM_INFINITY);
  if (!writes_core(CONDITIONS)) return;
  dies("abort", aborts);
  dies("fault", faults);
  dies("quit", quits);
  dies("term", terminated);
  dies("undumpable", undumpable);
  dies("no limit", without_limit);
  dies("limit 4095", with_limit_4095);
  dies("limit 4096", with_limit_4096);
  dies("RLIMIT_FSIZE 0", with_small_files);
  dies("umask 0200", with_umask);
  dies("a link", over_a_link);
  dies("a file", over_a_file);
  dies("a directory", over_a_directory);
  rmdir("core");
  dies("no directory", where_nothing_is);
  dies("a directory one may not write", where_it_may_not_write);
  chmod(".", 0700);
}

static void *other_thread(void *unused) { for (;;) pause(); }

static void crash_with_threads(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, other_thread, NULL);
  usleep(20000);
  __asm__ volatile("movabs $0x1122334455667788, %%r12\n movabs $0x4045000000000000, %%rax\n movq %%rax, %%xmm5\n movl $1, 8" ::: "r12", "rax", "memory");
}

static const char *core;
static size_t core_size;

/* What the core has at an address of the program; NULL when it has not. */
static const char *at(const void *address) {
  const Elf64_Ehdr *e = (const void *)core;
  const Elf64_Phdr *p = (const void *)(core + e->e_phoff);
  for (int i = 0; i < e->e_phnum; i++) {
    Elf64_Addr offset = (Elf64_Addr)address - p[i].p_vaddr;
    if (p[i].p_type == PT_LOAD && offset < p[i].p_filesz && p[i].p_offset + offset < core_size) return core + p[i].p_offset + offset;
  }
  return NULL;
}

static void read_note(const Elf64_Nhdr *n, pid_t pid, int *threads) {
  const char *desc = (const char *)(n + 1) + (n->n_namesz + 3) / 4 * 4;
  if (n->n_type == 0x205) return; /* NT_X86_XSAVE_LAYOUT: Linux 6.12 */
  printf("note %s %x", (const char *)(n + 1), n->n_type);
  if (n->n_type == NT_PRSTATUS) {
    const struct elf_prstatus *s = (const void *)desc;
    const struct user_regs_struct *r = (const void *)&s->pr_reg;
    printf(" size %u signal %d %d", n->n_descsz, s->pr_cursig, s->pr_info.si_signo);
    if ((*threads)++ == 0) printf(" first: pid %d ppid %d r12 %llx cs %llx rsp in core %d, code %d", s->pr_pid == pid, s->pr_ppid == getpid(), r->r12,
      r->cs, at((void *)r->rsp) != NULL, r->fs_base != 0);
    else printf(" other: pid %d, rsp in core %d", s->pr_pid > pid, at((void *)((const struct user_regs_struct *)&s->pr_reg)->rsp) != NULL);
  } else if (n->n_type == NT_PRPSINFO) {
    const struct elf_prpsinfo *s = (const void *)desc;
    printf(" size %u pid %d uid %d args %d", n->n_descsz, s->pr_pid == pid, s->pr_uid == getuid(), s->pr_psargs[0] != 0);
  } else if (n->n_type == NT_SIGINFO) {
    const siginfo_t *s = (const void *)desc;
    printf(" size %u signo %d code %d addr %p", n->n_descsz, s->si_signo, s->si_code, s->si_addr);
  } else if (n->n_type == NT_FPREGSET) {
    const struct user_fpregs_struct *s = (const void *)desc;
    printf(" size %u xmm5 %d", n->n_descsz, *threads > 1 || ((const unsigned *)s->xmm_space)[21] == 0x40450000);
  } else if (n->n_type == NT_X86_XSTATE) {
    printf(" xcr0 %d", *(const unsigned long *)(desc + 464) < 1 << 20 && (*(const unsigned long *)(desc + 464) & 3) == 3);
  } else if (n->n_type == NT_AUXV) {
    const Elf64_auxv_t *a = (const void *)desc;
    bool pages = false;
    while (a->a_type != AT_NULL) { if (a->a_type == AT_PAGESZ) pages = a->a_un.a_val == 4096; a++; }
    printf(" pages %d ends %d", pages, (const char *)(a + 1) == desc + n->n_descsz);
  } else if (n->n_type == NT_FILE) {
    const long *f = (const void *)desc;
    char exe[PATH_MAX] = "";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) return;
    printf(" unit %ld exe first %d", f[1], strcmp((const char *)(f + 2 + 3 * f[0]), exe) == 0);
  }
  printf("\n");
}

CASE(core_contents, "a core file: its notes, registers and memory") {
  enter();
  limit(RLIMIT_CORE, RLIM_INFINITY);
  if (!writes_core(CONTENTS)) return;
  pid_t pid = fork();
  if (pid == 0) { crash_with_threads(); _exit(8); }
  int status, fd, threads = 0;
  waitpid(pid, &status, 0);
  printf("signal %d dumped %d\n", WTERMSIG(status), WCOREDUMP(status) != 0);
  struct stat st;
  fd = open("core", O_RDONLY);
  fstat(fd, &st);
  core_size = st.st_size;
  core = mmap(NULL, core_size, PROT_READ, MAP_PRIVATE, fd, 0);
  const Elf64_Ehdr *e = (const void *)core;
  printf("elf %d class %d type %d machine %d ehsize %d phentsize %d\n", memcmp(core, ELFMAG, 4) == 0, core[EI_CLASS], e->e_type, e->e_machine, e->e_ehsize,
    e->e_phentsize);
  const Elf64_Phdr *p = (const void *)(core + e->e_phoff);
  for (int i = 0; i < e->e_phnum; i++) {
    if (p[i].p_type == PT_LOAD) continue;
    printf("type %d\n", p[i].p_type);
    for (const char *n = core + p[i].p_offset; n < core + p[i].p_offset + p[i].p_filesz;) {
      const Elf64_Nhdr *note = (const void *)n;
      read_note(note, pid, &threads);
      n = (const char *)(note + 1) + (note->n_namesz + 3) / 4 * 4 + (note->n_descsz + 3) / 4 * 4;
    }
  }
  const Elf64_Phdr *last = &p[e->e_phnum - 1];
  printf("whole %d\n", core_size == last->p_offset + last->p_filesz);
  const char *copy = at(marker);
  printf("data %s\n", copy ? copy : "missing");
  copy = at(&pid);
  printf("stack %d\n", copy != NULL && *(const pid_t *)copy == 0);
}

CASES_MAIN
