#!/usr/bin/env bash
# Train with several processes of one or more machines, on GPUs or CPUs:
#   tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
set -euo pipefail

USAGE="usage: $0 CONFIG PROCESSES [options of tools/train.py]"
CONFIG=${1:?$USAGE}
PROCESSES=${2:?$USAGE}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
    "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$PROCESSES" \
    "$HERE/train.py" "$CONFIG" --launcher pytorch "${@:3}"
