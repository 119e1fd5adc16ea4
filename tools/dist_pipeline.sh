#!/usr/bin/env bash
# Run a pipeline with several processes of one or more machines, on GPUs or CPUs:
#   tools/dist_pipeline.sh CONFIG PROCESSES [options of tools/run_pipeline.py]
set -euo pipefail

USAGE="usage: $0 CONFIG PROCESSES [options of tools/run_pipeline.py]"
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
    "$HERE/run_pipeline.py" "$CONFIG" --launcher pytorch "${@:3}"
