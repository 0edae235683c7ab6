#include <bits/stdc++.h>
#include <thread>
long long depth(int n) { volatile char pad[64] = {0}; return n ? 1 + pad[0] + depth(n - 1) : 0; }
int main() {
  long long a, b, sum = 0;
  std::cin >> a >> b;
  std::vector<int> big(20 << 20, 1);
  std::thread t([&] { try { throw a + b; } catch (long long v) { sum = v; } });
  t.join();
  std::cout << sum + depth(300000) - 300000 + big[7] - 1 << "\n";
}
