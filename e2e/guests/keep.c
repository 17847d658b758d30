// Writes so many bytes to a file, and makes sure of them: keep FILE BYTES
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int fd = open(argv[1], O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (fd < 0) return perror("open"), 1;
  char block[4096];
  memset(block, 'k', sizeof block);
  for (long left = atol(argv[2]); left > 0;) {
    ssize_t count = write(fd, block, left < (long)sizeof block ? left : (long)sizeof block);
    if (count < 0) return perror("write"), 1;
    left -= count;
  }
  if (fsync(fd)) return perror("fsync"), 1;
  return close(fd) ? perror("close"), 1 : 0;
}
