// Pipelines: data through several processes, end of file, broken pipes, inherited descriptors, a megabyte both ways.
#include "case.h"

int main(void) {
  int first[2], second[2];
  pipe(first);
  pipe(second);
  pid_t upper = fork();
  if (upper == 0) {
    char c;
    close(first[1]);
    close(second[0]);
    while (read(first[0], &c, 1) == 1) {
      if (c >= 'a' && c <= 'z') c -= 32;
      write(second[1], &c, 1);
    }
    _exit(11);
  }
  close(first[0]);
  close(second[1]);
  write(first[1], "through two pipes", 17);
  close(first[1]);
  char text[64];
  int length = 0, got;
  while ((got = read(second[0], text + length, 63 - length)) > 0) length += got;
  text[length] = 0;
  int status;
  waitpid(upper, &status, 0);
  printf("%s\n", text);
  show_status("upper", status);
  pipe(first);
  pid_t writer = fork();
  if (writer == 0) {
    static unsigned char block[65537];
    for (size_t i = 0; i < sizeof block; i++) block[i] = i * 7;
    close(first[0]);
    for (int i = 0; i < 16; i++)
      for (size_t at = 0; at < sizeof block;) at += write(first[1], block + at, sizeof block - at);
    _exit(0);
  }
  close(first[1]);
  static unsigned char buffer[10000];
  long total = 0;
  unsigned sum = 0;
  while ((got = read(first[0], buffer, 1 + total % 9999)) > 0) {
    for (int i = 0; i < got; i++) sum = sum * 31 + buffer[i];
    total += got;
  }
  waitpid(writer, &status, 0);
  printf("total %ld sum %08x\n", total, sum);
  pipe(first);
  writer = fork();
  if (writer == 0) {
    close(first[0]);
    for (;;) write(first[1], buffer, 10000);
  }
  close(first[1]);
  read(first[0], buffer, 100);
  close(first[0]);
  waitpid(writer, &status, 0);
  show_status("writer without a reader", status);
  FILE *stream = popen("cat; echo done >&2; exit 3", "w");
  fprintf(stream, "to popen\n");
  show_status("popen", pclose(stream));
  stream = popen("echo from popen; pwd | wc -l", "r");
  while (fgets(text, 64, stream)) printf("%s", text);
  show_status("popen", pclose(stream));
  show_status("system", system("for i in 1 2 3; do echo line $i; done | sort -r | head -2; exit 9"));
  show_status("system", system("kill -TERM $$"));
  show_status("system", system("nonexistent-command 2>/dev/null"));
  show_status("system", system("(exit 4) | (cat; exit 5)"));
  show_status("system", system("echo $((6*7)) > out; cat < out; rm out; test -e out"));
  return 0;
}
