#!/usr/bin/env bash
# Train on the GPUs of a Slurm cluster:
#   GPUS=4 tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
set -euo pipefail

USAGE="usage: $0 PARTITION JOB_NAME CONFIG [options of tools/train.py]"
PARTITION=${1:?$USAGE}
JOB_NAME=${2:?$USAGE}
CONFIG=${3:?$USAGE}
GPUS=${GPUS:-4}
GPUS_PER_NODE=${GPUS_PER_NODE:-4}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
read -r -a EXTRA <<<"${SRUN_ARGS:-}"

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
    srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${EXTRA[@]+"${EXTRA[@]}"} \
    "${PYTHON:-python}" -u "$HERE/train.py" "$CONFIG" --launcher slurm "${@:4}"
