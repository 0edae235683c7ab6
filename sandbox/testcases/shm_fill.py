total = 0
for folder in ("/dev/shm", "/tmp", "/work"):
    for i in range(64):
        try:
            with open(f"{folder}/{i}", "wb", 0) as f:
                for _ in range(16):
                    total += f.write(b"x" * (1 << 20))
        except OSError:
            break
print("PWNED: wrote %d MiB" % (total >> 20) if total > 65 << 20 else "BLOCKED")
