#!/usr/bin/env bash
# What the other dist_*.sh call: start a tool in several processes of one or more machines:
#   tools/dist_run.sh PROCESSES TOOL [arguments of the tool]
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
    "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$1" \
    "$HERE/$2" --launcher pytorch "${@:3}"
