// pthread_atfork order, locks across fork, fork from a thread, exec from a thread, signals to a threaded process.
#include "case.h"

static char trace[256];
#define NOTE(name) static void name(void) { strcat(trace, " " #name); }
NOTE(prepare1) NOTE(prepare2) NOTE(parent1) NOTE(parent2) NOTE(child1) NOTE(child2)
static void *forker(void *unused) {
  pid_t main_thread = getpid();
  pid_t child = fork();
  if (child == 0) {
    printf("in the child the forking thread is the main one: %d parent right: %d\n", getpid() == gettid(), getppid() == main_thread);
    exit(3);
  }
  int status;
  waitpid(child, &status, 0);
  show_status("forked", status);
  return unused;
}
static void *execer(void *unused) {
  char *argv[] = { "sh", "-c", "echo from exec; exit 12", NULL };
  sleep_ms(10);
  execv("/bin/sh", argv);
  return unused;
}
static void *endless(void *unused) { for (;;) pause(); return unused; }
static void *crash(void *unused) { *(volatile int *)0 = 1; return unused; }

int main(void) {
  pthread_atfork(prepare1, parent1, child1);
  pthread_atfork(prepare2, parent2, child2);
  IN_CHILD("child", printf("child:%s\n", trace));
  printf("parent:%s\n", trace);
  pthread_t thread;
  pthread_create(&thread, NULL, forker, NULL);
  pthread_join(thread, NULL);
  IN_CHILD("exec from a thread", pthread_create(&thread, NULL, execer, NULL); pause());
  IN_CHILD("exec from main", {
    pthread_create(&thread, NULL, endless, NULL);
    execl("/bin/sh", "sh", "-c", "exit 13", NULL);
  });
  IN_CHILD("crash in a thread", pthread_create(&thread, NULL, crash, NULL); pause());
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 5; i++) pthread_create(&thread, NULL, endless, NULL);
    pause();
  }
  sleep_ms(50);
  kill(child, SIGTERM);
  int status;
  waitpid(child, &status, 0);
  show_status("killed", status);
  return 0;
}
