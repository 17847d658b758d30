/* Reads a file's first BYTES again and again for MS milliseconds: pread FILE BYTES MS. Prints nanoseconds per read. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "pread FILE BYTES MS\n"), 2;
  ssize_t bytes = atol(argv[2]);
  int64_t wanted = atoll(argv[3]) * 1000000, begun = now(), spent;
  char *buffer = malloc(bytes);
  int fd = open(argv[1], O_RDONLY);
  if (fd < 0 || !buffer) return perror(argv[1]), 1;
  long reads = 0;
  do {
    if (pread(fd, buffer, bytes, 0) != bytes) return perror("pread"), 1;
    reads++;
    spent = now() - begun;
  } while (spent < wanted);
  printf("%.1f\n", (double)spent / reads);
  return 0;
}
