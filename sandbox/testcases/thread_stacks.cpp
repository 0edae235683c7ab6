#include <pthread.h>
#include <cstdio>
#include <cstring>
#include <vector>
void* touch(void*) {
  char big[16 << 20];
  memset(big, 1, sizeof(big));
  return big[5] ? nullptr : (void*)1;
}
int main() {
  std::vector<pthread_t> threads(60);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 32 << 20);
  for (auto& thread : threads)
    if (pthread_create(&thread, &attributes, touch, nullptr)) return 1;
  for (auto thread : threads) pthread_join(thread, nullptr);
  std::puts("done");
}
