/* Talks with a person: says whether it has a terminal, asks for a name, and repeats lines until the end of its input. With an
 * argument it then loops for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char line[8192];
  printf("terminal: %d %d %d, %s, %s x %s\n", isatty(0), isatty(1), isatty(2), getenv("TERM") ? getenv("TERM") : "-",
         getenv("COLUMNS") ? getenv("COLUMNS") : "-", getenv("LINES") ? getenv("LINES") : "-");
  printf("your name? ");
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin)) return puts("nobody"), 1;
  line[strcspn(line, "\n")] = 0;
  printf("hello, %s\n", line);
  fflush(stdout);
  for (;;) {
    ssize_t got = read(0, line, sizeof line);
    if (got < 0) return perror("read"), 1;
    if (got == 0) break;
    printf("%zd bytes: ", got);
    for (ssize_t i = 0; i < got; i++) printf("%02x", (unsigned char)line[i]);
    puts("");
    fflush(stdout);
  }
  puts("bye");
  fflush(stdout);
  while (argc > 1) argv[0] = 0;
  return 0;
}
