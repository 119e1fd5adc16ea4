#!/usr/bin/env bash
# Evaluate with several processes of one or more machines, on GPUs or CPUs:
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]
set -euo pipefail

USAGE="usage: $0 CONFIG CHECKPOINT PROCESSES [options of tools/test.py]"
CONFIG=${1:?$USAGE}
CHECKPOINT=${2:?$USAGE}
PROCESSES=${3:?$USAGE}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
    "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$PROCESSES" \
    "$HERE/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
