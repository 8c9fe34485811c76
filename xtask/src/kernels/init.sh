#!/bin/busybox sh
# First process of the guest: load through nginx with the agent attached, then both sides' counts.
B=/bin/busybox
$B mount -t devtmpfs dev /dev
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t cgroup2 cgroup2 /cgroup
$B mount -t tmpfs tmpfs /tmp
$B ip link set lo up
nginx -c /etc/nginx.conf &
hosp-agent --metrics-listen 127.0.0.1:9464 --feed unix:/tmp/agent.sock > /tmp/agent.log 2>&1 &
metrics() { $B wget -q -O - http://127.0.0.1:9464/metrics; }

# Without hardware virtualisation the verifier takes its time.
n=0
until metrics > /dev/null 2>&1 || [ $n -ge 60 ]; do n=$((n + 1)); $B sleep 1; done

ab -q -k -n 2000 -c 8 http://127.0.0.1:8080/ > /dev/null
ab -q -n 100 -c 4 http://127.0.0.1:8080/patients/7 > /dev/null
ab -q -i -k -n 50 -c 2 http://127.0.0.1:8080/ > /dev/null
ab -q -k -n 50 -c 2 -p /etc/nginx.conf http://127.0.0.1:8080/patients/7/notes > /dev/null

# The agent's view follows the kernel's by a moment.
n=0
until [ $n -ge 15 ] || metrics | $B grep -q '^hosp_agent_requests_recorded_total{leg="server"} 2200$'; do n=$((n + 1)); $B sleep 1; done

echo '--- kernel'; $B uname -r
echo '--- nginx'; $B sort /tmp/access.log | $B uniq -c
echo '--- metrics'; metrics | $B grep '^hosp_agent_requests'
echo '--- agent'; $B cat /tmp/agent.log
echo '--- end'
$B poweroff -f
