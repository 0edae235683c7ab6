import os
a, b = map(int, input().split())
os.write(1, b"%d\0 or not\n" % (a + b))
