#!/bin/sh
# Runs a test program as a user without rights and without cgroups, as in a
# container. Exit status 77: it cannot be tried here.
#
#     unprivileged_test.sh PROGRAM [ARGUMENT...]
[ "$(id -u)" = 0 ] || exit 77
as_nobody="setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all"
$as_nobody test -x "$1" || exit 77
$as_nobody test -r sandbox/testcases/tasks.json || exit 77
exec $as_nobody env HOME=/nonexistent "$@"
