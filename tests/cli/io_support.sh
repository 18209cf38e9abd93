# A run whose file calls fail, one at a time; sourced after lib.sh and kill_support.sh, by cli/test_io_faults.sh and heavy/io_faults.sh.

shim=$(dirname "$GRADUS")/tests/libio_shim.so
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
tried=0 struck=0 stopped=0

# The calls about files that the program takes from the C library all go through the shim.
expect_all_seen() {
    local known='open|open64|openat|openat64|creat|close|read|readv|pread|pread64|preadv|write|writev|pwrite|pwrite64|pwritev|fsync|fdatasync|syncfs|sync_file_range|ftruncate|ftruncate64|truncate|fallocate|posix_fallocate|copy_file_range|sendfile|rename|renameat|renameat2|link|linkat|symlink|unlink|unlinkat|rmdir|remove|mkdir|mkdirat|opendir|fdopendir|readdir|readdir64|scandir|stat|lstat|fstat|fstatat|stat64|lstat64|fstat64|access|lseek|lseek64|mmap|mmap64|fcntl|nftw'
    nm -D --undefined-only "$GRADUS" | sed 's/.* U //; s/@.*//' | grep -Ex "$known|__(open|open64|openat|read|pread|pread64)_(2|chk)" | sort -u >used
    nm -D --defined-only "$shim" | sed 's/.* T //' | sort -u >seen
    [ "$(wc -l <used)" -gt 20 ] || fail "the program uses hardly any file calls: $(cat used)"
    comm -23 used seen >unseen
    [ ! -s unseen ] || fail "calls that io_shim.c does not see: $(cat unseen)"
}

# make_fault_run: ./base, stopped between two checkpoints. From there on `go_on` takes it up, saves in the background, at a border between
# stages and at a stop, measures held-out data and lists a dropped sample.
make_fault_run() {
    make_kill_run 5
    "$GRADUS" train recipe.yaml --run base --stop-after 7 >/dev/null 2>log || [ $? = 75 ] || fail "base: $(cat log)"
}

# go_on RANKS VICTIM FAULT: ./run goes on from ./base for four updates, with FAULT (GR_IO_FAIL's; "": none) on rank VICTIM. Sets $code; ./calls
# lists its file calls.
go_on() {
    rm -rf run calls
    cp -a base run
    local with=(env LD_PRELOAD="$shim" GR_IO_WATCH=run GR_IO_LIST=calls)
    [ -z "$3" ] || with+=(GR_IO_FAIL="$3")
    code=0
    if [ "$1" = 1 ]; then
        timeout -s KILL 120 "${with[@]}" "$GRADUS" train recipe.yaml --run run --stop-after 4 >out 2>log </dev/null || code=$?
    else
        timeout -s KILL 120 mpirun -n "$1" "${with[@]}" GR_IO_RANK="$2" "$GRADUS" train recipe.yaml --run run --stop-after 4 >out 2>log </dev/null || code=$?
    fi
}

# fails_at RANKS VICTIM K HOW[+]: call K fails so. The run goes on, or stops with an input/output error that it says; then it is taken up
# and ends as the calm one did. Returns 1 when there is no such call.
fails_at() {
    what="call $3 of rank $2 of $1 fails with $4"
    go_on "$1" "$2" "$3:$4"
    tried=$((tried + 1))
    if ! grep -q " fails$" calls; then
        [ $code = 75 ] || fail "$what: nothing struck, but exit $code: $(cat log)"
        grep -q "^$3 " calls # a call that cannot be short
        return
    fi
    struck=$((struck + 1))
    what="$what ($(grep -m 1 " fails$" calls))"
    case $code in
    75) ;;
    74)
        stopped=$((stopped + 1))
        grep -q "^gradus: .*run" log || fail "$what: exit 74 without a word of it: $(cat log)"
        ;;
    *) fail "$what: exit $code: $(cat log)" ;;
    esac
    "$GRADUS" train recipe.yaml --run run >out 2>log || fail "$what: cannot be taken up: $(cat log)"
    expect_calm "$what"
}
