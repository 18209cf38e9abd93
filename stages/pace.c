#include "stages/pace.h"

static void add(gr_pace_sum *sum, const gr_pace_sum *more)
{
    sum->steps += more->steps;
    sum->samples += more->samples;
    sum->tokens += more->tokens;
    sum->seconds += more->seconds;
    sum->data_wait += more->data_wait;
    sum->communication += more->communication;
    sum->operations += more->operations;
}

gr_pace_sum gr_pace_add(gr_pace *pace, double window, const gr_pace_sum *step)
{
    if (pace->now.seconds >= window) {
        pace->before = pace->now;
        pace->now = (gr_pace_sum){0};
    }
    add(&pace->now, step);
    gr_pace_sum both = pace->before;
    add(&both, &pace->now);
    return both;
}

void gr_pace_restart(gr_pace *pace)
{
    *pace = (gr_pace){0};
}
