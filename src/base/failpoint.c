#include "src/base/failpoint.h"

#include "src/base/log.h"
#include "src/base/nearest.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef enum action { KILL, EXIT, STOP, SPIN, LAUNCHER, ACTIONS } action;

static const char *const action_names[ACTIONS] = {"kill", "exit", "stop", "spin", "launcher"};

static const char *const place_names[GR_FAILPOINT_COUNT] = {
#define GR_FAILPOINT_NAME(constant, name) name,
    GR_FAILPOINT_LIST(GR_FAILPOINT_NAME)
#undef GR_FAILPOINT_NAME
};

bool gr_failpoint_armed;

/// What the environment asked for. Written before threads start.
static struct {
    int rank;
    int place; ///< -1: none on this rank
    long long passage;
    action action;
    char file[PATH_MAX]; ///< of the counts; "": none
} asked;

static atomic_llong passages[GR_FAILPOINT_COUNT];
static _Atomic double first_passage[GR_FAILPOINT_COUNT];

static double seconds_since_epoch(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void write_counts(void)
{
    FILE *file = fopen(asked.file, "w");
    for (int i = 0; file && i < GR_FAILPOINT_COUNT; i++) {
        fprintf(file, "%s %lld %.6f\n", place_names[i], atomic_load(&passages[i]),
                atomic_load(&first_passage[i]));
    }
    if (!file || fclose(file) != 0) {
        gr_log_warn("GR_FAILPOINT: %s: cannot write: %s", asked.file, strerror(errno));
    }
}

static void act(void)
{
    switch (asked.action) {
    case KILL:
        (void)kill(getpid(), SIGKILL);
        break;
    case EXIT:
        _exit(EXIT_FAILURE);
    case STOP:
        (void)kill(getpid(), SIGSTOP);
        break;
    case SPIN:
        for (volatile bool on = true; on;) {
        }
        break;
    case LAUNCHER:
        (void)kill(getppid(), SIGKILL);
        break;
    case ACTIONS:
        break;
    }
}

void gr_failpoint_pass(gr_failpoint_place place)
{
    char line[160];
    long long passage = atomic_fetch_add(&passages[place], 1) + 1;
    if (passage == 1) {
        atomic_store(&first_passage[place], seconds_since_epoch());
    }
    if ((int)place != asked.place || passage != asked.passage) {
        return;
    }
    int n = snprintf(line, sizeof line,
                     "gradus: GR_FAILPOINT: rank %d, %s, passage %lld, at %.6f: %s\n",
                     asked.rank, place_names[place], passage, seconds_since_epoch(),
                     action_names[asked.action]);
    (void)!write(STDERR_FILENO, line,
                 (size_t)n); // in one piece and at once: nothing is flushed for the dead
    act();
}

static int find(const char *text, const char *const names[], int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static gr_err ask_for_counts(const char *file, int rank)
{
    gr_err err = GR_OK;
    int length = snprintf(asked.file, sizeof asked.file, "%s.%d", file, rank);
    if (length >= (int)sizeof asked.file || !file[0] || atexit(write_counts) != 0) {
        GR_FAIL(GR_ERR_USAGE, "GR_FAILPOINT=count:%s: expected the name of a file", file);
    }
    asked.place = -1;
    gr_failpoint_armed = true;
done:
    return err;
}

gr_err gr_failpoint_arm(int rank, int ranks)
{
    gr_err err = GR_OK;
    const char *text = getenv("GR_FAILPOINT");
    char name[32] = "", verb[16] = "kill";
    long long passage = 0;
    int on = 0;
    char rest = 0;
    if (!text) {
        goto done;
    }
    if (strncmp(text, "count:", 6) == 0) {
        GR_TRY(ask_for_counts(text + 6, rank));
        goto done;
    }
    int fields = sscanf(text, "%31[^:]:%lld:%d:%15[a-z]%c", name, &passage, &on, verb, &rest);
    int place = find(name, place_names, GR_FAILPOINT_COUNT);
    int verb_number = find(verb, action_names, ACTIONS);
    if (place < 0) {
        const char *near = gr_nearest(name, place_names, GR_FAILPOINT_COUNT);
        GR_FAIL(GR_ERR_USAGE,
                "GR_FAILPOINT=%s: no such place%s%s%s (GR_FAILPOINT=count:FILE lists all)",
                text, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    if (fields < 2 || fields > 4 || passage < 1 || verb_number < 0) {
        GR_FAIL(
            GR_ERR_USAGE,
            "GR_FAILPOINT=%s: expected NAME:K[:RANK[:ACTION]], K from 1 on, ACTION kill, exit, stop, "
            "spin or launcher",
            text);
    }
    if (on < 0 || on >= ranks || (verb_number == LAUNCHER && ranks == 1)) {
        GR_FAIL(GR_ERR_USAGE, "GR_FAILPOINT=%s: there %s %d rank%s%s", text,
                ranks == 1 ? "is" : "are", ranks, ranks == 1 ? "" : "s",
                ranks == 1 ? ", without a launcher" : "");
    }
    asked.rank = rank;
    asked.place = on == rank ? place : -1;
    asked.passage = passage;
    asked.action = (action)verb_number;
    gr_failpoint_armed = on == rank;
done:
    return err;
}
