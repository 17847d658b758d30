/* What reading 4 KiB costs at the least: an import that does nothing but copy them. `run` calls it over and over. */
__attribute__((import_module("floor"), import_name("copy"))) extern int copy(void *to, int from);

static unsigned char page[4096];

__attribute__((export_name("run"))) int run(int calls) {
  int sum = 0;
  for (int i = 0; i < calls; i++) sum += copy(page, (i & 15) * 4096);
  return sum;
}

int main(void) { return 0; }
