#include "mpi/watch_rules.h"

#include <stdio.h>
#include <string.h>

// Limits in parts of what was asked for (5 s by default). A stopped process and a hanging one are named early enough
// for the job to have ended by then; a cut network gets longer, since one that comes back within that time does no harm.
static const double stopped_part = 0.6, cut_part = 1.2, hangs_part = 0.7, first_step_part = 6,
                    data_part = 12, stuck_part = 12, disk_part = 120;
/// A host that left something unacknowledged for so long does not answer now.
static const double deaf_part = 0.3;
/// Most that counts of the time between two looks.
static const double longest_pass = 0.25;

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void gri_watch_heard(gri_watched *rank, const gri_sign *sign)
{
    if (sign->pulse != rank->last.pulse) {
        rank->still = 0;
    }
    rank->last = *sign;
    rank->silent = rank->mute = 0;
}

void gri_watch_pass(gri_watched *ranks, int count, const gri_limits *limits, double seconds)
{
    double dt = seconds < longest_pass ? seconds : longest_pass;
    for (int r = 0; r < count; r++) {
        ranks[r].silent += dt;
        ranks[r].deaf += dt;
        ranks[r].still += dt;
        ranks[r].mute = ranks[r].deaf > deaf_part * limits->seconds ? 0 : ranks[r].mute + dt;
        ranks[r].over += ranks[r].ended ? dt : 0;
    }
}

/// How long a rank's work may stand still. A step has many signs of work, so one without any for twice the slowest
/// step hangs; disks and the network behind them may take their time.
static double still_limit(gr_phase phase, const gri_limits *l)
{
    double steps = 2 * l->slowest;
    switch (phase) {
    case GR_PHASE_START:
    case GR_PHASE_CHECKPOINT:
        return larger(disk_part * l->seconds, steps);
    case GR_PHASE_DATA:
        return larger(data_part * l->seconds, steps);
    default:
        return larger((l->stage_steps > 0 ? hangs_part : first_step_part) * l->seconds, steps);
    }
}

static gri_fault judge_one(const gri_watched *r, const gri_limits *l)
{
    double seconds = l->seconds;
    if (r->left) {
        return GRI_FAULT_NONE;
    }
    if (r->ended) {
        return r->over >= l->grace ? GRI_FAULT_ENDED : GRI_FAULT_NONE;
    }
    if (r->silent > cut_part * seconds + l->grace && r->deaf > deaf_part * seconds) {
        return GRI_FAULT_CUT;
    }
    if (r->mute >
        stopped_part * seconds + l->grace) { // not when the network has just come back
        return GRI_FAULT_STOPPED;
    }
    bool hangs = !r->last.waiting && r->silent < deaf_part * seconds &&
                 r->still > still_limit((gr_phase)r->last.phase, l) + l->grace;
    return hangs ? GRI_FAULT_HANGS : GRI_FAULT_NONE;
}

/// Whether a is less far than b.
static bool is_behind(const gri_sign *a, const gri_sign *b)
{
    return a->steps != b->steps ? a->steps < b->steps : a->phase < b->phase;
}

/// The rank that is least far of those that may be waiting or not; -1 if there is none.
static int last_of(const gri_watched *ranks, int count, bool waiting)
{
    int last = -1;
    for (int r = 0; r < count; r++) {
        bool counts = !ranks[r].left && (ranks[r].last.waiting != 0) == waiting;
        if (counts && (last < 0 || is_behind(&ranks[r].last, &ranks[last].last))) {
            last = r;
        }
    }
    return last;
}

/// Everybody waits, and nobody has moved for long.
static bool is_stuck(const gri_watched *ranks, int count, const gri_limits *l)
{
    double limit = larger(stuck_part * l->seconds, 2 * l->slowest);
    for (int r = 0; r < count; r++) {
        if (!ranks[r].left && (!ranks[r].last.waiting || ranks[r].still <= limit)) {
            return false;
        }
    }
    return last_of(ranks, count, true) >= 0;
}

gri_fault gri_watch_judge(const gri_watched *ranks, int count, const gri_limits *limits,
                          bool all, int *who)
{
    gri_fault worst = GRI_FAULT_NONE;
    for (int r = 0; r < count; r++) {
        gri_fault fault = judge_one(&ranks[r], limits);
        if (fault != GRI_FAULT_NONE && (worst == GRI_FAULT_NONE || fault < worst)) {
            worst = fault;
            *who = r;
        }
    }
    if (worst == GRI_FAULT_NONE && all && count > 1 && is_stuck(ranks, count, limits)) {
        worst = GRI_FAULT_STUCK;
        *who = last_of(ranks, count, true);
    }
    return worst;
}

bool gri_watch_behind(const gri_watched *ranks, int count, const gri_limits *limits,
                      double step_seconds, int *who)
{
    *who = last_of(ranks, count, false);
    return limits->stage_steps > 0 && step_seconds > limits->seconds &&
           step_seconds > 3 * limits->slowest;
}

void gri_watch_words(const gri_watched *rank, gri_fault fault, char *text, size_t size)
{
    switch (fault) {
    case GRI_FAULT_ENDED:
        snprintf(text, size,
                 "has died: its process ended without a word (killed, or out of memory?)");
        break;
    case GRI_FAULT_STOPPED:
        snprintf(
            text, size,
            "is stopped or frozen: its process gave no sign of life for %.1f s, its host answers",
            rank->silent);
        break;
    case GRI_FAULT_CUT:
        snprintf(text, size,
                 "cannot be reached: no sign of life for %.1f s, and its host does not answer "
                 "(network or machine down?)",
                 rank->silent);
        break;
    case GRI_FAULT_HANGS:
        snprintf(text, size, "hangs: its process lives, its work has not moved for %.1f s",
                 rank->still);
        break;
    case GRI_FAULT_STUCK:
        snprintf(
            text, size,
            "is the least far of ranks that all wait for each other; nothing has moved for "
            "%.0f s (network or MPI library?)",
            rank->still);
        break;
    case GRI_FAULT_NONE:
        snprintf(text, size, "is well");
        break;
    }
}

void gri_watch_where(const gri_sign *sign, char *text, size_t size)
{
    snprintf(text, size, "in %s%s%s%s%s%s", gr_phase_name((gr_phase)sign->phase),
             sign->waiting ? " (waiting for others)" : "", sign->place[0] ? ", " : "",
             sign->place, sign->sample[0] ? ", " : "", sign->sample);
}
