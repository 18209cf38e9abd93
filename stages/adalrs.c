#include "stages/adalrs.h"

#include "src/base/elementary.h"

#include <math.h>

const char *const gr_adalrs_names[] = {
    [GR_ADALRS_GO_ON] = "go on",   [GR_ADALRS_TRY] = "try",
    [GR_ADALRS_FASTER] = "faster", [GR_ADALRS_NEITHER] = "neither",
    [GR_ADALRS_SLOWER] = "slower", [GR_ADALRS_RISES] = "rises"};

bool gr_adalrs_is_set(const gr_adalrs_rule *rule)
{
    return rule->window > 0;
}

static double faded(const gr_adalrs_rule *rule, const gr_adalrs_state *s, double factor)
{
    return fmax(gr_pow(rule->fade, (double)s->decisions) * factor, 1);
}

static double scale_of(const gr_adalrs_state *s)
{
    return s->scale > 0 ? s->scale : 1;
}

double gr_adalrs_scale(const gr_adalrs_rule *rule, const gr_adalrs_state *s)
{
    return scale_of(s) * (s->trying ? faded(rule, s, rule->up) : 1);
}

void gr_adalrs_range(const gr_adalrs_rule *rule, int64_t steps, int64_t *first, int64_t *last)
{
    *first = (int64_t)ceil(rule->from * (double)steps);
    *last = (int64_t)floor(rule->to * (double)steps);
}

bool gr_adalrs_may_decide(const gr_adalrs_rule *rule, const gr_adalrs_state *s, int64_t step,
                          int64_t steps)
{
    int64_t first = 0, last = 0;
    if (!gr_adalrs_is_set(rule)) {
        return false;
    }
    gr_adalrs_range(rule, steps, &first, &last);
    return s->trying || (step > first && step <= last && s->seen + 1 >= rule->window);
}

static void begin_window(gr_adalrs_state *s)
{
    s->seen = 0;
    s->first = s->sum = s->moment = s->squares = 0;
}

static void add(gr_adalrs_state *s, double loss)
{
    s->first = s->seen == 0 ? loss : s->first;
    const double l = loss - s->first;
    s->sum += l;
    s->moment += (double)s->seen * l;
    s->squares += l * l;
    s->seen++;
}

/// Velocity and its error of a whole window.
static void measure(const gr_adalrs_state *s, double *velocity, double *error)
{
    const double n = (double)s->seen, spread = n * (n * n - 1) / 12;
    const double slope = (s->moment - (n - 1) / 2 * s->sum) / spread;
    const double rest = s->squares - s->sum * s->sum / n - slope * slope * spread;
    *velocity = -slope;
    *error = sqrt(fmax(rest, 0) / (n - 2) / spread);
}

static void decide(gr_adalrs_state *s, double factor)
{
    s->scale = scale_of(s) * factor;
    s->decisions++;
    s->trying = false;
    s->rising = factor == 1 ? s->rising : 0;
    begin_window(s);
}

static gr_adalrs_act judge_try(const gr_adalrs_rule *rule, gr_adalrs_state *s,
                               const gr_adalrs_found *found, bool abandoned)
{
    const double clear =
        2 * sqrt(found->error * found->error + found->tried_error * found->tried_error);
    if (abandoned || found->tried_velocity < found->velocity - clear) {
        decide(s, 1 / faded(rule, s, rule->down));
        return GR_ADALRS_SLOWER;
    }
    if (found->tried_velocity > found->velocity + clear) {
        decide(s, faded(rule, s, rule->up));
        return GR_ADALRS_FASTER;
    }
    decide(s, 1);
    return GR_ADALRS_NEITHER;
}

/// A window without a try: whether one follows.
static gr_adalrs_act judge_window(const gr_adalrs_rule *rule, gr_adalrs_state *s,
                                  const gr_adalrs_found *found, bool room)
{
    const double down = faded(rule, s, rule->down);
    s->rising = found->velocity < -2 * found->error ? s->rising + 1 : 0;
    begin_window(s);
    if (s->rising >= 2 && down > 1) {
        decide(s, 1 / down);
        return GR_ADALRS_RISES;
    }
    if (!room || faded(rule, s, rule->up) <= 1) {
        return GR_ADALRS_GO_ON;
    }
    s->trying = true;
    s->velocity = found->velocity;
    s->error = found->error;
    return GR_ADALRS_TRY;
}

/// Loss of a step outside of tries.
static void note(gr_adalrs_state *s, double loss)
{
    s->highest = s->losses == 0 || loss > s->highest ? loss : s->highest;
    s->losses++;
}

gr_adalrs_found gr_adalrs_take(const gr_adalrs_rule *rule, gr_adalrs_state *s, int64_t step,
                               int64_t steps, double loss)
{
    gr_adalrs_found found = {.act = GR_ADALRS_GO_ON, .tried_velocity = NAN, .tried_error = NAN};
    int64_t first = 0, last = 0;
    const bool abandoned = s->trying && !(loss <= s->highest);
    gr_adalrs_range(rule, steps, &first, &last);
    if (!s->trying && !isnan(loss)) {
        note(s, loss);
    }
    if (!s->trying && (isnan(loss) || step <= first || step > last)) {
        return found;
    }
    add(s, loss);
    if (s->seen < rule->window && !abandoned) {
        return found;
    }
    if (s->trying) {
        found.velocity = s->velocity;
        found.error = s->error;
        if (!abandoned) {
            measure(s, &found.tried_velocity, &found.tried_error);
        }
        found.act = judge_try(rule, s, &found, abandoned);
    } else {
        measure(s, &found.velocity, &found.error);
        found.act = judge_window(rule, s, &found, step + rule->window <= last);
    }
    return found;
}
