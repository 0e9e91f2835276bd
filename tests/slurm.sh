#!/usr/bin/env bash
# A SLURM cluster of one node on this machine, for tests: the real daemons of Debian's packages
# slurmctld slurmd slurm-client munge slurmdbd mariadb-server, with made-up CPUs and GPUs and with
# accounting, on loopback, all in one folder and beside whatever else the machine has.
#
#   tests/slurm.sh start FOLDER    then: export SLURM_CONF=FOLDER/slurm.conf PATH=FOLDER/bin:$PATH
#   tests/slurm.sh restart-controller FOLDER
#   tests/slurm.sh stop FOLDER
#
# Needs root, as slurmd does. Where something is missing, says what and ends with status 77.
set -euo pipefail
command=${1:?start, restart-controller or stop} folder=$(realpath -m "${2:?a folder}")
cpus=${CPUS:-8} gpus=${GPUS:-2} memory=${MEMORY_MB:-64000}
export PATH=$PATH:/usr/sbin:/sbin SLURM_CONF=$folder/slurm.conf
host=$(hostname -s)

wait_for() {
    for _ in $(seq 120); do
        timeout 10 "$@" >/dev/null 2>&1 && return
        sleep 0.25
    done
    echo "timed out: $*" >&2
    tail -n 5 "$folder"/*.log >&2
    exit 1
}

# Ends the process of a pid file.
end() {
    local process
    process=$(cat "$1" 2>/dev/null) || return 0
    kill "$process" 2>/dev/null || return 0
    for _ in $(seq 40); do
        kill -0 "$process" 2>/dev/null || return 0
        sleep 0.25
    done
    kill -KILL "$process" 2>/dev/null || true
}

free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))
PYTHON
}

configure() {
    local controller node database
    read -r controller node database <<<"$(free_ports 3)"
    mkdir -p "$folder"/{bin,controller,node,database}
    # Snakemake's plugin clears the environment of a job's steps, SLURM_CONF too.
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(command -v srun)" >"$folder/bin/srun"
    chmod +x "$folder/bin/srun"
    # What a program sees of a GPU is its file: twins of /dev/null.
    for i in $(seq 0 $((gpus - 1))); do mknod "$folder/gpu$i" c 1 3; done
    cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$node
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/controller
SlurmdSpoolDir=$folder/node
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
KillWait=5
DefMemPerCPU=500
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$database
AccountingStoragePass=$folder/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    echo "NodeName=$host Name=gpu File=$folder/gpu[0-$((gpus - 1))]" >"$folder/gres.conf"
    (
        umask 077
        head -c 1024 /dev/urandom >"$folder/munge.key"
        cat >"$folder/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$database
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
PidFile=$folder/slurmdbd.pid
LogFile=$folder/slurmdbd.log
CONF
    )
}

start() {
    local programs=(slurmctld slurmd slurmdbd munged mariadbd mariadb-install-db sacct srun) program
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 77; }
    done
    [ "$(id -u)" = 0 ] || { echo "SLURM's daemons are started by root only" >&2; exit 77; }
    [ ! -e "$folder" ] || { echo "$folder is there already" >&2; exit 1; }
    mkdir -p "$folder"
    configure
    munged --socket="$folder/munge.socket" --key-file="$folder/munge.key" --force \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munged.seed"
    # The database takes its socket from the environment, and so does what speaks to it.
    mariadb-install-db --no-defaults --user=root --datadir="$folder/database" \
        --auth-root-authentication-method=normal >"$folder/mariadb-install.log" 2>&1
    export MYSQL_UNIX_PORT=$folder/mariadb.socket
    setsid mariadbd --no-defaults --user=root --datadir="$folder/database" --skip-networking \
        --socket="$folder/mariadb.socket" --pid-file="$folder/mariadbd.pid" \
        >"$folder/mariadbd.log" 2>&1 </dev/null &
    wait_for mariadb-admin --no-defaults --socket="$folder/mariadb.socket" ping
    slurmdbd
    wait_for sacctmgr -n list cluster
    slurmctld
    wait_for bash -c 'sacctmgr -n list cluster | grep -qw test'
    sacctmgr -i add account test >/dev/null
    sacctmgr -i add user "$(id -un)" account=test >/dev/null
    slurmd
    wait_for bash -c '[ "$(sinfo -h -o %T)" = idle ]'
}

case $command in
start) start ;;
restart-controller)
    end "$folder/slurmctld.pid"
    slurmctld
    wait_for scontrol ping
    ;;
stop)
    # Whatever still runs as a job ends with its node.
    scancel --user="$(id -un)" 2>/dev/null || true
    for daemon in slurmctld slurmd slurmdbd mariadbd munged; do end "$folder/$daemon.pid"; done
    ;;
*)
    echo "$command: expected start, restart-controller or stop" >&2
    exit 2
    ;;
esac
