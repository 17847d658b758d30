/* flood N: writes N MB (1,000,000 bytes each) to stdout in pieces of 64,000 bytes: lines of 63 digits that count from 0.
 * Exits 1, saying why on stderr, if stdout takes no more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  long long left = (argc > 1 ? atoll(argv[1]) : 1) * 1000000, line = 0;
  static char piece[64001];
  while (left > 0) {
    for (int i = 0; i < 1000; i++) snprintf(piece + i * 64, 65, "%063lld\n", line++);
    size_t size = left < 64000 ? (size_t)left : 64000, done = 0;
    while (done < size) {
      ssize_t n = write(STDOUT_FILENO, piece + done, size - done);
      if (n < 0) return fprintf(stderr, "flood: %s\n", strerror(errno)), 1;
      done += (size_t)n;
    }
    left -= (long long)size;
  }
  return 0;
}
