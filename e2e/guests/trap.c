/* Traps after a line on stdout that is already written: a crash loses nothing that the guest had handed over. */
#include <stdio.h>

int main(void) {
  puts("about to trap");
  fflush(stdout);
  __builtin_trap();
}
