#!/usr/bin/env bash
# R12: each byte of each file of a small checkpoint with a flipped bit is found, and the older checkpoint taken, or is harmless.
# usage: checkpoint_flips.sh BUILD
set -euo pipefail
export GR_SOURCE_DIR OMP_NUM_THREADS=1 GR_FLIPS=all
GR_SOURCE_DIR=$(realpath "$(dirname "$0")/../..")
"$(realpath "$1")/tests/test_damaged" flips | grep -o "[^.]* flips:.*"
echo "checkpoint_flips: none was taken for what it is not"
