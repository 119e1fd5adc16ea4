#!/usr/bin/env bash
# Evaluate with several processes of one or more machines, on GPUs or CPUs:
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]
set -euo pipefail

USAGE="usage: $0 CONFIG CHECKPOINT PROCESSES [options of tools/test.py]"
CONFIG=${1:?$USAGE}
CHECKPOINT=${2:?$USAGE}
PROCESSES=${3:?$USAGE}

exec bash "$(dirname "${BASH_SOURCE[0]}")/dist_run.sh" \
    "$PROCESSES" test.py "$CONFIG" "$CHECKPOINT" "${@:4}"
