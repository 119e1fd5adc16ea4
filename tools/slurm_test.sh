#!/usr/bin/env bash
# Evaluate on the GPUs of a Slurm cluster:
#   GPUS=4 tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
set -euo pipefail

USAGE="usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]"
PARTITION=${1:?$USAGE}
JOB_NAME=${2:?$USAGE}
CONFIG=${3:?$USAGE}
CHECKPOINT=${4:?$USAGE}

exec bash "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh" \
    "$PARTITION" "$JOB_NAME" test.py "$CONFIG" "$CHECKPOINT" "${@:5}"
