import marshal, os, struct
def frame(kind, body):
    return struct.pack("<I", len(body)) + kind + body
END = frame(b"X", struct.pack("<qqq", 0, 1, 1))
os.write(3, frame(b"L", b""))
for _ in range(8):
    os.write(3, frame(b"V", marshal.dumps(3, 2)) + END)
os._exit(0)
