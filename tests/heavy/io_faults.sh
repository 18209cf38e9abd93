#!/usr/bin/env bash
# R10: each file call of a run that is taken up, makes four updates, saves in the background, at a border and at a stop, and writes its records, fails
# once with ENOSPC, EIO, EDQUOT or EINTR, or is short: it goes on or stops with exit 74 and a message; taken up, it ends in the bytes of the calm run.
# usage: io_faults.sh GRADUS FOLDER [EVERY [RANKS VICTIM]]
GRADUS=$(realpath "$1") folder=$2 every=${3:-1} ranks=${4:-1} victim=${5:-0}
export GRADUS GR_SOURCE_DIR
GR_SOURCE_DIR=$(realpath "$(dirname "$0")/../..")
. "$(dirname "$0")/../cli/lib.sh" "$folder"
. "$here/kill_support.sh"
. "$here/io_support.sh"
expect_all_seen
make_fault_run
for how in EIO ENOSPC EDQUOT EINTR short ENOSPC+; do
    tried=0 struck=0 stopped=0
    for ((k = 1; ; k += every)); do
        fails_at "$ranks" "$victim" $k $how || break
    done
    echo "io_faults: $ranks ranks, rank $victim, $how: $tried calls, $struck struck, $stopped stopped the run; all ended in the same bytes"
done
