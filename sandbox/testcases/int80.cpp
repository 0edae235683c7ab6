#include <cstdio>
int main() {
  int result = -1;
  asm volatile("int $0x80" : "=a"(result) : "a"(20));
  std::printf(result > 0 ? "PWNED: int 0x80\n" : "BLOCKED\n");
}
