#!/bin/sh
# Runs a test program as root where there is nothing but version 2 of cgroups,
# with whatever controllers the machine leaves to it. Exit status 77: it cannot
# be tried here.
#
#     cgroup2_test.sh PROGRAM [ARGUMENT...]
[ "$(id -u)" = 0 ] || exit 77
exec unshare --mount sh -c '
  { mount --make-rprivate / && umount --lazy /sys/fs/cgroup &&
    mount -t cgroup2 none /sys/fs/cgroup; } 2>/dev/null || exit 77
  exec "$@"' sh "$@"
