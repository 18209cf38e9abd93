#ifndef TESTS_CRASH_IO_TRACE_H
#define TESTS_CRASH_IO_TRACE_H

/// A record of what changed on a disk, by io_shim.c, for disk_model.c: records one after another, each an io_record, then its two
/// paths (absolute, each ended by NUL) and its bytes.

#include <stdint.h>

typedef enum io_op {
    IO_OPEN, ///< path; `flags` as open has them
    IO_CLOSE,
    IO_WRITE,    ///< `offset`, the bytes
    IO_TRUNCATE, ///< `offset`: the length
    IO_SYNC,     ///< a file or a folder
    IO_SYNC_ALL,
    IO_MKDIR,
    IO_REMOVE, ///< of a file's name or an empty folder
    IO_RENAME, ///< path to path2
    IO_EXCHANGE,
    IO_LINK ///< path2 is a new name of path
} io_op;

typedef struct io_record {
    int64_t when; ///< CLOCK_MONOTONIC, nanoseconds, when the call had ended
    int64_t offset, size;
    int32_t op, fd, flags, path_size, path2_size, process;
} io_record;

#endif
