#ifndef SRC_BASE_CGROUP_H
#define SRC_BASE_CGROUP_H

/// Limits that a container, a batch system or systemd put around this process.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_cgroup {
    int64_t memory; ///< bytes; INT64_MAX: no limit
    double cpus;    ///< processors' worth of time; 0: no limit
} gr_cgroup;

/// The tightest limits of the groups named in the file `self` (NULL: /proc/self/cgroup) and of all groups around
/// them, below the folder `mount` (NULL: /sys/fs/cgroup); version 1 and 2. What cannot be read sets no limit.
GR_MUST_CHECK gr_err gr_cgroup_read(const char *self, const char *mount, gr_cgroup *out);

#endif
