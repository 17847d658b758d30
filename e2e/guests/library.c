/* A library (a WASI reactor): it is initialized once and then does what the page calls. */
// clang: -mexec-model=reactor
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static int calls;

__attribute__((constructor)) static void set_up(void) { calls = 100; }

EXPORT(count) int count(void) { return ++calls; }

EXPORT(add) long long add(long long a, int b) { return a + b; }

EXPORT(half) double half(double x) { return x / 2; }

/* Room for `size` bytes, which the page fills. */
EXPORT(room) void *room(int size) { return malloc((size_t)size); }

EXPORT(upper) void upper(char *text, int size) {
  for (int i = 0; i < size; i++)
    if (text[i] >= 'a' && text[i] <= 'z') text[i] -= 32;
}

EXPORT(save) int save(const char *text, int size) {
  FILE *file = fopen("/work/saved", "a");
  if (!file) return -1;
  fwrite(text, 1, (size_t)size, file);
  return fclose(file);
}

/* Says `name` before and after a sleep: calls that went on at the same time would mix. */
EXPORT(slow) int slow(int name) {
  printf("%d begins\n", name);
  fflush(stdout);
  nanosleep(&(struct timespec){0, 20 * 1000000}, NULL);
  printf("%d ends\n", name);
  fflush(stdout);
  return name;
}

/* Waits for a line on stdin, and gives its length. */
EXPORT(listen) int listen_(void) {
  char line[100];
  return (int)read(STDIN_FILENO, line, sizeof line);
}

EXPORT(leave) void leave(int status) { exit(status); }

EXPORT(trap) void trap(void) { __builtin_trap(); }
