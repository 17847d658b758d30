/* Writes, reads, renames and lists files in a directory, and says what it does: `files DIR`, or the working directory.
 * Plain portable C, for it is compiled both outside the sandbox and, by clang as a guest, inside it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *directory = ".";

/* A name within the directory; the result is good until the second call after this one. */
static const char *in(const char *name) {
  static char paths[2][512];
  static int turn;
  turn = !turn;
  snprintf(paths[turn], sizeof paths[turn], "%s/%s", directory, name);
  return paths[turn];
}

static void need(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "files: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(void) {
  char *names[64];
  int count = 0;
  DIR *d = opendir(directory);
  need(d != NULL, "opendir");
  for (struct dirent *e; count < 64 && (e = readdir(d)) != NULL;)
    if (e->d_name[0] != '.') names[count++] = strdup(e->d_name);
  closedir(d);
  qsort(names, (size_t)count, sizeof *names, by_text);
  for (int i = 0; i < count; i++) {
    struct stat s;
    need(stat(in(names[i]), &s) == 0, names[i]);
    if (S_ISDIR(s.st_mode)) printf("  %s/\n", names[i]);
    else printf("  %s (%lld bytes)\n", names[i], (long long)s.st_size);
    free(names[i]);
  }
}

int main(int argc, char **argv) {
  char line[128];
  if (argc > 1) directory = argv[1];

  FILE *f = fopen(in("poem.txt"), "w");
  need(f != NULL, "poem.txt");
  for (int i = 1; i <= 3; i++) fprintf(f, "line %d of three\n", i);
  need(fclose(f) == 0, "close");
  puts("wrote poem.txt");

  f = fopen(in("poem.txt"), "r");
  need(f != NULL, "poem.txt");
  while (fgets(line, sizeof line, f)) printf("read: %s", line);
  fclose(f);

  f = fopen(in("poem.txt"), "a");
  need(f != NULL, "poem.txt");
  fputs("and one more\n", f);
  fclose(f);

  need(mkdir(in("shelf"), 0755) == 0, "mkdir");
  need(rename(in("poem.txt"), in("verse.txt")) == 0, "rename");
  need(fopen(in("poem.txt"), "r") == NULL && errno == ENOENT, "the old name is still there");
  puts("renamed it verse.txt:");
  list();

  need(rename(in("verse.txt"), in("shelf/verse.txt")) == 0, "rename into a directory");
  need(remove(in("shelf/verse.txt")) == 0, "remove");
  need(rmdir(in("shelf")) == 0, "rmdir");
  puts("removed everything:");
  list();
  puts("done");
  return 0;
}
