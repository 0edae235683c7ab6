#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  if (syscall(428, AT_FDCWD, "/", 1) >= 0) puts("PWNED: open_tree");
  if (syscall(430, "tmpfs", 0) >= 0) puts("PWNED: fsopen");
  if (syscall(442, AT_FDCWD, "/", 0, 0, 0) >= 0) puts("PWNED: mount_setattr");
  if (syscall(467, AT_FDCWD, "/", 1, 0, 0) >= 0) puts("PWNED: open_tree_attr");
  puts("BLOCKED");
}
