/* What the official test suite leaves out, one subject per argument: `edges mounts A B READONLY`, `edges readdir DIR`, `edges open DIR`,
 * `edges append FILE NAME LINES`, `edges poll`. Prints what it saw, or a line that begins with FAULT. Plain portable C. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *name_of(int error) {
  switch (error) {
    case 0: return "OK";
    case EXDEV: return "EXDEV";
    case EROFS: return "EROFS";
    case EAGAIN: return "EAGAIN";
    default: return strerror(error);
  }
}

static const char *in(const char *directory, const char *name) {
  static char paths[4][512];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(paths[turn], sizeof paths[turn], "%s/%s", directory, name);
  return paths[turn];
}

static void tell(const char *what, int result) { printf("%s: %s\n", what, name_of(result < 0 ? errno : 0)); }

static void fault(const char *what) {
  printf("FAULT %s: %s\n", what, strerror(errno));
  exit(1);
}

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) fault(path);
  tell("fsync", fsync(fd));
  tell("fdatasync", fdatasync(fd));
  close(fd);
}

static int mounts(const char *a, const char *b, const char *fixed) {
  struct stat on_a, on_b, on_fixed;
  char text[64] = "";
  write_file(in(a, "one"), "of a");
  write_file(in(b, "one"), "of b");
  if (stat(a, &on_a) || stat(b, &on_b) || stat(fixed, &on_fixed)) fault("stat");
  printf("devices differ: %d\n", on_a.st_dev != on_b.st_dev && on_b.st_dev != on_fixed.st_dev);
  tell("rename from mount to mount", rename(in(a, "one"), in(b, "two")));
  tell("link from mount to mount", link(in(a, "one"), in(b, "two")));
  tell("rename within a mount", rename(in(a, "one"), in(a, "two")));
  tell("create on a read-only mount", open(in(fixed, "new"), O_WRONLY | O_CREAT, 0644));
  tell("open for writing there", open(in(fixed, "file"), O_WRONLY));
  tell("mkdir there", mkdir(in(fixed, "dir"), 0755));
  tell("unlink there", unlink(in(fixed, "file")));
  tell("rename there", rename(in(fixed, "file"), in(fixed, "other")));
  tell("symlink there", symlink("file", in(fixed, "link")));
  tell("truncate there", truncate(in(fixed, "file"), 0));
  tell("rename from there", rename(in(fixed, "file"), in(a, "file")));
  int fd = open(in(fixed, "file"), O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) fault("read there");
  tell("fsync there", fsync(fd));
  printf("read there: %s\n", text);
  return 0;
}

/* Every second name is removed while the listing goes on, by the listing's own reader; new names come meanwhile. */
static int readdir_while_deleting(const char *directory) {
  enum { FILES = 700 };
  static unsigned char seen[FILES];
  char name[32];
  int others = 0, twice = 0, never = 0;
  for (int i = 0; i < FILES; i++) {
    snprintf(name, sizeof name, "old-%d", i);
    int fd = open(in(directory, name), O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) fault(name);
    close(fd);
  }
  DIR *d = opendir(directory);
  if (!d) fault("opendir");
  for (struct dirent *e; (e = readdir(d));) {
    int i;
    if (sscanf(e->d_name, "old-%d", &i) != 1) {
      others++;
      continue;
    }
    twice += seen[i]++;
    if (unlink(in(directory, e->d_name))) fault("unlink");
    if (i % 7 == 0) {
      snprintf(name, sizeof name, "new-%d", i);
      int fd = open(in(directory, name), O_WRONLY | O_CREAT, 0644);
      if (fd < 0) fault(name);
      close(fd);
    }
  }
  closedir(d);
  for (int i = 0; i < FILES; i++) never += !seen[i];
  printf("%d names: %d never seen, %d twice\n", FILES, never, twice);
  int left = 0;
  d = opendir(directory);
  for (struct dirent *e; (e = readdir(d));) left += e->d_name[0] != '.';
  closedir(d);
  printf("left: %d\n", left);
  return others > 102; /* `.`, `..`, and each new name at most once */
}

static int open_many(const char *directory) {
  enum { FILES = 1000 };
  static int fds[FILES];
  char text[32];
  for (int i = 0; i < FILES; i++) {
    snprintf(text, sizeof text, "%d", i);
    fds[i] = open(in(directory, text), O_RDWR | O_CREAT, 0644);
    if (fds[i] < 0) fault(text);
  }
  for (int i = 0; i < FILES; i++) {
    int length = snprintf(text, sizeof text, "file %d", i);
    if (write(fds[i], text, (size_t)length) != length) fault("write");
  }
  int right = 0;
  for (int i = 0; i < FILES; i++) {
    char expected[32];
    memset(text, 0, sizeof text);
    snprintf(expected, sizeof expected, "file %d", i);
    if (pread(fds[i], text, sizeof text - 1, 0) < 0) fault("pread");
    right += strcmp(text, expected) == 0;
  }
  for (int i = 0; i < FILES; i++)
    if (close(fds[i])) fault("close");
  printf("%d open at once, %d read back\n", FILES, right);
  return 0;
}

/* Each line is one write(2), of another length. */
static int append(const char *path, const char *name, int lines) {
  char line[512];
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd < 0) fault(path);
  for (int i = 0; i < lines; i++) {
    int length = snprintf(line, sizeof line, "%s %d ", name, i);
    int filler = (i * 37) % 300;
    memset(line + length, '.', (size_t)filler);
    length += filler;
    line[length++] = '\n';
    if (write(fd, line, (size_t)length) != length) fault("write");
  }
  close(fd);
  return 0;
}

/* Waits for stdin by poll(2) alone, until its end. */
static int poll_input(void) {
  struct pollfd p = {.fd = 0, .events = POLLIN};
  char buffer[4096];
  long bytes = 0;
  int idle = poll(&p, 1, 1);
  printf("at first: %d\n", idle > 0 ? 1 : idle);
  fflush(stdout);
  for (;;) {
    int ready = poll(&p, 1, -1);
    if (ready < 0) return tell("poll", ready), 0;
    ssize_t n = read(0, buffer, sizeof buffer);
    if (n < 0) return tell("read", (int)n), 0;
    if (n == 0) break;
    bytes += n;
  }
  printf("%ld bytes\n", bytes);
  return 0;
}

int main(int argc, char **argv) {
  const char *subject = argc > 1 ? argv[1] : "";
  if (!strcmp(subject, "mounts") && argc == 5) return mounts(argv[2], argv[3], argv[4]);
  if (!strcmp(subject, "readdir") && argc == 3) return readdir_while_deleting(argv[2]);
  if (!strcmp(subject, "open") && argc == 3) return open_many(argv[2]);
  if (!strcmp(subject, "append") && argc == 5) return append(argv[2], argv[3], atoi(argv[4]));
  if (!strcmp(subject, "poll") && argc == 2) return poll_input();
  fprintf(stderr, "edges: unknown subject\n");
  return 2;
}
