#include "datasets/loader_internal.h"
#include "src/base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { SLOTS = 3, MESSAGE_SIZE = 4096 }; // one with the caller, two ahead

typedef struct slot {
    gri_pack pack;
    gr_err err;
    char message[MESSAGE_SIZE];
} slot;

/// Items are numbered without end; item n lies in slot n % SLOTS. Items [taken, made) are ready; item taken - 1 is with the
/// caller while `held`; the thread works on item `made` while `busy`.
struct gri_prefetch {
    const gr_loader *loader;
    pthread_t thread;
    pthread_mutex_t
        lock; ///< guards all below but the slots, each of which has one owner at a time
    pthread_cond_t changed;
    gri_plan plan;
    int64_t base; ///< number of the plan's first item
    int64_t taken, made;
    bool held, busy, quit;
    atomic_bool interrupt; ///< what the thread is working on is not wanted any more
    slot slots[SLOTS];
};

static int64_t plan_end(const gri_prefetch *p)
{
    return p->base + (p->plan.last_step - p->plan.step) * p->plan.count;
}

static gri_span item_span(const gri_prefetch *p, int64_t item)
{
    int64_t k = item - p->base;
    return gri_loader_span(p->loader, p->plan.step + k / p->plan.count,
                           p->plan.first + k % p->plan.count);
}

static bool can_make(const gri_prefetch *p)
{
    int64_t oldest = p->taken - (p->held ? 1 : 0);
    return !atomic_load(&p->interrupt) && p->made < plan_end(p) && p->made - oldest < SLOTS;
}

static void make(gri_prefetch *p, gri_span span, slot *s)
{
    s->err = gri_loader_fill(p->loader, span, &p->interrupt, &s->pack);
    if (s->err != GR_OK) {
        snprintf(s->message, sizeof s->message, "%s", gr_err_message());
    }
}

static void *produce(void *argument)
{
    gri_prefetch *p = argument;
    pthread_mutex_lock(&p->lock);
    while (!p->quit) {
        if (!can_make(p)) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        gri_span span = item_span(p, p->made);
        slot *s = &p->slots[p->made % SLOTS];
        p->busy = true;
        pthread_mutex_unlock(&p->lock);
        make(p, span, s);
        pthread_mutex_lock(&p->lock);
        p->busy = false;
        if (!atomic_load(&p->interrupt)) {
            p->made++;
        }
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/// Signals stay with the threads that were there before: their handlers set a flag that somebody must be woken for.
static int start_thread(gri_prefetch *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&p->thread, NULL, produce, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

gr_err gri_prefetch_create(const gr_loader *loader, gri_prefetch **out)
{
    gr_err err = GR_OK;
    gri_prefetch *p = NULL;
    GR_ALLOC(p, 1);
    p->loader = loader;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    int status = start_thread(p);
    if (status != 0) {
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
        GR_FAIL(GR_ERR_FAILED, "cannot start the thread that reads data ahead: %s",
                strerror(status));
    }
    *out = p;
    p = NULL;
done:
    GR_FREE(p);
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
    atomic_store(&p->interrupt, true);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    for (int i = 0; i < SLOTS; i++) {
        gri_pack_fini(&p->slots[i].pack);
    }
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    GR_FREE(*prefetch);
}

void gri_prefetch_start(gri_prefetch *p, gri_plan plan)
{
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->interrupt, true);
    while (p->busy) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    atomic_store(&p->interrupt, false);
    p->plan = plan;
    p->base = p->made = p->taken;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

gr_err gri_prefetch_take(gri_prefetch *p, gri_span span, gri_pack **out)
{
    gr_err err = GR_OK;
    slot *s = NULL;
    pthread_mutex_lock(&p->lock);
    p->held = false;
    if (p->taken < plan_end(p)) {
        gri_span next = item_span(p, p->taken);
        if (next.begin == span.begin && next.end == span.end) {
            pthread_cond_broadcast(&p->changed);
            while (p->made <= p->taken) {
                pthread_cond_wait(&p->changed, &p->lock);
            }
            s = &p->slots[p->taken++ % SLOTS];
            p->held = true;
        }
    }
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (s && s->err != GR_OK) {
        GR_FAIL(s->err, "%s", s->message);
    }
    *out = s ? &s->pack : NULL;
done:
    return err;
}
