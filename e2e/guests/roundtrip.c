/* What a system call costs on its way to the kernel and back. In the working directory:
 *
 *   roundtrip measure MS  measures each kind of call for MS milliseconds and prints `NAME microseconds`, the mean of all
 *   roundtrip for-ever    reads from a file, time and again, until it is killed; says `reading` first
 *   roundtrip spin        makes no call, until it is killed; says `spinning` first */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20 };
static unsigned char buffer[MIB];
static int fd;

static void need(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "roundtrip: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void open_close(size_t size) {
  (void)size;
  int opened = open("file", O_RDONLY);
  need(opened >= 0 && close(opened) == 0, "open and close");
}
static void read_at(size_t size) { need(pread(fd, buffer, size, 0) == (ssize_t)size, "pread"); }
static void write_at(size_t size) { need(pwrite(fd, buffer, size, 0) == (ssize_t)size, "pwrite"); }

static void measure(const char *name, void (*call)(size_t), size_t size, int64_t duration) {
  long count = 0;
  int64_t start = now(), end;
  do {
    for (int i = 0; i < 16; i++) call(size);
    count += 16;
    end = now();
  } while (end - start < duration);
  printf("%s %.1f\n", name, (double)(end - start) / 1000 / (double)count);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  fd = open("file", O_CREAT | O_RDWR, 0644);
  need(fd >= 0, "open");
  write_at(MIB);
  if (strcmp(what, "spin") == 0) {
    puts("spinning");
    fflush(stdout);
    for (volatile int i = 0;; i++);
  }
  if (strcmp(what, "for-ever") == 0) {
    puts("reading");
    fflush(stdout);
    for (;;) read_at(16);
  }
  int64_t duration = (int64_t)(argc > 2 ? atoi(argv[2]) : 100) * 1000000;
  measure("openat+close", open_close, 0, duration);
  measure("pread-16", read_at, 16, duration);
  measure("pread-4K", read_at, 4096, duration);
  measure("pread-64K", read_at, 65536, duration);
  measure("pread-1M", read_at, MIB, duration);
  measure("pwrite-4K", write_at, 4096, duration);
  measure("pwrite-64K", write_at, 65536, duration);
  measure("pwrite-1M", write_at, MIB, duration);
  return 0;
}
