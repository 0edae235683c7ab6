char big[1000 << 20] = {1};
int main(void) { return big[5]; }
