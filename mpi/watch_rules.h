#ifndef MPI_WATCH_RULES_H
#define MPI_WATCH_RULES_H

/// What the watchdog concludes from what it hears: no threads, no network, no clock. Inside this room.

#include "src/base/activity.h"

/// What a rank says of itself, as it goes over the network.
typedef struct gri_sign {
    uint64_t pulse;
    int64_t steps;
    int32_t phase, waiting;
    char place[sizeof((gr_activity *)0)->place];
    char sample[sizeof((gr_activity *)0)->sample];
} gri_sign;

/// A rank as its watcher knows it. All times grow by gri_watch_pass.
typedef struct gri_watched {
    gri_sign last;
    double silent; ///< seconds since its last sign of life
    double deaf;   ///< since its host last had acknowledged all that it was sent
    double mute;   ///< of the silent time, how long its host has been answering by now
    double still;  ///< since its pulse moved
    bool ended;    ///< its connection was closed, and it had not said goodbye
    double over;   ///< since then
    bool left;     ///< it said goodbye
} gri_watched;

typedef enum gri_fault {
    GRI_FAULT_NONE,
    GRI_FAULT_ENDED,   ///< the process is gone
    GRI_FAULT_STOPPED, ///< the process gives no sign, but its host answers
    GRI_FAULT_CUT,     ///< neither the process nor its host
    GRI_FAULT_HANGS,   ///< the process lives, its work does not move
    GRI_FAULT_STUCK,   ///< all ranks wait for each other, and nothing moves
} gri_fault;

/// What the limits follow from.
typedef struct gri_limits {
    double seconds;      ///< as asked for
    double slowest;      ///< step so far
    int64_t stage_steps; ///< done: before the first nothing is known about them
    double grace;        ///< added to all: a watcher that others precede waits for them
} gri_limits;

/// A rank was heard.
void gri_watch_heard(gri_watched *rank, const gri_sign *sign);
/// `seconds` have passed for the watcher. More than a quarter counts as a quarter: a watcher that was stopped or starved itself
/// may not take its own absence for that of others.
void gri_watch_pass(gri_watched *ranks, int count, const gri_limits *limits, double seconds);
/// What is wrong, and *who it is; the worst first. `stuck`: whether the ranks are all there are, so that all may be waiting for
/// each other.
gri_fault gri_watch_judge(const gri_watched *ranks, int count, const gri_limits *limits,
                          bool all, int *who);
/// Whether the step under way takes so long that who holds it up is worth a warning, without any limit reached; *who is that rank,
/// -1 if all wait for each other.
bool gri_watch_behind(const gri_watched *ranks, int count, const gri_limits *limits,
                      double step_seconds, int *who);
/// "is stopped or frozen: ..." for the message, with the times.
void gri_watch_words(const gri_watched *rank, gri_fault fault, char *text, size_t size);
/// "in forward, stage first, step 7, sample 12 of data".
void gri_watch_where(const gri_sign *sign, char *text, size_t size);

#endif
