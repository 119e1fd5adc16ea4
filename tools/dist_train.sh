#!/usr/bin/env bash
# Train with several processes of one or more machines, on GPUs or CPUs:
#   tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
set -euo pipefail

USAGE="usage: $0 CONFIG PROCESSES [options of tools/train.py]"
CONFIG=${1:?$USAGE}
PROCESSES=${2:?$USAGE}

exec bash "$(dirname "${BASH_SOURCE[0]}")/dist_run.sh" \
    "$PROCESSES" train.py "$CONFIG" "${@:3}"
