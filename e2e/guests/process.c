/* What tests of processes need a program to do; the first argument says what:
 *   calls          makes calls for ever
 *   loop           makes none, for ever
 *   sleep MS       sleeps, says "slept"
 *   grow           takes memory, 64 KiB at a time, until there is no more, and says how much it got
 *   open PATH      opens PATH again and again until that fails, and says how often it could and why no more
 *   copy           stdin to stdout in pieces of 4096 bytes, until the end; says on stderr how many bytes, or what failed
 *   lines N TEXT   writes TEXT N times to stdout, a line each, by one write each; says on stderr what failed
 *   to FD TEXT     writes TEXT to the descriptor FD
 *   append PATH N TEXT   as lines, appending to a file
 *   trap           traps in a function of its own */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return 1;
}

static int write_all(int fd, const char *text, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = write(fd, text + done, size - done);
    if (n < 0) return -1;
    done += (size_t)n;
  }
  return 0;
}

static int lines(int fd, long count, const char *text) {
  char line[256];
  int size = snprintf(line, sizeof line, "%s\n", text);
  for (long i = 0; i < count; i++)
    if (write_all(fd, line, (size_t)size) < 0) return fail("write");
  return 0;
}

static int copy(void) {
  static char piece[4096];
  long total = 0;
  for (;;) {
    ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
    if (n < 0) return fail("read");
    if (n == 0) break;
    if (write_all(STDOUT_FILENO, piece, (size_t)n) < 0) return fail("write");
    total += n;
  }
  fprintf(stderr, "%ld bytes\n", total);
  return 0;
}

__attribute__((noinline)) static void falls_here(volatile int *zero) {
  if (*zero == 0) __builtin_trap();
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  struct timespec now;
  if (!strcmp(what, "calls"))
    for (;;) clock_gettime(CLOCK_MONOTONIC, &now);
  if (!strcmp(what, "loop"))
    for (volatile unsigned turns = 0;;) turns++;
  if (!strcmp(what, "sleep")) {
    long ms = atol(argv[2]);
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
    puts("slept");
    return 0;
  }
  if (!strcmp(what, "grow")) {
    long blocks = 0;
    for (volatile char *block; (block = malloc(65536)) != NULL; blocks++) block[0] = 1;
    printf("%ld blocks, %lu pages\n", blocks, (unsigned long)__builtin_wasm_memory_size(0));
    return 0;
  }
  if (!strcmp(what, "open")) {
    int count = 0;
    while (open(argv[2], O_RDONLY) >= 0) count++;
    printf("%d, then %s\n", count, strerror(errno));
    return 0;
  }
  if (!strcmp(what, "copy")) return copy();
  if (!strcmp(what, "lines")) return lines(STDOUT_FILENO, atol(argv[2]), argv[3]);
  if (!strcmp(what, "to")) return write_all(atoi(argv[2]), argv[3], strlen(argv[3])) < 0 ? fail("write") : 0;
  if (!strcmp(what, "append")) {
    int fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
    return fd < 0 ? fail(argv[2]) : lines(fd, atol(argv[3]), argv[4]);
  }
  if (!strcmp(what, "trap")) falls_here(&(volatile int){0});
  return 2;
}
