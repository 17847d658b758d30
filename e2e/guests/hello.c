/* Prints its arguments, one a line, then its environment. */
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
  puts("hello");
  for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
  for (char **variable = environ; variable && *variable; variable++) printf("environment: %s\n", *variable);
  return 0;
}
