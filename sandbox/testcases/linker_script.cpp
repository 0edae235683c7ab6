#pragma GCC optimize("O3")
#pragma comment(linker, "-T/etc/passwd")
#include <cstdio>
__attribute__((constructor)) void before() { std::puts("3"); }
int main() {}
