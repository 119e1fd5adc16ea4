#!/usr/bin/env bash
# Train on the GPUs of a Slurm cluster:
#   GPUS=4 tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
set -euo pipefail

USAGE="usage: $0 PARTITION JOB_NAME CONFIG [options of tools/train.py]"
PARTITION=${1:?$USAGE}
JOB_NAME=${2:?$USAGE}
CONFIG=${3:?$USAGE}

exec bash "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh" \
    "$PARTITION" "$JOB_NAME" train.py "$CONFIG" "${@:4}"
