#include <stdio.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
int main(void) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  puts(waitpid(-1, 0, WNOHANG) >= 0 ? "PWNED: somebody's child" : "BLOCKED");
}
