// Fuzzed ELF headers of a small program, run in children. Also scripts.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
static uint64_t state = 88172645463325252ull;
static uint64_t rnd(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
static const uint64_t V[] = { 0, 1, 8, 64, 4095, 4096, 4097, 65536, 0x400000, 0x400001, 1ull << 32, 1ull << 46, (1ull << 47) - 4096, 1ull << 47, 1ull << 53, 1ull << 62, 1ull << 63, -1ull, -4096ull, 0x7fffffe00000, 0x7ffffffff000, 0xffff800000000000 };
static uint64_t value(void) { return rnd() % 4 ? V[rnd() % 22] : rnd(); }
static unsigned char image[8192];
static void make(const char *interp) {
  memset(image, 0, sizeof image);
  Elf64_Ehdr *e = (void *)image; Elf64_Phdr *p = (void *)(image + 64);
  memcpy(e->e_ident, "\177ELF\2\1\1", 7); e->e_type = rnd() % 2 ? ET_EXEC : ET_DYN; e->e_machine = 62; e->e_version = 1; e->e_phoff = 64; e->e_ehsize = 64; e->e_phentsize = 56; e->e_phnum = 4;
  uint64_t base = e->e_type == ET_EXEC ? 0x400000 : 0; e->e_entry = base + 0x1000;
  for (int i = 0; i < 3; i++) p[i] = (Elf64_Phdr){ PT_LOAD, i == 1 ? 5 : 6, i ? 0x1000 : 0, base + i * 0x1000, 0, 0x1000, i == 2 ? 0x3000 : 0x1000, 0x1000 };
  p[3] = (Elf64_Phdr){ interp ? PT_INTERP : PT_GNU_STACK, 6, 4096 + 512, 0, 0, interp ? strlen(interp) + 1 : 0, 0, 1 };
  if (interp) strcpy((char *)image + 4096 + 512, interp);
  memcpy(image + 4096, "\x31\xff\xb8\x3c\0\0\0\x0f\x05", 9); // exit(0)
  for (int n = rnd() % 5; n > 0; n--) {
    int at = rnd() % 6;
    if (at == 0) { uint64_t v = value(); int f = rnd() % 4; if (f == 0) e->e_entry = v; if (f == 1) e->e_phoff = v; if (f == 2) e->e_phnum = v; if (f == 3) e->e_phentsize = v; }
    else { uint64_t *f = (uint64_t *)&p[rnd() % 4]; f[1 + rnd() % 6] = value(); }
    if (rnd() % 8 == 0) image[rnd() % 300] = rnd();
  }
}
static int run(const char *path) {
  pid_t pid = fork();
  if (pid == 0) { struct rlimit r = {1, 1}; setrlimit(RLIMIT_CPU, &r); char *a[] = {"x", 0}; execv(path, a); _exit(99); }
  int st; for (int t = 0; waitpid(pid, &st, WNOHANG) == 0; t++) { usleep(200); if (t > 10000) kill(pid, SIGKILL); } return st;
}
int main(int argc, char **argv) {
  int runs = atoi(argv[1]); state += strtoull(argv[2], 0, 0) * 0x9e3779b97f4a7c15ull;
  mkdir("/tmp/elf", 0755); chdir("/tmp/elf"); int ok = 0, refused = 0, killed = 0;
  const char *interps[] = { 0, "/tmp/elf/p", "/lib64/ld-linux-x86-64.so.2", "/tmp/elf", "", "/dev/null", "/tmp/elf/s" };
  for (int i = 0; i < runs; i++) {
    make(interps[rnd() % 7]); unlink("p"); int fd = open("p", O_CREAT | O_WRONLY, 0755); write(fd, image, rnd() % 8 ? sizeof image : rnd() % 8192); if (rnd() % 8 == 0) ftruncate(fd, 1ll << 40); close(fd);
    int st = run("/tmp/elf/p"); if (!WIFEXITED(st)) killed++; else if (WEXITSTATUS(st) == 99) refused++; else ok++;
  }
  for (int i = 0; i < 50; i++) {
    char line[600]; int n = rnd() % 500; const char *heads[] = { "#!/tmp/elf/s", "#!/tmp/elf/s\n", "#!", "#! \t \n", "#!\0", "#!/bin/sh \0 x\n", "#!/tmp/elf/p ", "#!///////" }; strcpy(line, heads[i % 8]); int l = strlen(line); for (int k = l; k < n; k++) line[k] = rnd();
    unlink("s"); int fd = open("s", O_CREAT | O_WRONLY, 0755); write(fd, line, n > l ? n : l); close(fd); run("/tmp/elf/s");
  }
  for (int i = 0; i < 10; i++) { char name[20], line[50]; sprintf(name, "c%d", i); sprintf(line, "#!/tmp/elf/c%d arg\n", (i + 1) % 10); int fd = open(name, O_CREAT | O_WRONLY, 0755); write(fd, line, strlen(line)); close(fd); }
  printf("chain %d\n", WEXITSTATUS(run("/tmp/elf/c0")));
  fprintf(stderr, "ok %d refused %d killed %d\n", ok, refused, killed);
  printf("done %d\n", ok + refused + killed);
}
