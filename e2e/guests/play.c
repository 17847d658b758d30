// Plays a script of changes, which it reads from stdin, in a directory: play DIRECTORY. A line is a step's number, what to do, and
// with what; steps that fail are passed over. The number of every fsync that has returned is printed at once (e2e/crash).
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char bytes[1 << 20];

static void put(const char *path, long at, long length) {
  int fd = open(path, O_WRONLY);
  if (fd < 0) return;
  for (long done = 0; done < length;) {
    ssize_t count = pwrite(fd, bytes + done, length - done, at + done);
    if (count <= 0) break;
    done += count;
  }
  close(fd);
}

static void make(const char *path, int flags) {
  int fd = open(path, O_CREAT | O_WRONLY | flags, 0644);
  if (fd >= 0) close(fd);
}

int main(int argc, char **argv) {
  char line[256], what[2], a[64], b[64];
  long n, at, length;
  if (argc < 2 || chdir(argv[1])) return perror("chdir"), 1;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "%ld %1s %63s %63s", &n, what, a, b) < 3) continue;
    switch (*what) {
      case 'c': make(a, 0); break;
      case 't': make(a, O_TRUNC); break;
      case 'w':
        sscanf(line, "%*d %*s %*s %ld %ld", &at, &length);
        for (long i = 0; i < length; i++) bytes[i] = n * 31 + i * 7 + (i >> 8);
        put(a, at, length);
        break;
      case 'n':
        sprintf(bytes, "%08ld", n);
        make(a, 0), put(a, 0, 8);
        break;
      case 'p': {
        int fd = open(b, O_RDONLY);
        if (fd < 0) break;
        ssize_t count = pread(fd, bytes, 8, 0);
        close(fd);
        if (count == 8) make(a, 0), put(a, 0, 8);
        break;
      }
      case 'l': truncate(a, atol(b)); break;
      case 'r': rename(a, b); break;
      case 'k': link(a, b); break;
      case 'u': unlink(a); break;
      case 'm': mkdir(a, 0755); break;
      case 'd': rmdir(a); break;
      case 's': {
        int fd = open(a, O_RDONLY);
        if (fd < 0) break;
        if (fsync(fd)) return perror("fsync"), 1;
        close(fd);
        printf("%ld\n", n), fflush(stdout);
        break;
      }
    }
  }
  return 0;
}
