import fcntl, os
kept = []
try:
    while True:
        r, w = os.pipe()
        kept.append((r, w))
        try:
            fcntl.fcntl(w, 1031, 1 << 20)  # F_SETPIPE_SZ
            print("PWNED: pipe of a megabyte")
        except OSError:
            pass
        os.set_blocking(w, False)
        os.write(w, b"x" * 65536)
except OSError:
    pass
