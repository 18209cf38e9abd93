#ifndef SRC_FORMATS_TENSORBOARD_H
#define SRC_FORMATS_TENSORBOARD_H

/// TensorBoard's event files: records, each a protocol buffer in a frame.
///   frame    uint64 length | uint32 masked CRC-32C of the length | the bytes | uint32 masked CRC-32C of the bytes; little-endian
///   mask(c)  (c >> 15 | c << 17) + 0xa282ead8
///   Event    1: double wall_time, 2: int64 step, and one of 3: string file_version, 5: Summary summary, 7: SessionLog session_log
///   Summary  1: repeated Value { 1: string tag, 2: float simple_value };  SessionLog  1: enum status (START is 1)
/// Each call appends one whole record; wall_time is in seconds since the epoch.

#include "src/base/str.h"

#include <stdint.h>

/// The first record of every file: "brain.Event:2".
GR_MUST_CHECK gr_err gr_event_version(gr_str *out, double wall_time);
/// A session begins at `step`: a reader forgets all it saw before of this step and later ones, in whichever file of the folder.
GR_MUST_CHECK gr_err gr_event_start(gr_str *out, double wall_time, int64_t step);

typedef struct gr_scalar {
    const char *tag; ///< UTF-8; "a/b" is shown in group a
    float value;
} gr_scalar;
GR_MUST_CHECK gr_err gr_event_scalars(gr_str *out, double wall_time, int64_t step,
                                      const gr_scalar *scalars, int64_t count);

#endif
