/* A program that needs something of its host that WASI does not have: it can't be run, and the message must say what it needs. */
__attribute__((import_module("env"), import_name("ask_oracle"))) extern int ask_oracle(int question);

int main(void) { return ask_oracle(42); }
