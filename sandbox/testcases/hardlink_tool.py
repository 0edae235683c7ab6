import os
for path in ("/usr/lib/python3.11/os.py", "/lib", "/dev/null", "/usr/lib"):
    for f in (lambda: os.link(path, "/work/x"), lambda: os.chmod(path, 0o777),
              lambda: os.utime(path), lambda: os.rename(path, "/work/y"),
              lambda: os.open(path + "/new", os.O_CREAT | os.O_WRONLY)):
        try:
            f()
            print("PWNED:", path)
        except OSError:
            pass
print("BLOCKED")
