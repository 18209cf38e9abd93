// What the watchdog concludes, without a network: mpi/watch_rules.h.
#include "mpi/watch_rules.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

enum { RANKS = 3 };

/// Ranks that compute, with a step of 10 ms done.
typedef struct scene {
    gri_watched ranks[RANKS];
    gri_limits limits;
    bool silent[RANKS], deaf[RANKS], still[RANKS];
} scene;

static scene calm(void)
{
    scene s = {.limits = {.seconds = 5, .slowest = 0.01, .stage_steps = 1}};
    for (int r = 0; r < RANKS; r++) {
        s.ranks[r].last.phase = GR_PHASE_FORWARD;
    }
    return s;
}

/// Looks five times a second, as the watchdog does, until somebody is given up; the time that took, -1 if nobody was in `seconds`.
static double watch(scene *s, double seconds, gri_fault *fault, int *who)
{
    for (int tick = 1; tick <= (int)(seconds * 5 + 0.5); tick++) {
        gri_watch_pass(s->ranks, RANKS, &s->limits, 0.2);
        for (int r = 0; r < RANKS; r++) {
            gri_sign sign = s->ranks[r].last;
            sign.pulse += !s->still[r];
            if (!s->silent[r]) {
                gri_watch_heard(&s->ranks[r], &sign);
            }
            s->ranks[r].deaf = s->deaf[r] ? s->ranks[r].deaf : 0;
        }
        *fault = gri_watch_judge(s->ranks, RANKS, &s->limits, true, who);
        if (*fault != GRI_FAULT_NONE) {
            return tick * 0.2;
        }
    }
    return -1;
}

/// Given up between `from` and `to` seconds, for this reason.
static void expect_fault(scene *s, gri_fault want, int want_who, double from, double to)
{
    gri_fault fault = GRI_FAULT_NONE;
    int who = -1;
    double at = watch(s, to, &fault, &who);
    if (!GR_CHECK(at >= from)) {
        printf("    after %g s, expected %g to %g\n", at, from, to);
    }
    GR_CHECK_INT(fault, want);
    GR_CHECK_INT(who, want_who);
}

static void expect_calm(scene *s, double seconds)
{
    gri_fault fault = GRI_FAULT_NONE;
    int who = -1;
    double at = watch(s, seconds, &fault, &who);
    if (!GR_CHECK(at < 0)) {
        printf("    fault %d of rank %d after %g s\n", fault, who, at);
    }
}

static void test_well(void)
{
    scene s = calm();
    expect_calm(&s, 1000);
}

static void test_stopped(void)
{
    scene s = calm();
    s.silent[1] = s.still[1] = true;
    expect_fault(&s, GRI_FAULT_STOPPED, 1, 2.9, 3.4);
}

static void test_cut(void)
{
    scene s = calm();
    s.silent[2] = s.still[2] = s.deaf[2] = true;
    expect_fault(&s, GRI_FAULT_CUT, 2, 5.9, 6.4);
}

/// A network that is away for 5 s, then back: whether connection or datagrams come first is chance.
static void test_network_back(void)
{
    scene s = calm();
    s.silent[2] = s.still[0] = s.still[1] = s.still[2] = s.deaf[2] = true;
    s.ranks[0].last.waiting = s.ranks[1].last.waiting = s.ranks[2].last.waiting = 1;
    expect_calm(&s, 5.4);
    s.deaf[2] = false; // the connection came first
    expect_calm(&s, 1);
    s.silent[2] = false;
    expect_calm(&s, 6);
}

static void test_hangs(void)
{
    scene s = calm();
    s.still[0] = true;
    expect_fault(&s, GRI_FAULT_HANGS, 0, 3.4, 3.9);
    s = calm();
    s.still[0] = true;
    s.limits.slowest = 10;
    expect_fault(&s, GRI_FAULT_HANGS, 0, 19.9, 20.4);
}

/// Before a stage's first step nothing is known about its steps; disks and data may take long.
static void test_patience(void)
{
    scene s = calm();
    s.still[1] = true;
    s.limits.stage_steps = 0;
    expect_calm(&s, 29.8);
    s = calm();
    s.still[1] = true;
    s.ranks[1].last.phase = GR_PHASE_DATA;
    expect_calm(&s, 59.8);
    s = calm();
    s.still[1] = true;
    s.ranks[1].last.phase = GR_PHASE_CHECKPOINT;
    expect_calm(&s, 599);
}

/// Who waits for others is not the one who hangs.
static void test_waiting(void)
{
    scene s = calm();
    s.ranks[0].last.waiting = s.ranks[2].last.waiting = 1;
    s.still[0] = s.still[1] = s.still[2] = true;
    expect_fault(&s, GRI_FAULT_HANGS, 1, 3.4, 3.9);
    s = calm();
    for (int r = 0; r < RANKS; r++) {
        s.ranks[r].last.waiting = 1;
        s.ranks[r].last.steps = 10 - (r == 1);
        s.still[r] = true;
    }
    expect_fault(&s, GRI_FAULT_STUCK, 1, 59.9, 60.6);
}

static void test_ended_and_left(void)
{
    scene s = calm();
    s.ranks[1].ended = true;
    expect_fault(&s, GRI_FAULT_ENDED, 1, 0, 0.3);
    s = calm();
    s.ranks[1].ended = s.ranks[1].left = true;
    s.silent[1] = true;
    expect_calm(&s, 1000);
}

/// One that died is named, not one that therefore gives no sign either.
static void test_worst_first(void)
{
    scene s = calm();
    s.silent[0] = true;
    s.ranks[0].silent = 100;
    s.ranks[2].ended = true;
    expect_fault(&s, GRI_FAULT_ENDED, 2, 0, 0.3);
}

/// A watcher that was away itself for a minute does not hold that against anybody; and one that is given a turn later waits.
static void test_own_absence(void)
{
    scene s = calm();
    gri_fault fault = GRI_FAULT_NONE;
    int who = -1;
    s.silent[1] = true;
    GR_CHECK(watch(&s, 2, &fault, &who) < 0);
    gri_watch_pass(s.ranks, RANKS, &s.limits, 60);
    GR_CHECK_INT(gri_watch_judge(s.ranks, RANKS, &s.limits, true, &who), GRI_FAULT_NONE);
    s = calm();
    s.silent[1] = true;
    s.limits.grace = 0.5;
    expect_fault(&s, GRI_FAULT_STOPPED, 1, 3.4, 3.9);
}

static void test_behind(void)
{
    scene s = calm();
    int who = -1;
    s.ranks[0].last.waiting = s.ranks[1].last.waiting = 1;
    GR_CHECK(!gri_watch_behind(s.ranks, RANKS, &s.limits, 4.9, &who));
    GR_CHECK(gri_watch_behind(s.ranks, RANKS, &s.limits, 5.1, &who));
    GR_CHECK_INT(who, 2);
    s.limits.slowest = 2;
    GR_CHECK(!gri_watch_behind(s.ranks, RANKS, &s.limits, 5.9, &who));
    s.limits.stage_steps = 0;
    GR_CHECK(!gri_watch_behind(s.ranks, RANKS, &s.limits, 100, &who));
    s.limits.stage_steps = 1;
    s.ranks[2].last.waiting = 1;
    GR_CHECK(gri_watch_behind(s.ranks, RANKS, &s.limits, 100, &who));
    GR_CHECK_INT(who, -1);
}

static void test_words(void)
{
    gri_watched rank = {.silent = 3.04, .still = 7};
    char text[512];
    gri_watch_words(&rank, GRI_FAULT_STOPPED, text, sizeof text);
    GR_CHECK(strstr(text, "no sign of life for 3.0 s, its host answers") != NULL);
    gri_watch_words(&rank, GRI_FAULT_HANGS, text, sizeof text);
    GR_CHECK(strstr(text, "hangs: its process lives, its work has not moved for 7.0 s") !=
             NULL);
    rank.last.phase = GR_PHASE_BACKWARD;
    gri_watch_where(&rank.last, text, sizeof text);
    GR_CHECK_STR(text, "in backward");
    strcpy(rank.last.place, "stage a, step 7");
    strcpy(rank.last.sample, "sample 12 of data");
    rank.last.waiting = 1;
    gri_watch_where(&rank.last, text, sizeof text);
    GR_CHECK_STR(text, "in backward (waiting for others), stage a, step 7, sample 12 of data");
    rank.last.phase = 99; // from a damaged message
    gri_watch_where(&rank.last, text, sizeof text);
    GR_CHECK(strstr(text, "in ?") != NULL);
}

static const gr_test tests[] = {
    {"well", test_well},
    {"stopped", test_stopped},
    {"cut", test_cut},
    {"network back", test_network_back},
    {"hangs", test_hangs},
    {"patience", test_patience},
    {"waiting", test_waiting},
    {"ended and left", test_ended_and_left},
    {"worst first", test_worst_first},
    {"own absence", test_own_absence},
    {"behind", test_behind},
    {"words", test_words},
};
GR_TEST_MAIN("watch_rules", tests)
