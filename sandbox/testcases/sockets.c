#include <stdio.h>
#include <sys/socket.h>
int main(void) {
  for (int family = 0; family < 50; ++family)
    for (int type = 1; type < 6; ++type)
      if (socket(family, type, 0) >= 0) printf("PWNED: family %d\n", family);
  puts("BLOCKED");
}
