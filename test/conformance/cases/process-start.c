// What a new process finds: argv, environment, auxiliary vector, descriptors, registers, /proc/self/exe; static and dynamic.
// link: both
#include "case.h"
#include <elf.h>
#include <sys/auxv.h>

extern char **environ;

static int by_text(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

int main(int argc, char **argv) {
  printf("argc %d name ends in case %d\n", argc, strlen(argv[0]) > 4 && !strcmp(argv[0] + strlen(argv[0]) - 4, "case"));
  SAY(argv[argc] == NULL);
  int count = 0;
  while (environ[count]) count++;
  qsort(environ, count, sizeof *environ, by_text);
  for (int i = 0; i < count; i++) puts(environ[i]);
  SAY(getauxval(AT_PAGESZ) == 4096);
  SAY(getauxval(AT_CLKTCK) == 100);
  SAY(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid() && getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
  SAY(getauxval(AT_SECURE) == 0);
  SAY(getauxval(AT_PHDR) != 0 && getauxval(AT_PHENT) == sizeof(Elf64_Phdr) && getauxval(AT_PHNUM) > 2);
  SAY(getauxval(AT_ENTRY) != 0);
  SAY(getauxval(AT_FLAGS) == 0);
  printf("%s\n", (char *)getauxval(AT_PLATFORM));
  SAY(strlen((char *)getauxval(AT_EXECFN)) > 0);
  unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
  int different = 0;
  for (int i = 1; i < 16; i++) different += random[i] != random[0];
  SAY(different > 5);
  SAY(getauxval(AT_HWCAP) != 0);
  char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
  SAY(vdso && !memcmp(vdso, "\177ELF", 4));
  SAY(((uintptr_t)__builtin_frame_address(0) >> 40) == 0x7f);
  unsigned csr = __builtin_ia32_stmxcsr();
  unsigned short control;
  __asm__("fnstcw %0" : "=m"(control));
  printf("mxcsr %x fpu %x\n", csr & 0xffc0, control);
  char path[256];
  ssize_t length = readlink("/proc/self/exe", path, 255);
  path[length > 0 ? length : 0] = 0;
  SAY(length > 5 && !strcmp(path + length - 5, "/case"));
  for (int fd = 0; fd < 10; fd++) printf("%d", fcntl(fd, F_GETFD) >= 0);
  printf("\n");
  char byte;
  SHOW(read(0, &byte, 1));
  printf("%d %d\n", getuid(), getgid());
  SAY(getppid() > 0 && getpid() > 1 && getpid() == gettid());
  SAY(getenv("PATH") != NULL && getenv("NONE") == NULL);
  atexit(by_text == NULL ? abort : (void (*)(void))tzset);
  SHOW(nice(0));
  SHOW(getpriority(PRIO_PROCESS, 0));
  return 0;
}
