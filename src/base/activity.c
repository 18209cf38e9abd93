#include "src/base/activity.h"

#include "src/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char *const phase_names[GR_PHASE_COUNT] = {
#define GR_PHASE_TEXT(name, text) text,
    GR_PHASE_LIST(GR_PHASE_TEXT)
#undef GR_PHASE_TEXT
};

static atomic_uint_least64_t pulse;
static atomic_int phase;
static atomic_bool waiting;
static double changed,
    waited; ///< the main thread's: when `waiting` did, and how long it was true

/// What changes once a step or a sample.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static gr_activity rest;
static char reading[sizeof rest.sample];
static double step_began; ///< 0: no step is under way

const char *gr_phase_name(gr_phase p)
{
    return (unsigned)p < GR_PHASE_COUNT ? phase_names[p] : "?"; // it may come from a message
}

void gr_activity_pulse(void)
{
    atomic_fetch_add_explicit(&pulse, 1, memory_order_relaxed);
}

void gr_activity_phase(gr_phase p)
{
    atomic_store_explicit(&phase, (int)p, memory_order_relaxed);
    gr_activity_pulse();
}

void gr_activity_wait(bool w)
{
    const double now = gr_clock();
    waited += atomic_load_explicit(&waiting, memory_order_relaxed) ? now - changed : 0;
    changed = now;
    atomic_store_explicit(&waiting, w, memory_order_relaxed);
    gr_activity_pulse();
}

double gr_activity_waited(void)
{
    return waited;
}

void gr_activity_place(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&lock);
    vsnprintf(rest.place, sizeof rest.place, fmt, ap);
    pthread_mutex_unlock(&lock);
    va_end(ap);
    gr_activity_pulse();
}

static void set_sample(char *text, const char *path, int64_t index)
{
    pthread_mutex_lock(&lock);
    snprintf(text, sizeof rest.sample, "sample %lld of %s", (long long)index, path);
    pthread_mutex_unlock(&lock);
    gr_activity_pulse();
}

void gr_activity_sample(const char *path, int64_t index)
{
    set_sample(rest.sample, path, index);
}

void gr_activity_reading(const char *path, int64_t index)
{
    set_sample(reading, path, index);
}

void gr_activity_stage(void)
{
    pthread_mutex_lock(&lock);
    rest.stage_steps = 0;
    pthread_mutex_unlock(&lock);
}

void gr_activity_step_begin(void)
{
    pthread_mutex_lock(&lock);
    step_began = gr_clock();
    pthread_mutex_unlock(&lock);
}

void gr_activity_step_end(void)
{
    pthread_mutex_lock(&lock);
    double seconds = gr_clock() - step_began;
    rest.slowest = seconds > rest.slowest ? seconds : rest.slowest;
    rest.steps++;
    rest.stage_steps++;
    step_began = 0;
    pthread_mutex_unlock(&lock);
    gr_activity_pulse();
}

void gr_activity_read(gr_activity *out)
{
    gr_phase now = (gr_phase)atomic_load_explicit(&phase, memory_order_relaxed);
    pthread_mutex_lock(&lock);
    *out = rest;
    if (now == GR_PHASE_DATA && reading[0]) {
        memcpy(out->sample, reading, sizeof reading);
    }
    out->step_seconds = step_began > 0 ? gr_clock() - step_began : 0;
    pthread_mutex_unlock(&lock);
    out->phase = now;
    out->waiting = atomic_load_explicit(&waiting, memory_order_relaxed);
    out->pulse = atomic_load_explicit(&pulse, memory_order_relaxed);
}
