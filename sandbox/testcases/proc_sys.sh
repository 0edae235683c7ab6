for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/kcore /proc/kallsyms /proc/cmdline \
         /sys/kernel/uevent_helper /sys/fs/cgroup/cgroup.procs /proc/sys/kernel/core_pattern; do
  if [ -e "$f" ]; then echo "PWNED: $f is there"; fi
done
echo BLOCKED
