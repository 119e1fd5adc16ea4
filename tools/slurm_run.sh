#!/usr/bin/env bash
# What the other slurm_*.sh call: start a tool on the GPUs of a Slurm cluster:
#   tools/slurm_run.sh PARTITION JOB_NAME TOOL [arguments of the tool]
set -euo pipefail

GPUS_PER_NODE=${GPUS_PER_NODE:-4}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
read -r -a EXTRA <<<"${SRUN_ARGS:-}"

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
    srun -p "$1" \
    --job-name="$2" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="${GPUS:-4}" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${EXTRA[@]+"${EXTRA[@]}"} \
    "${PYTHON:-python}" -u "$HERE/$3" --launcher slurm "${@:4}"
