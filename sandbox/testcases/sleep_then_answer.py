import time
time.sleep(30)
print(sum(map(int, input().split())))
