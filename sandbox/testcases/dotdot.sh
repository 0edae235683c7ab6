cd / && cd .. && cd ../../..
for f in etc/passwd root home var run boot srv mnt opt; do
  if [ -e "$f" ]; then echo "PWNED: $PWD/$f"; fi
done
echo BLOCKED
