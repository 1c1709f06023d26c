#!/bin/sh
# Boots the distribution's systemd as process 1 of private namespaces, on a copy-on-write view of
# this machine's root: what is installed and started there leaves no trace here. Called by
# machine.rs as: unshare --mount --pid --fork ... sh machine.sh DIRECTORY
set -eu
directory=$1
root=$directory/root
mkdir "$directory/upper" "$directory/work" "$directory/shared" "$root"
mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$directory/upper,workdir=$directory/work" "$root"

mount -t proc proc "$root/proc"
# The kernel is shared: its settings are not to be changed from in here.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
if grep -q ':name=systemd:' /proc/self/cgroup; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
touch "$directory/console" "$root/dev/console"
mount --bind "$directory/console" "$root/dev/console"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$directory/shared" "$root/mnt"

rm -f "$root/etc/machine-id" "$root/usr/sbin/policy-rc.d"
echo 6f766e2d7065657264000000746573e0 >"$root/etc/machine-id"
: >"$root/etc/fstab"
# Nothing of OVN, or of an earlier ovn-peerd, is taken over from this machine.
rm -rf "$root/var/lib/ovn" "$root/var/log/journal" "$root/etc/ovn-peerd"
# What would reach for the machine itself.
for unit in systemd-modules-load.service systemd-sysctl.service systemd-remount-fs.service \
    systemd-udevd.service systemd-udev-trigger.service sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# Not chroot: services' own mount namespaces want the root of this one.
cd "$root"
# By the C library: util-linux has no such command any more.
python3 -c 'import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.pivot_root(b".", b".") != 0: raise SystemExit(os.strerror(ctypes.get_errno()))'
umount -l .
exec chroot . env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target
