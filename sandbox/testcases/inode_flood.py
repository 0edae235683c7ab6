n = 0
try:
    for n in range(100000):
        open(f"/tmp/{n}", "w").close()
    print("PWNED: a hundred thousand files")
except OSError:
    print("BLOCKED after", n)
