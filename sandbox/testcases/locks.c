#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
int main(void) {
  int fd = open("/dev/null", O_RDWR);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = 0};
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) puts("PWNED: flock");
  if (fcntl(fd, F_SETLK, &lock) == 0) puts("PWNED: F_SETLK");
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) puts("PWNED: F_OFD_SETLK");
  puts("BLOCKED");
}
