/* Edits files, several commands in a row: `write PATH TEXT`, `append PATH TEXT`, `remove PATH`, `read PATH`, and `hold PATH`, which
 * opens the file, says `holding`, and adds the lines that come from standard input. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "edit: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void put(const char *path, const char *mode, const char *text) {
  FILE *f = fopen(path, mode);
  need(f != NULL, path);
  need(fputs(text, f) >= 0 && fclose(f) == 0, path);
}

static void show(const char *path) {
  char line[256];
  FILE *f = fopen(path, "r");
  need(f != NULL, path);
  while (fgets(line, sizeof line, f)) fputs(line, stdout);
  fclose(f);
}

static void hold(const char *path) {
  char line[256];
  FILE *f = fopen(path, "a");
  need(f != NULL, path);
  puts("holding");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) need(fputs(line, f) >= 0 && fflush(f) == 0, path);
  fclose(f);
}

int main(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *path = argv[i + 1];
    if (strcmp(argv[i], "read") == 0) show(path);
    else if (strcmp(argv[i], "remove") == 0) need(remove(path) == 0, path);
    else if (strcmp(argv[i], "hold") == 0) hold(path);
    else if (i + 2 < argc) put(path, strcmp(argv[i], "write") == 0 ? "w" : "a", argv[++i + 1]);
  }
  return 0;
}
