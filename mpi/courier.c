#include "mpi/courier.h"

#include "src/base/activity.h"
#include "src/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

// A message of half a MiB takes 4 ms at 1 Gbit/s; looking this often costs about 1 % of a core.
static const struct timespec between_looks = {.tv_nsec = 100000};

static struct courier {
    pthread_mutex_t lock;
    pthread_cond_t sent, moved;
    pthread_t thread;
    bool running, stopping;
    gri_errand *queue[GRI_ERRANDS]; ///< the first is under way
    int count;
} courier = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .sent = PTHREAD_COND_INITIALIZER,
             .moved = PTHREAD_COND_INITIALIZER};

static atomic_bool awaited; ///< the main thread has nothing else to do
static _Thread_local bool is_me;

/// Keeps what the errand ended with.
static void finish(gri_errand *errand, gr_err err)
{
    errand->message = err != GR_OK ? gr_mem_strdup(gr_err_message()) : NULL;
    gr_err_clear();
    pthread_mutex_lock(&courier.lock);
    errand->err = err;
    errand->done = true;
    courier.count--;
    memmove(courier.queue, courier.queue + 1, (size_t)courier.count * sizeof *courier.queue);
    pthread_cond_broadcast(&courier.moved);
    pthread_mutex_unlock(&courier.lock);
}

static void *work(void *unused)
{
    (void)unused;
    is_me = true;
    for (;;) {
        pthread_mutex_lock(&courier.lock);
        while (courier.count == 0 && !courier.stopping) {
            pthread_cond_wait(&courier.sent, &courier.lock);
        }
        gri_errand *errand = courier.count > 0 ? courier.queue[0] : NULL;
        pthread_mutex_unlock(&courier.lock);
        if (!errand) {
            return NULL;
        }
        finish(errand, errand->run(errand->data));
    }
}

gr_err gri_courier_start(void)
{
    gr_err err = GR_OK;
    if (courier.running) {
        goto done;
    }
    courier.stopping = false;
    int failed = pthread_create(&courier.thread, NULL, work, NULL);
    if (failed) {
        GR_FAIL(GR_ERR_UNAVAILABLE, "cannot start the thread that carries messages: %s",
                strerror(failed));
    }
    courier.running = true;
done:
    return err;
}

void gri_courier_stop(void)
{
    if (!courier.running) {
        return;
    }
    pthread_mutex_lock(&courier.lock);
    GR_ASSERT(courier.count == 0);
    courier.stopping = true;
    pthread_cond_signal(&courier.sent);
    pthread_mutex_unlock(&courier.lock);
    pthread_join(courier.thread, NULL);
    courier.running = false;
}

void gri_courier_send(gri_errand *errand)
{
    GR_ASSERT(courier.running && !errand->sent);
    errand->sent = true;
    errand->done = false;
    pthread_mutex_lock(&courier.lock);
    GR_ASSERT(courier.count < GRI_ERRANDS);
    courier.queue[courier.count++] = errand;
    pthread_cond_signal(&courier.sent);
    pthread_mutex_unlock(&courier.lock);
}

/// Waits, for other ranks, until `reached` of data; asked with the lock held.
static void await(bool (*reached)(const void *data), const void *data)
{
    pthread_mutex_lock(&courier.lock);
    if (!reached(data)) {
        gr_activity_wait(true);
        atomic_store(&awaited, true);
        while (!reached(data)) {
            pthread_cond_wait(&courier.moved, &courier.lock);
        }
        atomic_store(&awaited, false);
        gr_activity_wait(false);
    }
    pthread_mutex_unlock(&courier.lock);
}

static bool is_done(const void *errand)
{
    return ((const gri_errand *)errand)->done;
}

static bool is_idle(const void *unused)
{
    (void)unused;
    return courier.count == 0;
}

void gri_courier_forget(gri_errand *errand)
{
    if (errand->sent) {
        await(is_done, errand);
    }
    errand->sent = false;
    GR_FREE(errand->message);
}

gr_err gri_courier_wait(gri_errand *errand)
{
    gr_err err = GR_OK;
    if (!errand->sent) {
        goto done;
    }
    await(is_done, errand);
    errand->sent = false;
    if (errand->err != GR_OK) {
        err = gr_err_set(errand->err, __FILE__, __LINE__, __func__, "%s",
                         errand->message ? errand->message : "out of memory");
    }
    GR_FREE(errand->message);
done:
    return err;
}

typedef struct goal {
    const gri_errand *errand;
    bool (*reached)(const void *data);
    const void *data;
} goal;

static bool is_there(const void *data)
{
    const goal *g = data;
    return g->errand->done || g->reached(g->data);
}

void gri_courier_wait_until(const gri_errand *errand, bool (*reached)(const void *data),
                            const void *data)
{
    const goal g = {errand, reached, data};
    if (errand->sent && !reached(data)) {
        await(is_there, &g);
    }
}

void gri_mpi_enter(void)
{
    if (!is_me) {
        if (courier.running) {
            await(is_idle, NULL);
        }
        gr_activity_wait(true);
    }
}

void gri_mpi_leave(void)
{
    if (!is_me) {
        gr_activity_wait(false);
    }
}

bool gri_courier_is_me(void)
{
    return is_me;
}

void gri_courier_rest(void)
{
    if (atomic_load_explicit(&awaited, memory_order_relaxed)) {
        sched_yield();
    } else {
        nanosleep(&between_looks, NULL);
    }
}

void gri_courier_tell(void)
{
    pthread_mutex_lock(&courier.lock);
    pthread_cond_broadcast(&courier.moved);
    pthread_mutex_unlock(&courier.lock);
}
