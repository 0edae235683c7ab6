#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
  const char* places[] = {"/work/x", "/tmp/x", "/dev/shm/x"};
  for (int i = 0; i < 3; ++i) {
    int in = open("/proc/self/exe", O_RDONLY);
    int out = open(places[i], O_CREAT | O_WRONLY, 0755);
    char b[65536];
    ssize_t n;
    while ((n = read(in, b, sizeof b)) > 0 && write(out, b, n) == n) {
    }
    close(out);
    if (fork() == 0) {
      execl(places[i], "x", (char*)0);
      _exit(99);
    }
    int status;
    wait(&status);
    if (WEXITSTATUS(status) != 99) puts("PWNED: executed");
  }
  puts("BLOCKED");
}
