/// Read it from the bottom: gr_watchdog_start, then watch(), the loop of its thread.

#include "mpi/watchdog.h"

#include "mpi/watch_links.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TICK_MS = 200, SURELY_EVERY = 3 };

/// How long whoever hears of a verdict waits before it kills the given-up process: the others should have ended
/// by themselves first, so that the launcher takes up their exit code.
static const unsigned before_kill_us = 50000;
/// Who watch rank 0 wait this much longer than it does. Of them the lowest that lives speaks: a higher one asks those below, waits so
/// long for the first answer, and behind an answer for a verdict; but not for ever.
static const double grace = 0.3, answer_time = 1, verdict_time = 2, patience = 6;

typedef struct watchdog {
    gri_links links;
    double seconds;
    gri_watched *ranks; ///< [watched]
    int watched;        ///< rank 0 watches all, the others rank 0
    double last;        ///< when they were looked at
    int ticks;
    int64_t warned; ///< steps done when a slow one was last warned about
    int failing;    ///< exit code of a rank that ends the job itself; 0: none
    double failed_at;
    pid_t launcher;
    double suspected; ///< when rank 0 was first found gone; 0: it is not
    double answered;  ///< when a lower rank last said that it lives
    double orphaned;  ///< seconds since that process is gone
    int wake;         ///< written to when it is to end
    atomic_int exit_code;
    atomic_bool quit;
    pthread_t thread;
} watchdog;

/// This process's.
static _Atomic(watchdog *) running;

static bool leads(const watchdog *w)
{
    return w->links.rank == 0;
}

static void tell_all(watchdog *w, const gri_note *note, bool surely)
{
    for (int r = 0; r < w->links.size; r++) {
        gri_links_tell(&w->links, r, note, surely);
    }
}

/// To rank 0, or from it to all.
static void tell(watchdog *w, const gri_note *note, bool surely)
{
    if (leads(w)) {
        tell_all(w, note, surely);
    } else {
        gri_links_tell(&w->links, 0, note, surely);
    }
}

/// Whether this rank is to end the process of `given_up`: the lowest other rank of its node.
static bool is_its_neighbour(const watchdog *w, int given_up)
{
    const gri_member *m = w->links.members;
    for (int r = 0; r < w->links.size; r++) {
        if (r != given_up && m[r].node == m[given_up].node) {
            return r == w->links.rank;
        }
    }
    return false;
}

/// Ends this process, and a stopped one beside it. Nothing that the main thread may hold is waited for.
static _Noreturn void end(const watchdog *w, int given_up)
{
    const gri_member *m = &w->links.members[given_up];
    if (is_its_neighbour(w, given_up)) {
        usleep(before_kill_us);
        if (m->started && gri_process_started(m->pid) == m->started) {
            (void)kill(m->pid, SIGKILL);
        }
    }
    _exit(gr_err_exit_code(GR_ERR_UNAVAILABLE));
}

/// Names the rank, tells all, ends.
static _Noreturn void give_up(watchdog *w, int who, const char *what, const gri_sign *sign)
{
    char where[512];
    const gri_member *m = &w->links.members[who];
    gri_watch_where(sign, where, sizeof where);
    gr_progress_end();
    gr_log_error(
        gr_err_set(GR_ERR_UNAVAILABLE, __FILE__, __LINE__, __func__,
                   "rank %d on %s (process %d) %s; last known %s. The job ends; start it "
                   "again to go on from the last checkpoint",
                   who, m->host, m->pid, what, where));
    const gri_note verdict = {.kind = GRI_NOTE_VERDICT, .value = who};
    tell_all(w, &verdict, true);
    tell_all(w, &verdict, false); // a datagram may be lost
    end(w, who);
}

static gri_note own_sign(const gr_activity *a)
{
    gri_note n = {.kind = GRI_NOTE_SIGN,
                  .sign = {.pulse = a->pulse,
                           .steps = a->steps,
                           .phase = (int32_t)a->phase,
                           .waiting = a->waiting}};
    memcpy(n.sign.place, a->place, sizeof n.sign.place);
    memcpy(n.sign.sample, a->sample, sizeof n.sign.sample);
    return n;
}

static void take(void *context, const gri_note *note)
{
    watchdog *w = context;
    switch (note->kind) {
    case GRI_NOTE_SIGN:
        if (note->rank < w->watched) {
            gri_watch_heard(&w->ranks[note->rank], &note->sign);
        }
        break;
    case GRI_NOTE_LEAVING:
        if (note->rank < w->watched) {
            w->ranks[note->rank].left = true;
        }
        break;
    case GRI_NOTE_FAILING:
        if (!w->failing) {
            w->failing = note->value ? note->value : 1;
            w->failed_at = gr_clock();
            if (leads(w)) {
                tell_all(w, note, true);
            }
        }
        break;
    case GRI_NOTE_ASK:
        if (note->rank >= 0 && note->rank < w->links.size) {
            gri_links_tell(&w->links, note->rank, &(gri_note){.kind = GRI_NOTE_ANSWER}, false);
        }
        break;
    case GRI_NOTE_ANSWER:
        w->answered = gr_clock();
        break;
    case GRI_NOTE_VERDICT:
        end(w, note->value >= 0 && note->value < w->links.size ? note->value : 0);
    default:
        break;
    }
}

/// What the connections tell by themselves, without a note.
static void look_at_links(watchdog *w)
{
    for (int r = 0; r < w->watched; r++) {
        if (r == w->links.rank || gri_links_acknowledged(&w->links, r)) {
            w->ranks[r].deaf = 0;
        }
        w->ranks[r].ended = gri_links_ended(&w->links, r);
    }
}

static void warn_of_slow(watchdog *w, const gr_activity *a, const gri_limits *limits)
{
    int who = -1;
    char where[512] = "";
    if (!leads(w) || w->warned == a->steps + 1 ||
        !gri_watch_behind(w->ranks, w->watched, limits, a->step_seconds, &who)) {
        return;
    }
    w->warned = a->steps + 1;
    if (who < 0) {
        gr_log_warn("%s takes %.0f s so far, the slowest before took %.1f s: all ranks wait "
                    "for the network",
                    a->place, a->step_seconds, a->slowest);
        return;
    }
    gri_watch_where(&w->ranks[who].last, where, sizeof where);
    gr_log_warn(
        "%s takes %.0f s so far, the slowest before took %.1f s: rank %d on %s (process "
        "%d) is behind, %s",
        a->place, a->step_seconds, a->slowest, who, w->links.members[who].host,
        w->links.members[who].pid, where);
}

/// Without its launcher nobody would end this process when others fail, nor hear of its exit code.
static void check_launcher(watchdog *w, const gri_note *sign, double seconds)
{
    char what[96];
    const bool lowest =
        w->links.members[w->links.rank].node == w->links.rank; // of its node, it speaks
    const double wait = leads(w) ? 0 : lowest ? grace : grace + verdict_time;
    w->orphaned += getppid() != w->launcher ? seconds : 0;
    if (w->links.size > 1 && w->orphaned > wait) {
        snprintf(what, sizeof what, "has lost its launcher (process %d ended)", w->launcher);
        give_up(w, w->links.rank, what, &sign->sign);
    }
}

/// Whether it is this rank that names rank 0: no lower one lives, or none of them does what it should.
static bool is_speaker(watchdog *w)
{
    double now = gr_clock();
    if (leads(w) || w->links.rank == 1) {
        return true;
    }
    w->suspected = w->suspected > 0 ? w->suspected : now;
    for (int r = 1; r < w->links.rank; r++) {
        gri_links_tell(&w->links, r, &(gri_note){.kind = GRI_NOTE_ASK}, false);
    }
    double asked = now - w->suspected;
    bool answers = w->answered > w->suspected && now - w->answered < verdict_time;
    return asked > patience || (asked > answer_time && !answers);
}

static void judge(watchdog *w, const gr_activity *a, const gri_limits *limits)
{
    int who = 0;
    char what[256];
    gri_fault fault = gri_watch_judge(w->ranks, w->watched, limits, leads(w), &who);
    w->suspected = fault != GRI_FAULT_NONE ? w->suspected : 0;
    if (fault != GRI_FAULT_NONE && is_speaker(w)) {
        gri_watch_words(&w->ranks[who], fault, what, sizeof what);
        give_up(w, who, what, &w->ranks[who].last);
    }
    warn_of_slow(w, a, limits);
}

static void look(watchdog *w)
{
    gr_activity a;
    double now = gr_clock();
    if (now - w->last < 1e-3 * TICK_MS) {
        look_at_links(w); // something came before its time
        return;
    }
    gr_activity_read(&a);
    const gri_note sign = own_sign(&a);
    double passed = now - w->last;
    const gri_limits limits = {.seconds = w->seconds,
                               .slowest = a.slowest,
                               .stage_steps = a.stage_steps,
                               .grace = leads(w) ? 0 : grace};
    gri_watch_pass(w->ranks, w->watched, &limits, passed);
    w->last = now;
    tell(w, &sign, w->ticks++ % SURELY_EVERY == 0);
    if (leads(w)) {
        gri_watch_heard(&w->ranks[0], &sign.sign);
    }
    look_at_links(w);
    if (!w->failing) {
        check_launcher(w, &sign, passed);
        judge(w, &a, &limits);
    } else if (now - w->failed_at > 2 * w->seconds) {
        _exit(w->failing); // the launcher should have ended this process long ago
    }
}

/// The thread.
static void *watch(void *argument)
{
    watchdog *w = argument;
    while (!atomic_load(&w->quit)) {
        double left = 1e-3 * TICK_MS - (gr_clock() - w->last);
        gri_links_listen(&w->links, left > 0 ? (int)(left * 1e3) + 1 : 0, w->wake, take, w);
        look(w);
    }
    int code = atomic_load(&w->exit_code);
    const gri_note goodbye = {.kind = code ? GRI_NOTE_FAILING : GRI_NOTE_LEAVING,
                              .value = code};
    tell(w, &goodbye, true);
    return NULL;
}

static void destroy(watchdog **watchdog_)
{
    watchdog *w = *watchdog_;
    if (w) {
        gri_links_close(&w->links);
        if (w->wake >= 0) {
            close(w->wake);
        }
        GR_FREE(w->ranks);
        GR_FREE(*watchdog_);
    }
}

/// Signals stay with the main thread.
static gr_err start_thread(watchdog *w)
{
    gr_err err = GR_OK;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&w->thread, NULL, watch, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        GR_FAIL(GR_ERR_UNAVAILABLE, "cannot start a thread: %s", strerror(status));
    }
done:
    return err;
}

static gr_err create(const gr_world *world, double seconds, watchdog **out)
{
    gr_err err = GR_OK;
    watchdog *w = NULL;
    int watched = world->rank == 0 ? world->size : 1;
    GR_ALLOC(w, 1);
    w->links.udp = -1;
    w->seconds = seconds;
    w->watched = watched;
    w->launcher = getppid();
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    GR_ALLOC(w->ranks, watched);
    if (w->wake < 0) {
        GR_FAIL(GR_ERR_UNAVAILABLE, "cannot open an eventfd");
    }
    *out = w;
    w = NULL;
done:
    destroy(&w);
    return err;
}

gr_err gr_watchdog_start(const gr_world *world, double seconds)
{
    gr_err err = GR_OK;
    watchdog *w = NULL;
    GR_ASSERT(!atomic_load(&running));
    if (!(seconds > 0)) {
        goto done;
    }
    GR_TRY(gr_world_agree(world, create(world, seconds, &w)));
    err = gri_links_open(world, &w->links);
    if (err == GR_ERR_UNAVAILABLE && gr_world_knows_error(world)) {
        if (world->rank == 0) {
            gr_log_warn(
                "nobody watches for ranks that hang: %s; let it through, or give --watchdog 0",
                gr_err_message());
        }
        gr_err_clear();
        err = GR_OK;
        goto done;
    }
    GR_TRY(err);
    w->last = gr_clock();
    err = start_thread(w);
    bool started = err == GR_OK;
    atomic_store(&running, started ? w : NULL);
    w = started ? NULL : w;
    GR_TRY(gr_world_agree(world, err));
done:
    if (err != GR_OK) {
        gr_watchdog_stop(0); // where others could not start
    }
    destroy(&w);
    return err;
}

void gr_watchdog_stop(int exit_code)
{
    watchdog *w = atomic_exchange(&running, NULL);
    if (!w) {
        return;
    }
    atomic_store(&w->exit_code, exit_code);
    atomic_store(&w->quit, true);
    (void)eventfd_write(w->wake, 1);
    if (!pthread_equal(w->thread, pthread_self())) { // a failed assertion may be its own
        pthread_join(w->thread, NULL);
        destroy(&w);
    }
}
