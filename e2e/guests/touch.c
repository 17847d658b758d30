/* Makes each file that it is told, empty. */
#include <stdio.h>

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    FILE *made = fopen(argv[i], "w");
    if (!made || fclose(made) != 0) return perror(argv[i]), 1;
  }
  return 0;
}
