// Process-shared and robust mutexes, semaphores in shared memory, priority-inheriting mutexes; a dead owner.
#include "case.h"
#include <semaphore.h>

struct shared { pthread_mutex_t mutex; pthread_cond_t condition; sem_t semaphore; long count; int turn; };

int main(void) {
  struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  ERR(pthread_mutex_init(&shared->mutex, &attr));
  pthread_condattr_t condition;
  pthread_condattr_init(&condition);
  pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&shared->condition, &condition);
  sem_init(&shared->semaphore, 1, 0);
  for (int child = 0; child < 4; child++)
    if (fork() == 0) {
      for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&shared->mutex);
        shared->count++;
        pthread_mutex_unlock(&shared->mutex);
      }
      sem_post(&shared->semaphore);
      _exit(0);
    }
  for (int i = 0; i < 4; i++) sem_wait(&shared->semaphore);
  while (wait(NULL) > 0);
  printf("count %ld\n", shared->count);
  if (fork() == 0) {
    pthread_mutex_lock(&shared->mutex);
    while (shared->turn != 1) pthread_cond_wait(&shared->condition, &shared->mutex);
    shared->turn = 2;
    pthread_cond_signal(&shared->condition);
    pthread_mutex_unlock(&shared->mutex);
    _exit(0);
  }
  pthread_mutex_lock(&shared->mutex);
  shared->turn = 1;
  pthread_cond_broadcast(&shared->condition);
  while (shared->turn != 2) pthread_cond_wait(&shared->condition, &shared->mutex);
  pthread_mutex_unlock(&shared->mutex);
  wait(NULL);
  printf("turn %d\n", shared->turn);
  IN_CHILD("owner", pthread_mutex_lock(&shared->mutex));
  ERR(pthread_mutex_lock(&shared->mutex));
  ERR(pthread_mutex_consistent(&shared->mutex));
  ERR(pthread_mutex_unlock(&shared->mutex));
  ERR(pthread_mutex_lock(&shared->mutex));
  pthread_mutex_unlock(&shared->mutex);
  pid_t owner = fork();
  if (owner == 0) {
    pthread_mutex_lock(&shared->mutex);
    sem_post(&shared->semaphore);
    pause();
  }
  sem_wait(&shared->semaphore);
  pid_t killer = fork();
  if (killer == 0) {
    sleep_ms(30);
    kill(owner, SIGKILL);
    _exit(0);
  }
  ERR(pthread_mutex_lock(&shared->mutex));
  ERR(pthread_mutex_unlock(&shared->mutex));
  ERR(pthread_mutex_lock(&shared->mutex));
  while (wait(NULL) > 0);
  return 0;
}
