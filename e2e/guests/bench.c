/* The micro-benchmark guest: `bench ROW N [SAMPLE_MS [SAMPLES [CAP_MS]]]` prints `ROW N ns_per_op`; `bench` lists the rows.
 *
 * N is the size of what grows in that row (said at each row below), so that the cost per operation at N and at 10 N shows
 * what does not scale. How often the operation runs is a matter of time only: rounds are added up until SAMPLE_MS of
 * measured time have passed, and the cheapest of SAMPLES such samples is the answer, for noise only ever adds. CAP_MS of
 * wall time end it early, with one round done at the least; a slow file system is then measured on fewer rounds, at the same N.
 *
 * Setting up and clearing away are not measured. It runs in the working directory, leaves it as it was, and exits 1 with a
 * reason on stderr if any call fails or gives the wrong answer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, BATCH = 256 };

static const char *row = "bench";
static long n;
static unsigned char buffer[MIB];

static void need(int truth) {
  if (truth) return;
  fprintf(stderr, "bench: %s %ld: %s\n", row, n, strerror(errno));
  exit(1);
}

/* ---- time: only what runs between start() and stop(operations) is measured ---- */

static int64_t started, measured, operations;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static void start(void) { started = now(); }
static void stop(int64_t count) {
  measured += now() - started;
  operations += count;
}

static uint32_t seed = 1;
static long random_below(long limit) {
  seed = seed * 1664525u + 1013904223u;
  return (long)((uint64_t)(seed >> 1) * (uint64_t)limit >> 31);
}

/* ---- names: made before the clock starts ---- */

enum { NAME = 40 };
static char *names, *others;
static long turn; /* which name is next; rounds go on where the last one ended */

static char *name(long i) { return names + i * NAME; }
static char *other(long i) { return others + i * NAME; }
static long next(void) {
  long i = turn;
  if (++turn == n) turn = 0;
  return i;
}
static char *make_names(const char *prefix, const char *suffix) {
  char *made = malloc((size_t)n * NAME);
  need(made != NULL);
  for (long i = 0; i < n; i++) snprintf(made + i * NAME, NAME, "%sf%07ld%s", prefix, i, suffix);
  return made;
}
static void create(const char *path, size_t size) {
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
  need(fd >= 0);
  need(size == 0 || write(fd, buffer, size) == (ssize_t)size);
  need(close(fd) == 0);
}
static void create_all(void) {
  for (long i = 0; i < n; i++) create(name(i), 0);
}
static void unlink_all(void) {
  for (long i = 0; i < n; i++) need(unlink(name(i)) == 0);
}

/* A directory of n empty files. */
static void fill(void) {
  names = make_names("", "");
  create_all();
}
/* Nine directories, one in the other, and n empty files in the last: their names are at depth 10. */
#define DEEP "d/d/d/d/d/d/d/d/d/"
static void fill_deep(void) {
  char path[] = DEEP;
  for (int i = 1; i < 18; i += 2) path[i] = 0, need(mkdir(path, 0755) == 0), path[i] = '/';
  names = make_names(DEEP, "");
  create_all();
}
static void clear_deep(void) {
  unlink_all();
  char path[] = DEEP;
  for (int i = 17; i > 0; i -= 2) path[i] = 0, need(rmdir(path) == 0);
}

/* ---- a file of a given size, set first and then filled, which is linear even where appending is not ---- */

static int fd = -1;
static int64_t size;

static void make_file(int64_t bytes) {
  size = bytes;
  fd = open("file", O_CREAT | O_EXCL | O_RDWR, 0644);
  need(fd >= 0 && ftruncate(fd, size) == 0);
  for (int64_t at = 0; at < size;) {
    size_t piece = size - at < MIB ? (size_t)(size - at) : MIB;
    need(pwrite(fd, buffer, piece, at) == (ssize_t)piece);
    at += (int64_t)piece;
  }
}
static void pages_file(void) { make_file((int64_t)n * PAGE); }
static void mib_file(void) { make_file((int64_t)n * MIB); }
static void records_file(void) { make_file((int64_t)n * 16); }
static void small_file(void) { make_file(100); }
static void drop_file(void) { need(close(fd) == 0 && unlink("file") == 0); }

/* ---- the rows ---- */

/* An empty file, n writes at its end. */
static void append_of(size_t bytes) {
  fd = open("file", O_CREAT | O_EXCL | O_WRONLY, 0644);
  need(fd >= 0);
  start();
  for (long i = 0; i < n; i++) need(write(fd, buffer, bytes) == (ssize_t)bytes);
  stop(n);
  drop_file();
}
static void append_4k(void) { append_of(PAGE); }
static void write_16(void) { append_of(16); }

static void pwrite_4k(void) {
  start();
  for (int i = 0; i < BATCH; i++) need(pwrite(fd, buffer, PAGE, (off_t)random_below(n) * PAGE) == PAGE);
  stop(BATCH);
}
static void pwrite_1m(void) {
  start();
  for (int i = 0; i < 4; i++) need(pwrite(fd, buffer, MIB, (off_t)(i % n) * MIB) == MIB);
  stop(4);
}
static void pread_4k(void) {
  start();
  for (int i = 0; i < BATCH; i++) need(pread(fd, buffer, PAGE, (off_t)random_below(n) * PAGE) == PAGE);
  stop(BATCH);
}

/* Reads on from where the last round ended; at the end of the file back to its start, which is measured as it must be done. */
static int64_t position;
static void read_of(size_t bytes, int count) {
  start();
  for (int i = 0; i < count; i++) {
    if (position == size) position = lseek(fd, 0, SEEK_SET);
    need(read(fd, buffer, bytes) == (ssize_t)bytes);
    position += (int64_t)bytes;
  }
  stop(count);
}
static void from_start(void) { position = lseek(fd, 0, SEEK_SET); }
static void read_setup_4k(void) { pages_file(), from_start(); }
static void read_setup_1m(void) { mib_file(), from_start(); }
static void read_setup_16(void) { records_file(), from_start(); }
static void read_4k(void) { read_of(PAGE, BATCH); }
static void read_1m(void) { read_of(MIB, 4); }
static void read_16(void) { read_of(16, BATCH); }

static void do_fstat(void) {
  struct stat s;
  start();
  for (long i = 0; i < n; i++) need(fstat(fd, &s) == 0 && s.st_size == 100);
  stop(n);
}
static void do_lseek(void) {
  start();
  for (long i = 0; i < n; i++) need(lseek(fd, i & 63, SEEK_SET) == (i & 63));
  stop(n);
}

static void do_stat(void) {
  struct stat s;
  start();
  for (int i = 0; i < BATCH; i++) need(stat(name(next()), &s) == 0);
  stop(BATCH);
}
static void fill_beside(void) {
  fill();
  others = make_names("", ".not");
}
static void stat_missing(void) {
  struct stat s;
  start();
  for (int i = 0; i < BATCH; i++) need(stat(other(next()), &s) < 0 && errno == ENOENT);
  stop(BATCH);
}
static void open_close(void) {
  start();
  for (int i = 0; i < BATCH; i++) {
    int opened = open(name(next()), O_RDONLY);
    need(opened >= 0 && close(opened) == 0);
  }
  stop(BATCH);
}

static void only_names(void) { names = make_names("", ""); }
static void create_100(void) {
  start();
  for (long i = 0; i < n; i++) create(name(i), 100);
  stop(n);
  unlink_all();
}
static void do_unlink(void) {
  create_all();
  start();
  unlink_all();
  stop(n);
}
static void read_directory(void) {
  long seen = 0;
  start();
  DIR *d = opendir(".");
  need(d != NULL);
  for (struct dirent *e; (e = readdir(d)) != NULL;) seen += e->d_name[0] == 'f';
  need(closedir(d) == 0);
  stop(n);
  need(seen == n);
}
static void do_rename(void) {
  start();
  for (int i = 0; i < BATCH; i++) {
    char *from = name(turn), *to = other(turn), swap[NAME];
    need(rename(from, to) == 0);
    memcpy(swap, from, NAME), memcpy(from, to, NAME), memcpy(to, swap, NAME);
    next();
  }
  stop(BATCH);
}
static void mkdir_rmdir(void) {
  start();
  for (int i = 0; i < BATCH; i++) need(mkdir("made", 0755) == 0 && rmdir("made") == 0);
  stop(BATCH);
}
static void do_ftruncate(void) {
  start();
  for (int i = 0; i < BATCH; i++) need(ftruncate(fd, i & 1 ? size : size - 1000) == 0);
  stop(BATCH);
}
static void open_append_close(void) {
  create("file", 0);
  start();
  for (long i = 0; i < n; i++) {
    int opened = open("file", O_WRONLY | O_APPEND);
    need(opened >= 0 && write(opened, buffer, 100) == 100 && close(opened) == 0);
  }
  stop(n);
  struct stat s;
  need(stat("file", &s) == 0 && s.st_size == n * 100 && unlink("file") == 0);
}

static void nothing(void) {}

static const struct {
  const char *name;
  const char *grows; /* what N counts */
  void (*set_up)(void), (*round)(void), (*clear)(void);
} rows[] = {
    {"append-4k", "appends to an empty file", nothing, append_4k, nothing},
    {"pwrite-4k-random", "4 KiB pages in the file", pages_file, pwrite_4k, drop_file},
    {"read-4k", "4 KiB pages in the file", read_setup_4k, read_4k, drop_file},
    {"pread-4k-random", "4 KiB pages in the file", pages_file, pread_4k, drop_file},
    {"read-1m", "MiB in the file", read_setup_1m, read_1m, drop_file},
    {"pwrite-1m", "MiB in the file", mib_file, pwrite_1m, drop_file},
    {"read-16", "16-byte records in the file", read_setup_16, read_16, drop_file},
    {"write-16", "writes to an empty file", nothing, write_16, nothing},
    {"fstat", "operations", small_file, do_fstat, drop_file},
    {"lseek", "operations", small_file, do_lseek, drop_file},
    {"stat-depth-1", "files in the directory", fill, do_stat, unlink_all},
    {"stat-depth-10", "files in the directory", fill_deep, do_stat, clear_deep},
    {"stat-missing", "files in the directory", fill_beside, stat_missing, unlink_all},
    {"open-close", "files in the directory", fill, open_close, unlink_all},
    {"create-100", "files made in the directory", only_names, create_100, nothing},
    {"readdir", "entries listed", fill, read_directory, unlink_all},
    {"rename", "files in the directory", fill_beside, do_rename, unlink_all},
    {"unlink", "files in the directory", only_names, do_unlink, nothing},
    {"mkdir-rmdir", "files beside the directory", fill, mkdir_rmdir, unlink_all},
    {"ftruncate", "4 KiB pages in the file", pages_file, do_ftruncate, drop_file},
    {"open-append-close", "appends to an empty file", nothing, open_append_close, nothing},
};

int main(int argc, char **argv) {
  size_t count = sizeof rows / sizeof *rows, r = 0;
  if (argc < 3) {
    for (; r < count; r++) printf("%s: N is %s\n", rows[r].name, rows[r].grows);
    return 0;
  }
  while (r < count && strcmp(rows[r].name, argv[1])) r++;
  n = atol(argv[2]);
  int64_t sample = (argc > 3 ? atoll(argv[3]) : 20) * 1000000;
  int samples = argc > 4 ? atoi(argv[4]) : 5;
  int64_t cap = (argc > 5 ? atoll(argv[5]) : 5000) * 1000000;
  if (r == count || n < 1 || samples < 1) return fprintf(stderr, "bench: no such row, or a wrong number\n"), 2;
  row = rows[r].name;
  memset(buffer, 'b', sizeof buffer);

  rows[r].set_up();
  int64_t begun = now();
  double best = 0;
  for (int i = 0; i < samples && (i == 0 || now() - begun < cap); i++) {
    measured = operations = 0;
    do rows[r].round();
    while (measured < sample && now() - begun < cap);
    double cost = (double)measured / (double)operations;
    if (i == 0 || cost < best) best = cost;
  }
  rows[r].clear();
  printf("%s %ld %.1f\n", row, n, best);
  return 0;
}
