#!/usr/bin/env bash
# A SLURM cluster of this one machine with two pretended GPUs, for a test. As root: cluster.sh start FOLDER, cluster.sh stop FOLDER.
# It needs Debian's slurmctld slurmd slurm-client munge, and neither systemd nor an accounting database.
set -euo pipefail
what=$1 folder=$2 conf=/etc/slurm/slurm.conf mark="# leanat test cluster"

ours() { [ ! -e $conf ] || grep -qxF "$mark" $conf; }
# Daemons by the pid files of this folder, never by name: another cluster's are none of our business.
halt() {
    for d in slurmd slurmctld; do
        [ -f "$folder/$d.pid" ] || continue
        pid=$(cat "$folder/$d.pid")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 40); do [ -f "$folder/$d.pid" ] && kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
    done
}

if [ "$what" = stop ]; then
    scancel --user root 2>/dev/null || true
    halt
    [ ! -f "$folder/munged.pid" ] || kill "$(cat "$folder/munged.pid")" 2>/dev/null || true
    ours && rm -f $conf /etc/slurm/gres.conf
    exit 0
fi

ours || { echo "$conf is another cluster's; not touched" >&2; exit 3; }
host=$(hostname -s)
mkdir -p "$folder"/{state,spool,log} /run/munge /etc/slurm
chown munge:munge /run/munge
# Clones of /dev/null. SLURM numbers character devices; with ordinary files it sets no CUDA_VISIBLE_DEVICES.
for i in 0 1; do [ -e "$folder/gpu$i" ] || mknod "$folder/gpu$i" c 1 3; done
echo "Name=gpu File=$folder/gpu[0-1]" >/etc/slurm/gres.conf
# The executor's job steps forget SLURM_CONF, so this has to be the file that SLURM looks for by itself.
cat >$conf <<CONF
$mark
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MinJobAge=3600
DefMemPerCPU=500
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$(free -m | awk '/^Mem:/ {print $2 - 500}') Gres=gpu:2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
if ! munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then
    runuser -u munge -- munged --pid-file=/run/munge/munged.pid
    ln -sf /run/munge/munged.pid "$folder/munged.pid"
fi
for _ in 1 2 3 4 5 6 7 8 9 10; do munge -n | unmunge >/dev/null 2>&1 && break; sleep 0.5; done
slurmctld
slurmd
for _ in $(seq 30); do sinfo --noheader --format %t 2>/dev/null | grep -q idle && break; sleep 0.5; done
timeout 30 srun --gpus=1 bash -c 'echo "srun on $(hostname), CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"'
