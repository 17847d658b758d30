/* What a program sees of a file system through libc: every line is `label: what happened`, and labels are unique.
 *
 * `fsops DIR` works in a directory `fsops` that it makes there and removes again; without DIR, in the working directory.
 * Output is the same on every run: no inode numbers and no times, only relations between them; listings are sorted;
 * errors are names. It also compiles natively (cc fsops.c), which is how a line is checked against Linux itself. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef __wasi__
#include <wasi/libc.h>
#define renumber(from, to) __wasilibc_fd_renumber(from, to)
#else
static int renumber(int from, int to) {
  if (dup2(from, to) < 0) return -1;
  return from == to ? 0 : close(from);
}
#endif

/* ---- saying what happened ---- */

static const char *error_name(int e) {
  static const struct {
    int number;
    const char *name;
  } names[] = {
      {0, "ok"},             {EACCES, "EACCES"},     {EBADF, "EBADF"},       {EBUSY, "EBUSY"},         {EEXIST, "EEXIST"},
      {EFBIG, "EFBIG"},     {EILSEQ, "EILSEQ"},     {EINVAL, "EINVAL"},       {EISDIR, "EISDIR"},
      {ELOOP, "ELOOP"},     {EMLINK, "EMLINK"},     {ENAMETOOLONG, "ENAMETOOLONG"}, {ENOENT, "ENOENT"},
      {ENOSPC, "ENOSPC"},   {ENOSYS, "ENOSYS"},     {ENOTDIR, "ENOTDIR"},     {ENOTEMPTY, "ENOTEMPTY"},
      {ENOTSUP, "ENOTSUP"}, {ENOTTY, "ENOTTY"},     {EPERM, "EPERM"},         {EROFS, "EROFS"},
      {ESPIPE, "ESPIPE"},   {EXDEV, "EXDEV"},       {ENOBUFS, "ENOBUFS"},       {EIO, "EIO"},
#ifdef ENOTCAPABLE
      {ENOTCAPABLE, "ENOTCAPABLE"},
#endif
  };
  static char other[32];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == e) return names[i].name;
  snprintf(other, sizeof other, "errno %d", e);
  return other;
}

static const char *section = "";

/* `call` succeeded, or the name of its error. Gives back what it returned. */
static int did(const char *label, int result) {
  printf("%s %s: %s\n", section, label, result < 0 ? error_name(errno) : "ok");
  return result;
}
/* The number that a call returned, or the name of its error. */
static void number(const char *label, long long result) {
  if (result < 0) printf("%s %s: %s\n", section, label, error_name(errno));
  else printf("%s %s: %lld\n", section, label, result);
}
static void text(const char *label, const char *value) { printf("%s %s: %s\n", section, label, value); }
static void yes(const char *label, int truth) { text(label, truth ? "yes" : "no"); }
/* An open that should only be tried: closed at once where it succeeds. */
static void tried(const char *label, int fd) {
  if (did(label, fd) >= 0) close(fd);
}

/* ---- small tools ---- */

static void put(const char *path, const char *content) {
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t)strlen(content))
    printf("%s cannot make %s: %s\n", section, path, error_name(errno));
  if (fd >= 0) close(fd);
}
/* A file's whole content, NUL shown as '.', or the name of the error. */
static const char *content_of(const char *path) {
  static char buffer[256];
  int fd = open(path, O_RDONLY);
  if (fd < 0) return error_name(errno);
  ssize_t n = read(fd, buffer, sizeof buffer - 1);
  int e = errno;
  close(fd);
  if (n < 0) return error_name(e);
  for (ssize_t i = 0; i < n; i++)
    if (!buffer[i]) buffer[i] = '.';
  buffer[n] = 0;
  return n ? buffer : "(empty)";
}
static void content(const char *label, const char *path) { text(label, content_of(path)); }

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
/* What readdir says, sorted, in one line; `.` and `..` only where `dots` asks. */
static void listing(const char *label, DIR *d, int dots) {
  char *names[512], line[4096] = "";
  int n = 0;
  if (!d) return text(label, error_name(errno));
  for (struct dirent *e; n < 512 && (e = readdir(d));)
    if (dots || (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))) names[n++] = strdup(e->d_name);
  qsort(names, n, sizeof *names, by_text);
  for (int i = 0; i < n; i++) {
    if (i) strncat(line, " ", sizeof line - strlen(line) - 1);
    strncat(line, names[i], sizeof line - strlen(line) - 1);
    free(names[i]);
  }
  text(label, n ? line : "(empty)");
}
static void list(const char *label, const char *path) {
  DIR *d = opendir(path);
  listing(label, d, 0);
  if (d) closedir(d);
}
static int entries(const char *path) {
  DIR *d = opendir(path);
  int n = 0;
  if (!d) return -1;
  for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static struct stat st(const char *path) {
  struct stat s;
  memset(&s, 0, sizeof s);
  if (lstat(path, &s) < 0) s.st_size = -1;
  return s;
}
static int same(struct stat a, struct stat b) { return a.st_ino == b.st_ino && a.st_dev == b.st_dev; }
static int64_t ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }
static const char *kind(mode_t mode) {
  return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symlink" : "other";
}
/* Let the clock that stamps files move: kernels stamp with a clock that ticks each few milliseconds. */
static void tick(void) {
  struct timespec from, now;
  clock_gettime(CLOCK_MONOTONIC, &from);
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while (ns(now) - ns(from) < 25000000);
}

/* Removes everything in the working directory, two levels of loops deep enough for what the sections make. */
static void clear(const char *path) {
  char child[1024];
  for (int again = 1; again;) {
    DIR *d = opendir(path);
    if (!d) return;
    again = 0;
    for (struct dirent *e; !again && (e = readdir(d));) {
      if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
      snprintf(child, sizeof child, "%s/%s", path, e->d_name);
      if (S_ISDIR(st(child).st_mode)) {
        clear(child);
        again = rmdir(child) == 0;
      } else again = unlink(child) == 0;
    }
    closedir(d);
  }
}

/* ---- the sections: each starts in an empty directory ---- */

static void opening(void) {
  put("f", "hello");
  mkdir("d", 0755);
  symlink("f", "to-f");
  symlink("d", "to-d");
  symlink("nothing", "dangling");
  symlink("no-target", "dangling-too");

  tried("a missing name", open("nope", O_RDONLY));
  tried("a missing name for writing", open("nope", O_WRONLY));
  tried("a file", open("f", O_RDONLY));
  tried("O_CREAT of an existing file", open("f", O_CREAT | O_RDWR, 0644));
  content("O_CREAT leaves the content", "f");
  tried("O_CREAT makes a file", open("new", O_CREAT | O_WRONLY, 0644));
  number("a new file's size", st("new").st_size);
  tried("O_EXCL of an existing file", open("f", O_CREAT | O_EXCL | O_WRONLY, 0644));
  tried("O_EXCL of an existing directory", open("d", O_CREAT | O_EXCL | O_WRONLY, 0644));
  tried("O_EXCL of a symlink", open("to-f", O_CREAT | O_EXCL | O_WRONLY, 0644));
  tried("O_EXCL of a dangling symlink", open("dangling-too", O_CREAT | O_EXCL | O_WRONLY, 0644));
  tried("O_EXCL of a missing name", open("excl", O_CREAT | O_EXCL | O_WRONLY, 0644));
  tried("O_TRUNC", open("f", O_TRUNC | O_WRONLY));
  number("size after O_TRUNC", st("f").st_size);
  tried("O_TRUNC of a missing name", open("nope", O_TRUNC | O_WRONLY));
  tried("O_TRUNC of a directory", open("d", O_TRUNC | O_WRONLY));
  put("f", "hello");

  tried("a directory", open("d", O_RDONLY));
  tried("a directory for writing", open("d", O_WRONLY));
  tried("a directory for reading and writing", open("d", O_RDWR));
  tried("O_CREAT of an existing directory", open("d", O_CREAT | O_RDONLY, 0644));
  tried("O_DIRECTORY of a directory", open("d", O_RDONLY | O_DIRECTORY));
  tried("O_DIRECTORY of a file", open("f", O_RDONLY | O_DIRECTORY));
  tried("O_DIRECTORY of a missing name", open("nope", O_RDONLY | O_DIRECTORY));
  tried("O_DIRECTORY of a symlink to a directory", open("to-d", O_RDONLY | O_DIRECTORY));
  tried("O_DIRECTORY of a symlink to a file", open("to-f", O_RDONLY | O_DIRECTORY));
  tried("O_DIRECTORY with O_CREAT of a missing name", open("both", O_RDONLY | O_DIRECTORY | O_CREAT, 0755));
  tried("O_NOFOLLOW of a file", open("f", O_RDONLY | O_NOFOLLOW));
  tried("O_NOFOLLOW of a symlink", open("to-f", O_RDONLY | O_NOFOLLOW));
  tried("O_NOFOLLOW of a dangling symlink", open("dangling", O_RDONLY | O_NOFOLLOW));
  tried("O_NOFOLLOW with O_DIRECTORY of a symlink to a directory", open("to-d", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
  tried("O_NOFOLLOW with O_CREAT of a symlink", open("to-f", O_WRONLY | O_NOFOLLOW | O_CREAT, 0644));
  tried("O_NOFOLLOW of a file behind a symlinked directory", open("to-d/../f", O_RDONLY | O_NOFOLLOW));

  tried("a dangling symlink", open("dangling", O_RDONLY));
  tried("O_CREAT through a dangling symlink", open("dangling", O_CREAT | O_WRONLY, 0644));
  text("which makes its target", kind(st("nothing").st_mode));

  tried("a file with a slash", open("f/", O_RDONLY));
  tried("a directory with a slash", open("d/", O_RDONLY));
  tried("a directory with many slashes", open("d///", O_RDONLY));
  tried("a missing name with a slash", open("nope/", O_RDONLY));
  tried("O_CREAT of a missing name with a slash", open("made/", O_CREAT | O_WRONLY, 0644));
  tried("O_CREAT of a file with a slash", open("f/", O_CREAT | O_WRONLY, 0644));
  tried("a file with a slash and a dot", open("f/.", O_RDONLY));
  tried("a file with a slash and two dots", open("f/..", O_RDONLY));
  tried("a name below a file", open("f/x", O_RDONLY));
  tried("O_CREAT below a file", open("f/x", O_CREAT | O_WRONLY, 0644));
  tried("a name below a missing one", open("nope/x", O_RDONLY));
  tried("O_CREAT below a missing name", open("nope/x", O_CREAT | O_WRONLY, 0644));
  tried("a name beside a missing one", open("nope/../f", O_RDONLY));
  tried("a name beside a directory", open("d/../f", O_RDONLY));
  tried("dots and slashes", open(".//d/.././/f", O_RDONLY));
  tried("a dot", open(".", O_RDONLY));

  char longest[300];
  memset(longest, 'n', sizeof longest);
  longest[255] = 0;
  tried("a name of 255 bytes", open(longest, O_CREAT | O_WRONLY, 0644));
  longest[255] = 'n', longest[256] = 0;
  tried("a name of 256 bytes", open(longest, O_CREAT | O_WRONLY, 0644));
  static char path[4097];
  memset(path, '/', sizeof path);
  path[0] = '.', path[4094] = 'f', path[4095] = 0;
  int here = open(".", O_RDONLY | O_DIRECTORY); /* libc puts the working directory before a path, but not here */
  tried("a path of 4095 bytes", openat(here, path, O_RDONLY));
  path[4094] = '/', path[4095] = 'f', path[4096] = 0;
  tried("a path of 4096 bytes", openat(here, path, O_RDONLY));
  close(here);

  int a = open("f", O_RDONLY), b = open("f", O_RDONLY), c = open("f", O_RDONLY);
  yes("descriptors are consecutive", b == a + 1 && c == b + 1);
  close(a);
  close(b);
  int reused = open("f", O_RDONLY);
  yes("the smallest free descriptor is used", reused == a);
  did("close", close(reused));
  did("close again", close(reused));
  did("close of a descriptor never opened", close(1000));
  number("fcntl F_GETFL access mode of O_RDONLY", (fcntl(c, F_GETFL) & O_ACCMODE) == O_RDONLY);
  int w = open("f", O_WRONLY), rw = open("f", O_RDWR);
  number("fcntl F_GETFL access mode of O_WRONLY", (fcntl(w, F_GETFL) & O_ACCMODE) == O_WRONLY);
  number("fcntl F_GETFL access mode of O_RDWR", (fcntl(rw, F_GETFL) & O_ACCMODE) == O_RDWR);
  did("renumber onto an open descriptor", renumber(c, w));
  char byte[8] = "";
  number("read through the renumbered descriptor", read(w, byte, 5));
  number("read through its old number", read(c, byte, 1));
  did("renumber of a closed descriptor", renumber(c, w));
  did("access of a file", access("f", F_OK));
  did("access of a missing name", access("nope", F_OK));
  yes("a file is not a terminal", !isatty(w));
  close(w);
  close(rw);
}

static void reading_and_writing(void) {
  char b[64] = "", c[64] = "";
  int fd = open("f", O_CREAT | O_RDWR, 0644);
  number("write 10 bytes", write(fd, "0123456789", 10));
  number("read at the end", read(fd, b, 4));
  number("seek to 2", lseek(fd, 2, SEEK_SET));
  number("read 4", read(fd, b, 4));
  text("which are", b);
  number("position", lseek(fd, 0, SEEK_CUR));
  number("seek back by 3", lseek(fd, -3, SEEK_CUR));
  number("seek to 2 before the end", lseek(fd, -2, SEEK_END));
  number("read 4 with 2 left", read(fd, b, 4));
  number("seek before the start", lseek(fd, -1, SEEK_SET));
  number("seek before the start from the end", lseek(fd, -11, SEEK_END));
  number("seek with a wrong whence", lseek(fd, 0, 77));
  number("position after failed seeks", lseek(fd, 0, SEEK_CUR));
  number("read of no bytes", read(fd, b, 0));
  number("write of no bytes", write(fd, b, 0));
  number("seek beyond the end", lseek(fd, 20, SEEK_SET));
  number("read beyond the end", read(fd, b, 4));
  number("write of no bytes beyond the end", write(fd, b, 0));
  number("size after writing nothing there", st("f").st_size);
  number("write beyond the end", write(fd, "end", 3));
  content("the hole reads as zeros", "f");
  number("overwrite in the middle", pwrite(fd, "AB", 2, 4));
  number("position after pwrite", lseek(fd, 0, SEEK_CUR));
  memset(b, 0, sizeof b);
  number("pread", pread(fd, b, 6, 2));
  text("which gives", b);
  number("position after pread", lseek(fd, 0, SEEK_CUR));
  number("pread across the end", pread(fd, b, 10, 21));
  number("pread at the end", pread(fd, b, 10, 23));
  number("pread far beyond the end", pread(fd, b, 10, 1LL << 40));
  number("pread at a negative offset", pread(fd, b, 1, -1));
  number("pwrite at a negative offset", pwrite(fd, b, 1, -1));
  number("pwrite beyond the end", pwrite(fd, "tail", 4, 30));
  number("size then", st("f").st_size);

  struct iovec out[3] = {{"one", 3}, {"", 0}, {"three", 5}};
  struct iovec in[2] = {{b, 4}, {c, 60}};
  int v = open("v", O_CREAT | O_RDWR, 0644);
  number("writev of three parts", writev(v, out, 3));
  lseek(v, 0, SEEK_SET);
  memset(b, 0, sizeof b), memset(c, 0, sizeof c);
  number("readv into two parts", readv(v, in, 2));
  text("the first part", b);
  text("the second part", c);
  number("preadv", preadv(v, in, 2, 3));
  number("pwritev", pwritev(v, out, 3, 8));
  content("after pwritev", "v");
  close(v);

  int r = open("f", O_RDONLY), w = open("f", O_WRONLY), d = open(".", O_RDONLY);
  number("write to O_RDONLY", write(r, "x", 1));
  number("pwrite to O_RDONLY", pwrite(r, "x", 1, 0));
  number("read from O_WRONLY", read(w, b, 1));
  number("pread from O_WRONLY", pread(w, b, 1, 0));
  number("seek on O_WRONLY", lseek(w, 3, SEEK_SET));
  number("read from a directory", read(d, b, 1));
  number("write to a directory", write(d, "x", 1));
  close(r);
  number("read from a closed descriptor", read(r, b, 1));
  number("write to a closed descriptor", write(r, b, 1));
  number("seek on a closed descriptor", lseek(r, 0, SEEK_SET));
  did("fsync", fsync(fd));
  did("fdatasync", fdatasync(fd));
  did("fsync of a directory", fsync(d));
  did("fsync of a closed descriptor", fsync(r));
  close(w);
  close(d);
  close(fd);

  int one = open("s", O_CREAT | O_RDWR, 0644), two = open("s", O_RDWR);
  write(one, "shared", 6);
  memset(b, 0, sizeof b);
  number("a second descriptor sees what the first wrote", read(two, b, 6));
  text("namely", b);
  number("and has its own position", lseek(one, 0, SEEK_CUR) == 6 && lseek(two, -4, SEEK_CUR) == 2);
  close(one);
  close(two);

  static unsigned char big[300000];
  for (size_t i = 0; i < sizeof big; i++) big[i] = (unsigned char)(i * 31 + i / 251);
  int l = open("large", O_CREAT | O_RDWR, 0644);
  long long written = 0;
  for (size_t i = 0; i < sizeof big; i += 7777)
    written += write(l, big + i, i + 7777 < sizeof big ? 7777 : sizeof big - i);
  number("300000 bytes in uneven writes", written);
  unsigned wrong = 0;
  static unsigned char back[13000];
  for (size_t i = 0; i < sizeof big; i += sizeof back) {
    ssize_t n = pread(l, back, sizeof back, i);
    for (ssize_t j = 0; j < n; j++) wrong += back[j] != big[i + j];
  }
  number("bytes that read back wrong", wrong);
  pwrite(l, "patch", 5, 65534);
  memset(b, 0, sizeof b);
  pread(l, b, 5, 65534);
  text("a write across 64 KiB reads back", b);
  close(l);
}

/* Reads and writes of more than 1 MiB, which is what a guest in a Worker of its own hands over at a time. */
static void moving_much(void) {
  enum { LARGE = (3 << 20) + 5 };
  unsigned char *large = malloc(LARGE), *back = malloc(LARGE);
  struct iovec halves[2] = {{large, LARGE / 2}, {large + LARGE / 2, LARGE - LARGE / 2}};
  int l = open("large", O_CREAT | O_RDWR, 0644);
  for (int i = 0; i < LARGE; i++) large[i] = i * 7 + (i >> 12);
  number("write of 3 MiB", write(l, large, LARGE));
  number("writev of 3 MiB", writev(l, halves, 2));
  lseek(l, LARGE, SEEK_SET);
  number("read of 3 MiB", read(l, back, LARGE));
  yes("which writev wrote", memcmp(large, back, LARGE) == 0);
  number("pwrite of 3 MiB", pwrite(l, large, LARGE, 1));
  number("pread of 3 MiB", pread(l, back, LARGE, 1));
  yes("which pwrite wrote", memcmp(large, back, LARGE) == 0);
  close(l);
  free(large), free(back);
}

static void sparse(void) {
  char b[16];
  int fd = open("f", O_CREAT | O_RDWR, 0644);
  number("pwrite at 5 GiB", pwrite(fd, "far", 3, 5LL << 30));
  number("size", st("f").st_size);
  memset(b, 'x', sizeof b);
  number("pread in the hole", pread(fd, b, sizeof b, 3LL << 30));
  int zeros = 1;
  for (size_t i = 0; i < sizeof b; i++) zeros &= b[i] == 0;
  yes("reads as zeros", zeros);
  number("pread across the end of the hole", pread(fd, b, sizeof b, (5LL << 30) - 4));
  yes("zeros, then data", !memcmp(b, "\0\0\0\0far", 7));
  number("seek to its end", lseek(fd, 0, SEEK_END));
  did("ftruncate into the hole", ftruncate(fd, 1LL << 20));
  did("ftruncate back", ftruncate(fd, 6LL << 30));
  number("pread where data was", pread(fd, b, 3, 5LL << 30));
  yes("which is gone", b[0] == 0 && b[1] == 0 && b[2] == 0);
  number("posix_fallocate within the size", posix_fallocate(fd, 0, 100));
  did("ftruncate to nothing", ftruncate(fd, 0));
  number("posix_fallocate makes it larger", posix_fallocate(fd, 10, 20));
  number("to", st("f").st_size);
  text("posix_fallocate of no bytes", error_name(posix_fallocate(fd, 0, 0)));
  close(fd);
}

static void appending(void) {
  char b[32] = "";
  put("f", "begin,");
  int fd = open("f", O_RDWR | O_APPEND);
  number("position at open", lseek(fd, 0, SEEK_CUR));
  number("write", write(fd, "one,", 4));
  number("position after it", lseek(fd, 0, SEEK_CUR));
  lseek(fd, 0, SEEK_SET);
  number("read from the start", read(fd, b, 6));
  text("gives", b);
  number("write from a position in the middle", write(fd, "two,", 4));
  content("went to the end", "f");
  int other = open("f", O_WRONLY | O_APPEND);
  write(other, "other,", 6);
  write(fd, "three,", 6);
  content("two appending descriptors", "f");
  number("pwrite goes to the end, as on Linux", pwrite(fd, "P,", 2, 0));
  content("after pwrite", "f");
  number("F_GETFL says O_APPEND", (fcntl(fd, F_GETFL) & O_APPEND) != 0);
  did("F_SETFL without O_APPEND", fcntl(fd, F_SETFL, 0));
  lseek(fd, 0, SEEK_SET);
  write(fd, "BEGIN", 5);
  content("a write at 0 then", "f");
  close(other);
  close(fd);
  int plain = open("f", O_WRONLY);
  did("F_SETFL with O_APPEND", fcntl(plain, F_SETFL, O_APPEND));
  write(plain, "last", 4);
  content("a write at 0 after that", "f");
  did("ftruncate", ftruncate(plain, 3));
  close(plain);
  int a = open("f", O_WRONLY | O_APPEND | O_TRUNC);
  write(a, "x", 1);
  ftruncate(a, 4);
  write(a, "y", 1);
  content("append after ftruncate", "f");
  close(a);
  tried("O_APPEND with O_CREAT", open("g", O_WRONLY | O_APPEND | O_CREAT, 0644));
}

static void truncating(void) {
  char b[16] = "";
  put("f", "0123456789");
  mkdir("d", 0755);
  int fd = open("f", O_RDWR);
  lseek(fd, 8, SEEK_SET);
  did("ftruncate shorter", ftruncate(fd, 4));
  number("position stays", lseek(fd, 0, SEEK_CUR));
  number("read beyond the new end", read(fd, b, 2));
  did("ftruncate longer", ftruncate(fd, 12));
  content("old bytes do not come back", "f");
  did("ftruncate to the same size", ftruncate(fd, 12));
  did("ftruncate to a negative size", ftruncate(fd, -1));
  did("ftruncate shorter again", ftruncate(fd, 2));
  number("write at the old position", write(fd, "W", 1));
  content("leaves a hole", "f");
  close(fd);
  did("ftruncate of a closed descriptor", ftruncate(fd, 0));
  int r = open("f", O_RDONLY), d = open("d", O_RDONLY);
  did("ftruncate of O_RDONLY", ftruncate(r, 0));
  did("ftruncate of a directory", ftruncate(d, 0));
  close(r);
  close(d);
  did("truncate", truncate("f", 3));
  number("size", st("f").st_size);
  did("truncate of a missing name", truncate("nope", 3));
  did("truncate of a directory", truncate("d", 3));
  did("truncate of a file with a slash", truncate("f/", 3));
  symlink("f", "link");
  did("truncate through a symlink", truncate("link", 1));
  number("size of its target", st("f").st_size);
}

static void stating(void) {
  struct stat s;
  put("f", "12345");
  put("g", "");
  mkdir("d", 0755);
  put("d/x", "x");
  symlink("f", "link");
  symlink("d", "dlink");
  symlink("nope", "dangling");
  text("a file is a", kind(st("f").st_mode));
  text("a directory is a", kind(st("d").st_mode));
  text("lstat of a symlink is a", kind(st("link").st_mode));
  number("a file's size", st("f").st_size);
  number("an empty file's size", st("g").st_size);
  number("a symlink's size is its target's length", st("dangling").st_size);
  number("a file's nlink", st("f").st_nlink);
  number("an empty directory's nlink", (mkdir("e", 0755), st("e").st_nlink));
  number("a directory's nlink with two directories in it",
         (mkdir("e/1", 0755), mkdir("e/2", 0755), put("e/3", ""), st("e").st_nlink));
  number("after one of them moved away", (rename("e/1", "d/1"), st("e").st_nlink));
  number("and where it moved to", st("d").st_nlink);
  number("after the other was removed", (rmdir("e/2"), st("e").st_nlink));
  number("a symlink's nlink", st("link").st_nlink);
  stat("link", &s);
  yes("stat follows a symlink", same(s, st("f")));
  yes("lstat does not", !same(st("link"), st("f")));
  stat("dlink/", &s);
  yes("stat of a symlink with a slash follows it", same(s, st("d")));
  yes("lstat of a symlink with a slash follows it", same(st("dlink/"), st("d")));
  yes("two files differ", !same(st("f"), st("g")));
  yes("all are on one device", st("f").st_dev == st("d").st_dev && st("d/x").st_dev == st("d").st_dev);
  int fd = open("f", O_RDWR);
  fstat(fd, &s);
  yes("fstat is the same file", same(s, st("f")));
  write(fd, "123456789", 9);
  fstat(fd, &s);
  number("fstat sees a write at once", s.st_size);
  number("and so does stat", st("f").st_size);
  close(fd);
  did("fstat of a closed descriptor", fstat(fd, &s));
  int d = open("d", O_RDONLY);
  did("fstat of a directory", fstat(d, &s));
  yes("is the same directory", same(s, st("d")) && same(s, st("d/.")) && same(s, st("d/../d")));
  close(d);
  did("stat of a missing name", stat("nope", &s));
  did("stat of a file with a slash", stat("f/", &s));
  did("stat of a directory with a slash", stat("d/", &s));
  did("stat below a file", stat("f/x", &s));
  did("stat of two dots below a file", stat("f/..", &s));
  did("stat of a dot below a file", stat("f/.", &s));
  did("stat beside a missing name", stat("nope/../f", &s));
  did("stat of a dangling symlink", stat("dangling", &s));
  did("lstat of a dangling symlink", lstat("dangling", &s));
  did("lstat of a dangling symlink with a slash", lstat("dangling/", &s));
  did("lstat of a symlink to a file with a slash", lstat("link/", &s));
  did("stat of the working directory", stat(".", &s));
  char name[300];
  memset(name, 'n', 299), name[299] = 0;
  did("stat of a name of 299 bytes", stat(name, &s));
}

static void listing_directories(void) {
  mkdir("d", 0755);
  list("an empty directory", "d");
  DIR *raw = opendir("d");
  listing("dots in an empty directory", raw, 1);
  closedir(raw);
  put("d/b", "");
  put("d/a", "");
  put("d/name with spaces", "");
  put("d/\xc3\xa9t\xc3\xa9", "");
  put("d/.hidden", "");
  mkdir("d/sub", 0755);
  symlink("a", "d/link");
  list("seven entries", "d");
  list("with a slash", "d/");
  list("a missing directory", "nope");
  list("a file", "d/a");
  list("a symlink to a file", "d/link");
  symlink("d", "dlink");
  list("a symlink to a directory", "dlink");

  DIR *d = opendir("d");
  int types = 0, numbers = 0;
  for (struct dirent *e; (e = readdir(d));) {
    char path[300];
    snprintf(path, sizeof path, "d/%s", e->d_name);
    struct stat s = st(path);
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    types += e->d_type == (S_ISDIR(s.st_mode) ? DT_DIR : S_ISLNK(s.st_mode) ? DT_LNK : DT_REG);
    numbers += e->d_ino == s.st_ino;
  }
  number("entries whose type agrees with lstat", types);
  number("entries whose inode agrees with lstat", numbers);
  rewinddir(d);
  listing("again after rewinddir", d, 0);
  put("d/late", "");
  unlink("d/b");
  rewinddir(d);
  listing("rewinddir sees changes", d, 0);
  rewinddir(d);
  readdir(d), readdir(d), readdir(d);
  long here = telldir(d);
  struct dirent *e = readdir(d);
  char *next = strdup(e ? e->d_name : "(end)");
  while (readdir(d)) {}
  seekdir(d, here);
  e = readdir(d);
  yes("seekdir returns to where telldir was", e && !strcmp(e->d_name, next));
  free(next);
  closedir(d);

  mkdir("many", 0755);
  char name[32];
  for (int i = 0; i < 300; i++) snprintf(name, sizeof name, "many/entry-%03d", i), put(name, "");
  number("300 entries are listed", entries("many"));
  d = opendir("many");
  int removed = 0;
  while ((e = readdir(d))) {
    if (e->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "many/%.20s", e->d_name);
    removed += unlink(name) == 0;
  }
  closedir(d);
  yes("all are removed while they are listed", removed == 300);
  yes("none is left", entries("many") == 0);
  clear("many");
  for (int i = 0; i < 300; i++) snprintf(name, sizeof name, "many/entry-%03d", i), put(name, "");
  d = opendir("many");
  char seen[300] = {0};
  int twice = 0, listed = 0;
  for (int i = 0; (e = readdir(d)); i++) {
    if (e->d_name[0] == '.') continue;
    int k = atoi(e->d_name + 6);
    if (k < 300) twice += seen[k]++, listed++;
    snprintf(name, sizeof name, "many/later-%03d", 999 - i % 2);
    put(name, "");
  }
  closedir(d);
  yes("entries made meanwhile disturb no other", twice == 0 && listed >= 300);

  int fd = open("d", O_RDONLY | O_DIRECTORY);
  d = fdopendir(fd);
  listing("fdopendir", d, 0);
  number("dirfd is the descriptor", d ? dirfd(d) == fd : -1);
  if (d) closedir(d);
  fd = open("d/a", O_RDONLY);
  d = fdopendir(fd);
  did("fdopendir of a file", d ? 0 : -1);
  close(fd);
  mkdir("gone", 0755);
  put("gone/x", "");
  d = opendir("gone");
  unlink("gone/x");
  rmdir("gone");
  rewinddir(d); /* libc has read on already */
  listing("a directory removed while open", d, 0);
  if (d) closedir(d);
}

static void renaming(void) {
  struct stat before, after;
  put("a", "A");
  put("b", "B");
  before = st("a");
  did("a file", rename("a", "c"));
  after = st("c");
  yes("it is the same file", same(before, after));
  did("its old name", access("a", F_OK));
  did("over a file", rename("c", "b"));
  content("replaces it", "b");
  did("a missing name", rename("nope", "x"));
  did("into a missing directory", rename("b", "nope/x"));
  did("from below a file", rename("b/x", "y"));
  did("to below a file", rename("b", "b/x"));
  did("to itself", rename("b", "b"));

  mkdir("d", 0755);
  mkdir("e", 0755);
  put("d/in", "in");
  put("full", "");
  did("a file over a directory", rename("b", "e"));
  did("a directory over a file", rename("d", "b"));
  did("a directory over an empty one", rename("d", "e"));
  content("brings what is in it", "e/in");
  mkdir("d", 0755);
  did("a directory over a full one", rename("d", "e"));
  did("a directory into itself", rename("e", "e/sub"));
  mkdir("e/deep", 0755);
  did("a directory into its descendant", rename("e", "e/deep/sub"));
  did("a directory over its ancestor", rename("e/deep", "e"));
  did("a file over its ancestor", rename("e/in", "e"));
  did("a file with a slash", rename("b/", "x"));
  did("a file to a name with a slash", rename("b", "x/"));
  did("a directory with a slash", rename("e/", "f"));
  did("a directory to a name with a slash", rename("f", "g/"));
  list("it is there", "g");
  mkdir("foo", 0755);
  mkdir("foobar", 0755);
  put("foo/1", "");
  put("foobar/2", "");
  did("a directory whose name begins another's", rename("foo", "bar"));
  list("the other stays", "foobar");
  list("the one moved", "bar");

  symlink("b", "link");
  did("a symlink", rename("link", "moved-link"));
  text("stays a symlink", kind(st("moved-link").st_mode));
  put("t", "T");
  did("a file over a symlink", rename("t", "moved-link"));
  text("replaces the symlink, not its target", kind(st("moved-link").st_mode));
  content("the target", "b");
  symlink("g", "dlink");
  did("a directory over a symlink to a directory", rename("d", "dlink"));
  did("a symlink to a directory with a slash", rename("dlink/", "x"));
  link("b", "b2");
  did("one hard link over the other", rename("b", "b2"));
  yes("does nothing", access("b", F_OK) == 0 && access("b2", F_OK) == 0);

  char buf[8] = "";
  put("open", "still");
  put("over", "over");
  int fd = open("open", O_RDWR), victim = open("over", O_RDONLY);
  did("an open file over an open file", rename("open", "over"));
  number("the moved one reads on", read(fd, buf, 5));
  text("its bytes", buf);
  memset(buf, 0, sizeof buf);
  number("the replaced one reads on", read(victim, buf, 4));
  text("its own bytes", buf);
  fstat(victim, &after);
  number("and has nlink", after.st_nlink);
  close(fd);
  close(victim);

  /* Dots, each on names of its own, for a host that lets one pass changes what they mean. */
  mkdir("p1", 0755), mkdir("p2", 0755), mkdir("p2/deep", 0755), mkdir("p3", 0755);
  mkdir("p4", 0755), mkdir("p4/deep", 0755), put("q3", ""), put("q4", "");
  did("a dot below a directory", rename("p1/.", "q1"));
  did("two dots below a directory", rename("p2/deep/..", "q2"));
  did("a file to a dot", rename("q3", "p3/."));
  did("a file to two dots", rename("q4", "p4/deep/.."));
}

static void unlinking(void) {
  struct stat s, t;
  char b[16] = "";
  put("f", "content");
  mkdir("d", 0755);
  symlink("f", "link");
  symlink("d", "dlink");
  did("a missing name", unlink("nope"));
  did("a directory", unlink("d"));
  did("a directory with a slash", unlink("d/"));
  did("two dots", unlink("d/.."));
  did("a file with a slash", unlink("f/"));
  did("a symlink to a directory with a slash", unlink("dlink/"));
  did("below a file", unlink("f/x"));
  did("below a missing name", unlink("nope/x"));
  did("a symlink", unlink("link"));
  content("its target stays", "f");
  did("a symlink to a directory", unlink("dlink"));

  int fd = open("f", O_RDWR);
  did("an open file", unlink("f"));
  did("again", unlink("f"));
  did("opening it by name", open("f", O_RDONLY));
  did("fstat still works", fstat(fd, &s));
  number("nlink", s.st_nlink);
  number("size", s.st_size);
  number("read still works", read(fd, b, 7));
  text("and gives", b);
  number("write still works", write(fd, "+more", 5));
  did("ftruncate still works", ftruncate(fd, 9));
  fstat(fd, &s);
  number("size then", s.st_size);
  put("f", "new");
  t = st("f");
  yes("a new file of that name is another", !same(s, t));
  number("the old one keeps its bytes", pread(fd, b, 16, 0));
  close(fd);
  content("the new one has its own", "f");
  did("remove() of a file", remove("f"));
  did("remove() of a directory", remove("d"));
  list("nothing is left", ".");
}

static void making_and_removing_directories(void) {
  put("f", "");
  symlink("nope", "dangling");
  did("mkdir", mkdir("d", 0755));
  did("mkdir of an existing directory", mkdir("d", 0755));
  did("mkdir over a file", mkdir("f", 0755));
  did("mkdir over a dangling symlink", mkdir("dangling", 0755));
  did("mkdir with a slash", mkdir("s/", 0755));
  did("mkdir of a file with a slash", mkdir("f/", 0755));
  did("mkdir of a dangling symlink with a slash", mkdir("dangling/", 0755));
  did("mkdir of a dot below a directory", mkdir("d/.", 0755));
  did("mkdir of two dots below a directory", mkdir("d/..", 0755));
  did("mkdir below a missing name", mkdir("none/x", 0755));
  did("mkdir below a file", mkdir("f/x", 0755));
  did("mkdir below", mkdir("d/e", 0755));
  symlink("d", "dlink");
  did("mkdir through a symlink", mkdir("dlink/through", 0755));
  list("both are there", "d");
  did("rmdir of a full directory", rmdir("d"));
  did("rmdir of a file", rmdir("f"));
  did("rmdir of a missing name", rmdir("none"));
  did("rmdir of a symlink", rmdir("dlink"));
  did("rmdir of a symlink with a slash", rmdir("dlink/"));
  did("rmdir of two dots below a directory", rmdir("d/e/.."));
  did("rmdir of a file with a slash", rmdir("f/"));
  did("rmdir with a slash", rmdir("d/e/"));
  did("rmdir through a symlink", rmdir("dlink/through"));

  int fd = open("d", O_RDONLY | O_DIRECTORY);
  did("rmdir of an open directory", rmdir("d"));
  did("a file made in it", openat(fd, "x", O_CREAT | O_WRONLY, 0644));
  did("a directory made in it", mkdirat(fd, "x", 0755));
  did("a name looked up in it", openat(fd, "x", O_RDONLY));
  struct stat s;
  did("fstat of it", fstat(fd, &s));
  number("its nlink", s.st_nlink);
  close(fd);

  char deep[128] = "";
  for (int i = 0; i < 20; i++) strcat(deep, i ? "/n" : "n"), mkdir(deep, 0755);
  strcat(deep, "/leaf");
  put(deep, "leaf");
  content("a file twenty directories deep", deep);
  did("mkdir of a dot below a missing name", mkdir("nope/.", 0755));
  mkdir("last", 0755);
  did("rmdir of a dot below a directory", rmdir("last/."));
}

static void linking(void) {
  struct stat s;
  put("f", "one");
  mkdir("d", 0755);
  symlink("f", "link");
  did("link", link("f", "g"));
  number("nlink of the old name", st("f").st_nlink);
  number("nlink of the new name", st("g").st_nlink);
  yes("they are one file", same(st("f"), st("g")));
  put("g", "two!");
  content("what one name writes the other reads", "f");
  did("into a directory", link("f", "d/h"));
  number("nlink then", st("f").st_nlink);
  did("unlink of the first name", unlink("f"));
  content("the others stay", "d/h");
  number("nlink after unlink", st("g").st_nlink);
  did("to an existing name", link("g", "d/h"));
  did("to itself", link("g", "g"));
  did("to an existing directory", link("g", "d"));
  did("of a missing name", link("nope", "x"));
  did("of a directory", link("d", "x"));
  did("into a missing directory", link("g", "none/x"));
  did("to a name with a slash", link("g", "x/"));
  did("of a file with a slash", link("g/", "x"));
  did("of a symlink itself", link("link", "link2"));
  text("is a", kind(lstat("link2", &s) < 0 ? 0 : s.st_mode));
  number("nlink of the symlink", st("link").st_nlink);
  put("f", "f");
  did("with AT_SYMLINK_FOLLOW", linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
  yes("is the target", same(st("followed"), st("f")));
  int fd = open("g", O_RDONLY);
  unlink("g");
  unlink("d/h");
  fstat(fd, &s);
  number("nlink of the open file after the last unlink", s.st_nlink);
  close(fd);
}

static void symlinking(void) {
  char b[64] = "", name[32], target[32];
  put("f", "file");
  mkdir("d", 0755);
  mkdir("d/sub", 0755);
  put("d/f", "in d");
  did("symlink", symlink("f", "link"));
  number("readlink", readlink("link", b, sizeof b));
  text("gives", b);
  content("reading through it", "link");
  memset(b, 0, sizeof b);
  did("symlink of a longer target", symlink("d/../d/f", "long"));
  number("readlink into 3 bytes", readlink("long", b, 3));
  text("gives the first of them", b);
  number("readlink of a file", readlink("f", b, sizeof b));
  number("readlink of a directory", readlink("d", b, sizeof b));
  number("readlink of a missing name", readlink("nope", b, sizeof b));
  number("readlink of a symlink with a slash", readlink("link/", b, sizeof b));
  number("readlink below a file", readlink("f/x", b, sizeof b));
  did("symlink over a file", symlink("x", "f"));
  did("symlink over a symlink", symlink("x", "link"));
  did("symlink with an empty target", symlink("", "empty"));
  did("symlink to a name with a slash", symlink("f", "new/"));
  did("symlink in a missing directory", symlink("f", "none/x"));
  did("symlink below a file", symlink("f", "f/x"));

  did("a relative target in a directory", symlink("f", "d/rel"));
  content("is looked up from there", "d/rel");
  did("a target with two dots", symlink("../f", "d/up"));
  content("climbs", "d/up");
  unlink("d/up");
  symlink("d/sub", "to-sub");
  content("two dots after a symlink are the target's parent", "to-sub/../f");
  symlink("to-sub", "to-to-sub");
  content("also through two symlinks", "to-to-sub/../f");
  symlink("d", "dlink");
  content("a name below a symlink", "dlink/f");
  list("a directory through a symlink", "dlink/");
  put("dlink/made", "made");
  content("a file made through a symlink", "d/made");
  symlink("f/", "slash");
  content("a target with a slash that is a file", "slash");
  symlink("d/", "dslash");
  content("a target with a slash that is a directory", "dslash/f");
  symlink(".", "dot");
  content("a target of a dot", "dot/dot/dot/f");
  symlink("f/..", "bad");
  content("a target through a file", "bad");

  symlink("loop2", "loop1");
  symlink("loop1", "loop2");
  symlink("self", "self");
  content("a loop of two", "loop1");
  content("a loop of one", "self");
  content("below a loop", "self/x");
  did("unlink of a loop", unlink("self"));
  symlink("f", "l00");
  for (int i = 1; i <= 45; i++) {
    snprintf(name, sizeof name, "l%02d", i);
    snprintf(target, sizeof target, "l%02d", i - 1);
    symlink(target, name);
  }
  content("a chain of 8 symlinks", "l07");
  content("a chain of 40 symlinks", "l39");
  content("a chain of 41 symlinks", "l40");

  static char longest[5000];
  memset(longest, 't', sizeof longest - 1);
  longest[4095] = 0;
  did("a target of 4095 bytes", symlink(longest, "t4095"));
  number("its size", st("t4095").st_size);
  longest[4095] = 't', longest[4096] = 0;
  did("a target of 4096 bytes", symlink(longest, "t4096"));

  mkdir("other", 0755);
  did("dangling, then its target is made", symlink("other/later", "dangling"));
  content("before", "dangling");
  put("other/later", "later");
  content("after", "dangling");
}

#ifdef __wasi__
/* A preopened directory is not a chroot: no path leads out of it. Eight levels up are above wherever this runs.
 * The symlinks name a directory that no machine has: node:wasi does follow them out, and must find nothing to change. */
#define OUT "../../../../../../../.."
#define NOWHERE OUT "/no-such-directory-runtab"
static void leaving_the_preopen(void) {
  struct stat s;
  put("f", "");
  mkdir("d", 0755);
  did("symlink whose target is outside", symlink(NOWHERE "/x", "out"));
  symlink(NOWHERE, "out-dir");
  tried("open", open(OUT "/x", O_RDONLY));
  tried("O_CREAT", open(OUT "/x", O_CREAT | O_WRONLY, 0644));
  did("stat", stat(OUT, &s));
  did("opendir", opendir(OUT) ? 0 : -1);
  did("mkdir", mkdir(OUT "/x", 0755));
  did("rmdir", rmdir(OUT "/x"));
  did("unlink", unlink(OUT "/x"));
  did("rename to", rename("f", OUT "/x"));
  did("rename from", rename(OUT "/x", "y"));
  did("link to", link("f", OUT "/x"));
  did("link from", link(OUT "/x", "y"));
  did("symlink at", symlink("f", OUT "/x"));
  number("readlink", readlink(OUT "/x", (char[8]){0}, 8));
  tried("open through a symlink", open("out", O_RDONLY));
  tried("O_CREAT through a symlink", open("out", O_CREAT | O_WRONLY, 0644));
  tried("open through a symlinked directory", open("out-dir/x", O_RDONLY));
  did("stat through a symlink", stat("out", &s));
  did("mkdir through a symlinked directory", mkdir("out-dir/x", 0755));
  did("lstat of the symlink", lstat("out", &s));
  tried("up and back down within it", open("d/../d/../f", O_RDONLY));
  int d = open("d", O_RDONLY | O_DIRECTORY);
  tried("openat above a directory opened within it", openat(d, "../f", O_RDONLY));
  close(d);
}
#endif

static void timing(void) {
  struct stat a, b;
  struct timespec set[2] = {{.tv_sec = 1000000000, .tv_nsec = 0}, {.tv_sec = 1234567890, .tv_nsec = 0}};
  put("f", "x");
  mkdir("d", 0755);
  symlink("f", "link");
  symlink("nope", "dangling");
  did("utimensat", utimensat(AT_FDCWD, "f", set, 0));
  number("atime reads back", st("f").st_atim.tv_sec);
  number("mtime reads back", st("f").st_mtim.tv_sec);
  set[0].tv_nsec = 987654321, set[1].tv_nsec = 123456789;
  did("utimensat with nanoseconds", utimensat(AT_FDCWD, "f", set, 0));
  number("nanoseconds of atime", st("f").st_atim.tv_nsec);
  number("nanoseconds of mtime", st("f").st_mtim.tv_nsec);
  set[0].tv_nsec = set[1].tv_nsec = 0;
  set[1].tv_sec = 5000000000;
  did("a time after 2038 and 2106", utimensat(AT_FDCWD, "f", set, 0));
  number("it reads back", st("f").st_mtim.tv_sec);
  set[1].tv_sec = 1234567890;
  struct timespec omit[2] = {{.tv_sec = 7, .tv_nsec = 0}, {.tv_nsec = UTIME_OMIT}};
  utimensat(AT_FDCWD, "f", set, 0);
  did("UTIME_OMIT for mtime", utimensat(AT_FDCWD, "f", omit, 0));
  number("atime is set", st("f").st_atim.tv_sec);
  number("mtime stays", st("f").st_mtim.tv_sec);
  omit[1].tv_sec = 9, omit[1].tv_nsec = 0, omit[0].tv_nsec = UTIME_OMIT;
  did("UTIME_OMIT for atime", utimensat(AT_FDCWD, "f", omit, 0));
  number("atime stays", st("f").st_atim.tv_sec);
  number("mtime is set", st("f").st_mtim.tv_sec);
  a = st("f");
  did("UTIME_NOW", utimensat(AT_FDCWD, "f", (struct timespec[2]){{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}}, 0));
  yes("moves both", ns(st("f").st_atim) > ns(a.st_atim) && ns(st("f").st_mtim) > ns(a.st_mtim));
  int fd = open("f", O_RDWR);
  did("futimens", futimens(fd, set));
  number("mtime by futimens", st("f").st_mtim.tv_sec);
  did("futimens with NULL", futimens(fd, NULL));
  yes("is now", st("f").st_mtim.tv_sec > 1600000000);
  set[0].tv_nsec = 1000000000;
  did("a nanosecond out of range", futimens(fd, set));
  set[0].tv_nsec = 0;
  close(fd);
  did("futimens of a closed descriptor", futimens(fd, set));
  fd = open("f", O_RDONLY);
  did("futimens of O_RDONLY", futimens(fd, set));
  close(fd);
  did("utimensat of a missing name", utimensat(AT_FDCWD, "nope", set, 0));
  did("utimensat of a file with a slash", utimensat(AT_FDCWD, "f/", set, 0));
  did("utimensat of a directory", utimensat(AT_FDCWD, "d", set, 0));
  number("reads back", st("d").st_mtim.tv_sec);
  set[1].tv_sec = 1111111111;
  did("utimensat through a symlink", utimensat(AT_FDCWD, "link", set, 0));
  number("sets the target", st("f").st_mtim.tv_sec);
  did("utimensat of a dangling symlink", utimensat(AT_FDCWD, "dangling", set, 0));
  did("utimensat of a symlink itself", utimensat(AT_FDCWD, "dangling", set, AT_SYMLINK_NOFOLLOW));
  number("sets the symlink", st("dangling").st_mtim.tv_sec);

  /* Which operation moves which time. */
  put("g", "0123456789");
  fd = open("g", O_RDWR);
  char buf[16];
#define MOVES(label, path, operation)                                                                     \
  do {                                                                                                    \
    a = st(path), tick(), (void)!(operation), b = st(path);                                               \
    printf("%s %s moves: %s%s\n", section, label, ns(b.st_mtim) > ns(a.st_mtim) ? "mtime " : "",          \
           ns(b.st_ctim) > ns(a.st_ctim) ? "ctime" : ns(b.st_mtim) > ns(a.st_mtim) ? "" : "nothing");     \
  } while (0)
  MOVES("write", "g", write(fd, "x", 1));
  MOVES("pwrite", "g", pwrite(fd, "x", 1, 3));
  MOVES("write of no bytes", "g", write(fd, "x", 0));
  MOVES("read", "g", read(fd, buf, 4));
  MOVES("seek", "g", lseek(fd, 0, SEEK_SET));
  MOVES("fstat", "g", fstat(fd, &b));
  MOVES("fsync", "g", fsync(fd));
  MOVES("ftruncate shorter", "g", ftruncate(fd, 5));
  MOVES("ftruncate to the same size", "g", ftruncate(fd, 5));
  MOVES("open without O_TRUNC", "g", close(open("g", O_WRONLY)));
  MOVES("open with O_TRUNC", "g", close(open("g", O_WRONLY | O_TRUNC)));
  MOVES("link", "g", link("g", "h"));
  MOVES("unlink of another name", "g", unlink("h"));
  MOVES("rename", "g", (rename("g", "h"), rename("h", "g")));
  MOVES("setting times", "g", utimensat(AT_FDCWD, "g", set, 0));
  close(fd);
  MOVES("a file made in a directory", "d", (put("d/x", ""), 0));
  MOVES("a write to a file in a directory", "d", (put("d/x", "y"), 0));
  MOVES("a link made in a directory", "d", link("d/x", "d/y"));
  MOVES("a rename within a directory", "d", rename("d/y", "d/z"));
  MOVES("an unlink in a directory", "d", unlink("d/z"));
  MOVES("a rename out of a directory", "d", rename("d/x", "x"));
  MOVES("a mkdir in a directory", "d", mkdir("d/s", 0755));
  MOVES("a file made deeper", "d", (put("d/s/x", ""), 0));
  MOVES("listing a directory", "d", entries("d"));
  MOVES("a failed mkdir in a directory", "d", mkdir("d/s", 0755));
}

static void at_a_descriptor(void) {
  struct stat s;
  char b[16] = "";
  mkdir("d", 0755);
  mkdir("e", 0755);
  put("f", "outside");
  put("d/f", "inside");
  int d = open("d", O_RDONLY | O_DIRECTORY), e = open("e", O_RDONLY | O_DIRECTORY), f = open("f", O_RDONLY);
  int in = openat(d, "f", O_RDONLY);
  number("openat reads", read(in, b, 6));
  text("from its directory", b);
  close(in);
  tried("openat makes a file", openat(d, "made", O_CREAT | O_WRONLY, 0644));
  did("mkdirat", mkdirat(d, "sub", 0755));
  did("fstatat", fstatat(d, "made", &s, 0));
  did("symlinkat", symlinkat("f", d, "link"));
  number("readlinkat", readlinkat(d, "link", b, sizeof b));
  did("fstatat without following", fstatat(d, "link", &s, AT_SYMLINK_NOFOLLOW));
  text("is of a", kind(s.st_mode));
  did("linkat between directories", linkat(d, "f", e, "hard", 0));
  did("renameat between directories", renameat(d, "made", e, "moved"));
  did("faccessat", faccessat(e, "moved", F_OK, 0));
  did("unlinkat", unlinkat(e, "moved", 0));
  did("unlinkat of a directory", unlinkat(d, "sub", 0));
  did("unlinkat with AT_REMOVEDIR", unlinkat(d, "sub", AT_REMOVEDIR));
  list("the first directory", "d");
  list("the second directory", "e");
  tried("openat of a dot", openat(d, ".", O_RDONLY));
  tried("openat of an empty path", openat(d, "", O_RDONLY));
  did("mkdirat of a dot", mkdirat(d, ".", 0755));
  did("unlinkat of a dot", unlinkat(d, ".", 0));
  did("unlinkat of a dot with AT_REMOVEDIR", unlinkat(d, ".", AT_REMOVEDIR));
  did("renameat of a dot", renameat(d, ".", d, "x"));
  did("mkdirat of an empty path", mkdirat(d, "", 0755));
  did("unlinkat of an empty path", unlinkat(d, "", 0));
  did("renameat of an empty path", renameat(d, "", d, "x"));
  did("renameat to an empty path", renameat(d, "link", d, ""));
  did("linkat to an empty path", linkat(d, "f", d, "", 0));
  did("symlinkat of an empty path", symlinkat("f", d, ""));
  did("renaming the directory", rename("d", "renamed"));
  tried("openat still finds its files", openat(d, "f", O_RDONLY));
  tried("openat makes a file in the renamed directory", openat(d, "after", O_CREAT | O_WRONLY, 0644));
  did("that file is in it", access("renamed/after", F_OK));
  tried("openat on a file", openat(f, "x", O_RDONLY));
  tried("openat on a closed descriptor", openat(1000, "x", O_RDONLY));
  did("fstatat on a file", fstatat(f, "x", &s, 0));
  did("mkdirat on a closed descriptor", mkdirat(1000, "x", 0755));
  did("unlinkat on a closed descriptor", unlinkat(1000, "x", 0));
  did("renameat to a closed descriptor", renameat(d, "f", 1000, "x"));
  close(d);
  close(e);
  close(f);
  char cwd[256];
  yes("getcwd", getcwd(cwd, sizeof cwd) != NULL);
  did("chdir", chdir("renamed"));
  content("a relative name then", "f");
  content("two dots then", "../f");
  did("chdir to a file", chdir("f"));
  did("chdir to a missing name", chdir("nope"));
  did("chdir back", chdir(cwd));
  content("the name again", "f");
}

static void through_stdio(void) {
  char line[64];
  FILE *f = fopen("f", "w+");
  number("fprintf", fprintf(f, "line %d\nline %d\n", 1, 2));
  rewind(f);
  text("fgets", fgets(line, sizeof line, f) ? strtok(line, "\n") : "(nothing)");
  number("ftell", ftell(f));
  did("fseek", fseek(f, -2, SEEK_END));
  number("fgetc", fgetc(f));
  did("fflush", fflush(f));
  did("fclose", fclose(f));
  f = fopen("f", "a+");
  fputs("line 3\n", f);
  fclose(f);
  f = fopen("f", "r");
  int lines = 0;
  while (fgets(line, sizeof line, f)) lines++;
  number("lines after appending", lines);
  number("at the end", feof(f) != 0);
  fclose(f);
  did("fopen of a missing name", fopen("nope", "r") ? 0 : -1);
  did("fopen \"r+\" of a missing name", fopen("nope", "r+") ? 0 : -1);
  did("fopen \"wx\" of an existing name", fopen("f", "wx") ? 0 : -1);
  did("fopen \"w\" of a directory", fopen(".", "w") ? 0 : -1);
  f = fopen("f", "r+");
  fputs("LINE", f);
  fclose(f);
  f = fopen("f", "r");
  text("after \"r+\"", fgets(line, sizeof line, f) ? strtok(line, "\n") : "(nothing)");
  fclose(f);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } sections[] = {
      {"open", opening},
      {"io", reading_and_writing},
      {"much", moving_much},
      {"sparse", sparse},
      {"append", appending},
      {"truncate", truncating},
      {"stat", stating},
      {"readdir", listing_directories},
      {"rename", renaming},
      {"unlink", unlinking},
      {"mkdir", making_and_removing_directories},
      {"link", linking},
      {"symlink", symlinking},
#ifdef __wasi__
      {"leave", leaving_the_preopen},
#endif
      {"times", timing},
      {"at", at_a_descriptor},
      {"stdio", through_stdio},
  };
  if (argc > 1 && chdir(argv[1]) < 0) return perror(argv[1]), 2;
  /* One level down, so that the working directory is neither a mount point nor a preopened directory. */
  if (mkdir("fsops", 0755) < 0 || chdir("fsops") < 0) return perror("fsops"), 2;
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    section = sections[i].name;
    sections[i].run();
    clear(".");
    number("files left behind", entries("."));
  }
  if (chdir("..") < 0 || rmdir("fsops") < 0) return perror("fsops"), 2;
  return 0;
}
