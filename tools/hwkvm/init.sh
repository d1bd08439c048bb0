#!/bin/sh
# First program of the emulated machine (see docs/hwkvm.md). ttyS0 is the kernel's console, ttyS1 carries the output of the
# command, ttyS2 its exit status. The first disk is for swapping, the project a tar on the second, OFFSHOOT_HOME (if any) a tar on the third.
export PATH=/usr/local/bin:/bin HOME=/root OFFSHOOT_HOME=/offshoot-home OFFSHOOT_HWKVM=1 TERM=dumb NO_COLOR=1 OFFSHOOT_TEST_SLOW=6
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts /offshoot "$OFFSHOOT_HOME"
mount -t tmpfs -o mode=1777 tmp /dev/shm
mount -t devpts pts /dev/pts
ln -sf /proc/self/fd /dev/fd
exec >/dev/ttyS0 2>&1 </dev/null
stty -F /dev/ttyS1 raw -echo 115200
stty -F /dev/ttyS2 raw -echo 115200
stop() { echo "$1" >/dev/ttyS2; reboot -f; }

for module in $(cat /modules/order); do insmod "/modules/$module" || echo "insmod $module failed"; done
[ -e /dev/kvm ] || { echo "the emulated machine has no /dev/kvm"; stop "no-kvm"; }
chmod 666 /dev/kvm
ip link set lo up
hostname hwkvm
# Everything is in memory, what is not used soon on the first disk.
mkswap /dev/vda && swapon /dev/vda && mount -o remount,size=3g / || stop "no-swap"
tar xf /dev/vdb -C /offshoot || stop "no-project"
if [ -e /dev/vdc ]; then tar xf /dev/vdc -C "$OFFSHOOT_HOME" || stop "no-home"; fi
cd /offshoot || stop "no-project"
echo started >/dev/ttyS2
# Through a pipe: programs buffer, colour and translate line ends when they see a terminal.
{ sh /offshoot/.hwkvm-command </dev/null 2>&1; echo $? >/tmp/status; } | cat >/dev/ttyS1
stop "exit $(cat /tmp/status)"
