/* Copies stdin to stdout until its end. With file names, copies those instead. Exits 1 if one cannot be read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int copy(int fd, const char *name) {
  static char buffer[65536];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof buffer)) > 0)
    for (ssize_t done = 0; done < n;) {
      ssize_t w = write(STDOUT_FILENO, buffer + done, (size_t)(n - done));
      if (w < 0) return fprintf(stderr, "cat: stdout: %s\n", strerror(errno)), 1;
      done += w;
    }
  if (n < 0) return fprintf(stderr, "cat: %s: %s\n", name, strerror(errno)), 1;
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return copy(STDIN_FILENO, "stdin");
  int failed = 0;
  for (int i = 1; i < argc; i++) {
    int fd = open(argv[i], O_RDONLY);
    if (fd < 0) {
      fprintf(stderr, "cat: %s: %s\n", argv[i], strerror(errno));
      failed = 1;
      continue;
    }
    failed |= copy(fd, argv[i]);
    close(fd);
  }
  return failed;
}
