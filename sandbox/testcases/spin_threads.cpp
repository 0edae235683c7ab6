#include <thread>
#include <unistd.h>
int main() {
  for (int i = 0; i < 4; ++i) std::thread([] { for (volatile int x = 0;; ++x); }).detach();
  sleep(100);
}
