#!/bin/sh
# What the system tests need beside `make install`, by apt and only where it is missing:
# PostgreSQL and Slurm (servers of the tests' own, none as a service) and Chromium.
set -eu

missing=
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v chromium >/dev/null || missing="$missing chromium"
[ -x /usr/sbin/munged ] || missing="$missing munge"
for name in slurmctld slurmd; do
    [ -x /usr/sbin/$name ] || missing="$missing $name"
done
command -v srun >/dev/null || missing="$missing slurm-client"
[ -n "$missing" ] || exit 0

fail() {
    echo "install.sh: the system tests need$missing; $1" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "there is no apt-get here: install them by other means"
root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "run this as root (there is no sudo)"
    root=sudo
fi

apt() {
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

install() {
    # shellcheck disable=SC2086  # a word each
    apt update && apt install --no-install-recommends $missing
}

install || { sleep 5; install; } || fail "apt could not install them, see above"
