#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  char params[256];
  memset(params, 0, sizeof params);
  if (syscall(425, 8, params) >= 0) puts("PWNED: io_uring");
  puts("BLOCKED");
}
