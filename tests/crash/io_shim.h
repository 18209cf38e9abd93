#ifndef TESTS_CRASH_IO_SHIM_H
#define TESTS_CRASH_IO_SHIM_H

/// Between a program and the C library: the calls about files below one folder are counted, recorded, made to fail, or shown other
/// bytes. A test links it; a program is started with it (LD_PRELOAD) and these variables:
///   GR_IO_WATCH=DIR          the folder, also one that is not there yet; nothing happens without it
///   GR_IO_FAIL=K:HOW[+]      the K-th call fails: HOW is ENOSPC, EIO, EDQUOT, EINTR or short; + : all later ones that
///                            need room on the disk fail, too
///   GR_IO_FLIP=TAIL:OFFSET   of files whose path ends so, every reader sees this byte with a flipped bit
///   GR_IO_LIST=FILE          each call as a line "NUMBER NAME PATH", with " fails" behind the one that failed
///   GR_IO_RANK=N             only in this rank of a job
///   GR_IO_NO_EXCHANGE=1      RENAME_EXCHANGE is not supported, as on network file systems
/// What the C library does inside of opendir, nftw, realpath and stdio's streams is not seen; the calls themselves are.

#include <stdbool.h>
#include <stdint.h>

/// Looks at calls about files below this folder (from the current folder; no links in it), and counts from 1 again. NULL: at none, and
/// faults and flips are forgotten.
void io_shim_watch(const char *dir);

enum { IO_SHIM_SHORT = 100000 }; ///< in place of an errno: reads and writes move only half

/// The `at`-th of the calls looked at fails with this errno (or is short, if it can be); 0: none. A call fails before it does anything, but
/// for close, which closes. Counts from 1 again.
void io_shim_fail(int64_t at, int number);
/// From the failing call on, all that need room fail alike: a disk that stays full.
void io_shim_fail_on(void);
/// Calls looked at, and how many of them failed, since counting began.
int64_t io_shim_calls(void);
int64_t io_shim_fired(void);
/// "NAME PATH" of the last that failed; "" if none.
const char *io_shim_fired_at(void);

/// Every reader of a file whose path ends with `tail` sees the byte at `offset` with a flipped bit. NULL: none. Returns nothing; hits count as
/// io_shim_fired.
void io_shim_flip(const char *tail, int64_t offset);
/// Syncs are not passed on: for tests that count on no disk.
void io_shim_skip_syncs(bool skip);
/// RENAME_EXCHANGE fails with EINVAL.
void io_shim_no_exchange(bool on);
/// Appends every change from now on to this file (io_trace.h); NULL ends that.
void io_shim_record(const char *file);

#endif
