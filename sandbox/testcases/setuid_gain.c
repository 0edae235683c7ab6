#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  gid_t group = 0;
  if (setuid(0) == 0 || setresuid(0, 0, 0) == 0) puts("PWNED: root");
  if (setuid(getuid() + 1) == 0) puts("PWNED: another user");
  if (setgroups(1, &group) == 0) puts("PWNED: a group");
  if (getuid() == 0 || geteuid() == 0) puts("PWNED: is root");
  puts("BLOCKED");
}
