import os
for pid in range(1, 400):
    if pid == os.getpid():
        continue
    for name in ("environ", "maps", "mem", "fd", "root", "cwd", "exe"):
        path = f"/proc/{pid}/{name}"
        try:
            if name in ("fd",):
                print("PWNED:", os.listdir(path))
            elif name in ("root", "cwd", "exe"):
                print("PWNED:", os.readlink(path))
            else:
                print("PWNED:", path, open(path, "rb").read(1))
        except OSError:
            pass
print("BLOCKED")
