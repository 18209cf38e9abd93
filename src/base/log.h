#ifndef SRC_BASE_LOG_H
#define SRC_BASE_LOG_H

/// Messages on standard error. Info comes from rank 0 only; warnings and errors from every rank,
/// with the rank named when there are several.

#include "src/base/err.h"

#include <stdint.h>

/// Tells the log who speaks; before the call it is rank 0 of 1. Thread-safe after that.
void gr_log_set_rank(int rank, int world_size);
void gr_log_info(const char *fmt, ...) GR_PRINTF(1, 2);
void gr_log_warn(const char *fmt, ...) GR_PRINTF(1, 2);
/// Prints "gradus: CODE TEXT: message" of this thread's error, and the trail if GR_TRACE=1.
void gr_log_error(gr_err err);

/// Live progress on standard error, rank 0 only. On a terminal one line is redrawn (colour unless
/// NO_COLOR is set), of which as many fields (two spaces between them) are shown as its width holds; elsewhere a plain line at
/// most every `seconds`: true when one was written, which stays. `end` finishes the line.
bool gr_progress_update(double seconds, const char *fmt, ...) GR_PRINTF(2, 3);
void gr_progress_end(void);
/// The same for a known amount of work: "TEXT: 12 of 40, 0:01:05 left" (from the rate since `started` of gr_clock), on a terminal
/// behind a bar.
void gr_progress_bar(double seconds, double started, int64_t done, int64_t total,
                     const char *fmt, ...) GR_PRINTF(5, 6);

/// Room for a time.
enum { GR_TIME_TEXT = 32 };
/// "h:mm:ss", rounded; 0:00:00 for what is no time.
void gr_time_format(double seconds, char text[GR_TIME_TEXT]);

/// Seconds of a clock that never goes back; only differences mean something.
double gr_clock(void);
/// Seconds since the epoch, as the system's clock has it now.
double gr_clock_epoch(void);
/// Seconds of processor time that this process was given so far, all its threads together.
double gr_clock_cpu(void);

#endif
