a, b = map(int, input().split())
print("0\r1\r%d" % (a + b))
