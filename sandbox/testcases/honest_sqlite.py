import sqlite3, subprocess, sys, tempfile
a, b = map(int, input().split())
db = sqlite3.connect(":memory:")
(total,) = db.execute("select ? + ?", (a, b)).fetchone()
with tempfile.NamedTemporaryFile("w+") as f:
    f.write(str(total))
    f.seek(0)
    print(f.read())
