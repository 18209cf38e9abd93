/// Threads that share the work on announced lanes, one small task at a time: measuring some samples of a window, packing a
/// window, seating a lane, filling in one sample. Read it from the bottom: work() chooses and runs tasks.

#include "datasets/loader_internal.h"
#include "src/base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    SLOTS = 3, ///< lanes in memory: one with the caller, two ahead
    CHUNK = 8, ///< samples that are measured in one task
    MOST_THREADS = 64,
    MESSAGE_SIZE = 4096,
};

typedef enum state {
    EMPTY, ///< what it holds is not wanted
    BEGUN, ///< its first task is being done, nothing else can
    OPEN,  ///< tasks next .. count - 1 are to be had
    READY, ///< done, or failed
} state;

/// A piece of work that many threads do together.
typedef struct job {
    state state;
    int64_t number; ///< which item, or which window
    int64_t count, next, done;
    gr_err err;
    char message[MESSAGE_SIZE];
} job;

typedef struct slot {
    job job;
    gri_pack pack;
} slot;

typedef struct window_slot {
    job job;
    gri_load load;
} window_slot;

typedef struct worker {
    struct gri_prefetch *prefetch;
    pthread_t thread;
    gri_scratch scratch;
} worker;

/// Items (lanes of steps) are numbered without end; item n lies in slot n % SLOTS, window w in windows[w % SLOTS]. Items before
/// `taken` were handed out; item taken - 1 is with the caller while `held`.
struct gri_prefetch {
    const gr_loader *loader;
    pthread_mutex_t lock;         ///< guards all below but what a task works on
    pthread_cond_t work, changed; ///< for the threads; for the caller
    gri_plan plan;
    int64_t base; ///< number of the plan's first item
    int64_t taken;
    bool held, quit, pause;
    int busy;
    slot slots[SLOTS];
    window_slot windows[SLOTS];
    int threads;
    worker workers[MOST_THREADS];
};

/// What a thread does next. `job` NULL: nothing.
typedef struct task {
    job *job;
    slot *slot;          ///< of a lane, else
    window_slot *window; ///< of a window
    bool begin;          ///< the job's first task
    int64_t at, count;   ///< else its parts [at, at + count)
} task;

static int64_t plan_end(const gri_prefetch *p)
{
    return p->base + (p->plan.last_step - p->plan.step) * p->plan.count;
}

static int64_t item_step(const gri_prefetch *p, int64_t item)
{
    return p->plan.step + (item - p->base) / p->plan.count;
}

static int64_t item_lane(const gri_prefetch *p, int64_t item)
{
    return p->plan.first + (item - p->base) % p->plan.count;
}

static int64_t item_window(const gri_prefetch *p, int64_t item)
{
    return gri_loader_window_of(p->loader, item_step(p, item));
}

/// The next part of a job that has one to give.
static bool next_part(job *j, int64_t most, task *out)
{
    if (j->state != OPEN || j->next >= j->count) {
        return false;
    }
    out->job = j;
    out->at = j->next;
    out->count = j->count - j->next < most ? j->count - j->next : most;
    j->next += out->count;
    return true;
}

static void begin_job(job *j, int64_t number, task *out)
{
    j->state = BEGUN;
    j->number = number;
    j->count = j->next = j->done = 0;
    j->err = GR_OK;
    *out = (task){.job = j, .begin = true};
}

/// Work on this window, if there is any. *ready: lanes can be seated from it.
static bool window_task(gri_prefetch *p, int64_t number, bool *ready, task *out)
{
    window_slot *w = &p->windows[number % SLOTS];
    bool mine = w->job.state != EMPTY && w->job.number == number;
    *ready = mine && w->job.state == READY;
    out->window = w;
    if (mine) {
        return next_part(&w->job, CHUNK, out) && (out->window = w);
    }
    bool free = w->job.state == EMPTY ||
                (w->job.state == READY && w->job.number < item_window(p, p->taken));
    if (free) {
        begin_job(&w->job, number, out);
        out->window = w;
    }
    return free;
}

static bool item_task(gri_prefetch *p, int64_t item, bool *blocked, task *out)
{
    slot *s = &p->slots[item % SLOTS];
    if (s->job.state != EMPTY && s->job.number == item) {
        if (!next_part(&s->job, 1, out)) {
            return false;
        }
        out->slot = s;
        return true;
    }
    bool ready = false;
    if (window_task(p, item_window(p, item), &ready, out)) {
        return true;
    }
    *blocked = !ready;
    if (ready) {
        begin_job(&s->job, item, out);
        out->slot = s;
        out->window = &p->windows[item_window(p, item) % SLOTS];
    }
    return ready;
}

/// The oldest lane first; when the lanes that have room are all in work, the next window.
static bool choose(gri_prefetch *p, task *out)
{
    int64_t oldest = p->taken - (p->held ? 1 : 0), end = plan_end(p);
    int64_t last = oldest + SLOTS < end ? oldest + SLOTS : end;
    bool blocked = false, ready = false;
    *out = (task){0};
    if (p->pause) {
        return false;
    }
    for (int64_t item = p->taken; item < last && !blocked; item++) {
        if (item_task(p, item, &blocked, out)) {
            return true;
        }
    }
    int64_t next = p->taken < end ? item_window(p, p->taken) + 1 : 0;
    return p->taken < end && next <= item_window(p, end - 1) &&
           window_task(p, next, &ready, out);
}

/// Keeps the first error of a job. Under the lock.
static void note_error(job *j, gr_err err)
{
    if (err != GR_OK && j->err == GR_OK) {
        j->err = err;
        snprintf(j->message, sizeof j->message, "%s", gr_err_message());
    }
}

/// The first task of a lane: seats its samples. The window may have failed; then so has the lane.
static gr_err seat_lane(const gri_prefetch *p, slot *s, const window_slot *w)
{
    gr_err err = GR_OK;
    if (w->job.err != GR_OK) {
        GR_FAIL(w->job.err, "%s", w->job.message);
    }
    GR_TRY(gri_loader_seat(p->loader, &w->load, item_step(p, s->job.number),
                           item_lane(p, s->job.number), &s->pack));
done:
    return err;
}

/// What comes after the last part.
static gr_err finish(const gri_prefetch *p, const task *t)
{
    const gri_pack_rules *rules = gri_loader_rules(p->loader);
    return t->slot ? gri_pack_end(&t->slot->pack, rules)
                   : gri_window_pack(&t->window->load.window, &rules->window);
}

/// Whether most of a window goes to others, whose samples need not be encoded here.
static bool mostly_others(const gri_prefetch *p)
{
    return 2 * p->plan.count <= gri_loader_rules(p->loader)->window.lanes;
}

/// Without the lock.
static gr_err run_task(gri_prefetch *p, const task *t, gri_scratch *scratch)
{
    gr_err err = GR_OK;
    if (t->begin) {
        return t->slot ? seat_lane(p, t->slot, t->window)
                       : gri_loader_begin(p->loader, t->job->number, &t->window->load);
    }
    for (int64_t i = t->at; i < t->at + t->count; i++) {
        if (t->slot) {
            gri_pack_fill(&t->slot->pack, gri_loader_rules(p->loader), i, scratch);
        } else {
            GR_TRY(
                gri_loader_measure(p->loader, &t->window->load, i, mostly_others(p), scratch));
        }
    }
done:
    return err;
}

/// Runs a task and moves its job on. Called and left with the lock.
static void do_task(gri_prefetch *p, const task *t, gri_scratch *scratch)
{
    job *j = t->job;
    p->busy++;
    pthread_mutex_unlock(&p->lock);
    gr_err err = run_task(p, t, scratch);
    pthread_mutex_lock(&p->lock);
    note_error(j, err);
    if (t->begin) {
        j->count = t->slot ? t->slot->pack.seat_count : t->window->load.window.count;
        j->state = j->err == GR_OK ? OPEN : READY;
    } else {
        j->done += t->count;
    }
    if (j->state == OPEN && j->done == j->count) {
        j->state = BEGUN; // nobody else touches it
        pthread_mutex_unlock(&p->lock);
        err = j->err == GR_OK ? finish(p, t) : GR_OK;
        pthread_mutex_lock(&p->lock);
        note_error(j, err);
        j->state = READY;
    }
    p->busy--;
    if (t->begin || j->state == READY) {
        pthread_cond_broadcast(&p->work);
    }
    if (j->state == READY || p->pause) {
        pthread_cond_broadcast(&p->changed);
    }
}

static void *work(void *argument)
{
    worker *me = argument;
    gri_prefetch *p = me->prefetch;
    pthread_mutex_lock(&p->lock);
    while (!p->quit) {
        task t;
        if (choose(p, &t)) {
            do_task(p, &t, &me->scratch);
        } else {
            pthread_cond_wait(&p->work, &p->lock);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/// Signals stay with the threads that were there before: their handlers set a flag that somebody must be woken for.
static int start_thread(worker *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

gr_err gri_prefetch_create(const gr_loader *loader, int threads, gri_prefetch **out)
{
    gr_err err = GR_OK;
    gri_prefetch *p = NULL;
    GR_ALLOC(p, 1);
    p->loader = loader;
    p->plan.count = 1; // nothing to do: no steps
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->changed, NULL);
    for (; p->threads < threads && p->threads < MOST_THREADS; p->threads++) {
        worker *w = &p->workers[p->threads];
        w->prefetch = p;
        int status = start_thread(w);
        if (status != 0) {
            GR_FAIL(GR_ERR_FAILED, "cannot start a thread that reads data ahead: %s",
                    strerror(status));
        }
    }
    *out = p;
    p = NULL;
done:
    gri_prefetch_destroy(&p);
    return err;
}

void gri_prefetch_destroy(gri_prefetch **prefetch)
{
    gri_prefetch *p = *prefetch;
    if (!p) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->threads; i++) {
        pthread_join(p->workers[i].thread, NULL);
        gri_scratch_fini(&p->workers[i].scratch);
    }
    for (int i = 0; i < SLOTS; i++) {
        gri_pack_fini(&p->slots[i].pack);
        gri_load_fini(&p->windows[i].load);
    }
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    GR_FREE(*prefetch);
}

void gri_prefetch_start(gri_prefetch *p, gri_plan plan)
{
    pthread_mutex_lock(&p->lock);
    p->pause = true;
    while (p->busy > 0) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    for (int i = 0; i < SLOTS; i++) {
        p->slots[i].job.state =
            EMPTY; // the caller's pack is not touched before it is given back
        p->windows[i].job.state = EMPTY;
    }
    p->pause = false;
    p->plan = plan;
    p->base = p->taken;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

gr_err gri_prefetch_take(gri_prefetch *p, int64_t step, int64_t lane, gri_pack **out)
{
    gr_err err = GR_OK;
    slot *s = NULL;
    pthread_mutex_lock(&p->lock);
    p->held = false;
    if (p->taken < plan_end(p) && item_step(p, p->taken) == step &&
        item_lane(p, p->taken) == lane) {
        s = &p->slots[p->taken % SLOTS];
        pthread_cond_broadcast(&p->work);
        while (s->job.state != READY || s->job.number != p->taken) {
            pthread_cond_wait(&p->changed, &p->lock);
        }
        p->taken++;
        p->held = true;
    }
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (s && s->job.err != GR_OK) {
        GR_FAIL(s->job.err, "%s", s->job.message);
    }
    *out = s ? &s->pack : NULL;
done:
    return err;
}
