#!/usr/bin/env bash
# Run a pipeline with several processes of one or more machines, on GPUs or CPUs:
#   tools/dist_pipeline.sh CONFIG PROCESSES [options of tools/run_pipeline.py]
set -euo pipefail

USAGE="usage: $0 CONFIG PROCESSES [options of tools/run_pipeline.py]"
CONFIG=${1:?$USAGE}
PROCESSES=${2:?$USAGE}

exec bash "$(dirname "${BASH_SOURCE[0]}")/dist_run.sh" \
    "$PROCESSES" run_pipeline.py "$CONFIG" "${@:3}"
