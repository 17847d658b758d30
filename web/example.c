/* The playground's example: looks at all that the form gives to a program, and leaves a file behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, so that it keeps its order with stderr */
  const char *greeting = getenv("GREETING"), *name = "world";
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--name") == 0 && i + 1 < argc) name = argv[++i];
    else fprintf(stderr, "%s: I do not know the argument \"%s\"\n", argv[0], argv[i]);
  }
  printf("%s, %s!\n", greeting ? greeting : "Hello", name);

  printf("These are my arguments:\n");
  for (int i = 0; i < argc; i++) printf("  argv[%d] = %s\n", i, argv[i]);

  char line[4096];
  FILE *copy = fopen("/tmp/input.txt", "w");
  if (!copy) return perror("/tmp/input.txt"), 1;
  int lines = 0;
  while (fgets(line, sizeof line, stdin)) {
    fprintf(copy, "%d: %s", ++lines, line);
  }
  fclose(copy);
  if (lines == 0) fprintf(stderr, "Nothing came on standard input.\n");
  else printf("I read %d lines of standard input; they are in /tmp/input.txt now.\n", lines);
  fprintf(stderr, "This line went to stderr.\n");
  return 0;
}
