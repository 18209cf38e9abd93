#include "tests/check.h"

#include "src/base/mem.h"
#include "src/tensor/arena.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_take_and_reset(void)
{
    gr_arena *arena = NULL;
    GR_CHECK_OK(gr_arena_create(1 << 20, &arena));
    char *a = gr_arena_take(arena, 1);
    char *b = gr_arena_take(arena, 65);
    char *c = gr_arena_take(arena, 0);
    GR_CHECK_INT((int64_t)((uintptr_t)a % 64), 0);
    GR_CHECK_INT(b - a, 64);
    GR_CHECK_INT(c - b, 128);
    int64_t mark = gr_arena_mark(arena);
    GR_CHECK_INT(mark, 192);
    float *f = gr_arena_f32(arena, 100);
    GR_CHECK((char *)f == c);
    f[99] = 1;
    GR_CHECK_INT(gr_arena_peak(arena), 192 + 448);
    gr_arena_forget_peak(arena);
    GR_CHECK_INT(gr_arena_peak(arena), gr_arena_mark(arena));
    const int64_t before = gr_arena_mark(arena);
    (void)gr_arena_take(arena, 64);
    gr_arena_reset(arena, before);
    GR_CHECK_INT(gr_arena_peak(arena), before + 64);
    gr_arena_reset(arena, mark);
    GR_CHECK_INT(gr_arena_mark(arena), mark);
    GR_CHECK(gr_arena_f32(arena, 1) == f);
    gr_arena_reset(arena, 0);
    GR_CHECK(gr_arena_take(arena, 10) == a);
    GR_CHECK_INT(gr_arena_peak(arena), before + 64);
    gr_arena_destroy(&arena);
    GR_CHECK(arena == NULL);
    gr_arena_destroy(&arena);
}

static void test_full(void)
{
    const int64_t size = INT64_C(200) << 20; // opened in several steps
    gr_arena *arena = NULL;
    GR_CHECK_OK(gr_arena_create(size, &arena));
    char *all = gr_arena_take(arena, size - (1 << 20));
    char *last = gr_arena_take(arena, 1 << 20);
    all[0] = 1;
    last[(1 << 20) - 1] = 2;
    GR_CHECK_INT(last - all, size - (1 << 20));
    GR_CHECK_INT(gr_arena_peak(arena), size);
    gr_arena_destroy(&arena);
}

static void test_as_large_as_the_machine(void)
{
    gr_arena *arena = NULL;
    GR_CHECK_OK(gr_arena_create(0, &arena));
    float *a = gr_arena_f32(arena, 1000);
    memset(a, 0, 4000);
    GR_CHECK_CLOSE(a, ((float[1000]){0}), 1000, 0, 0);
    gr_arena_destroy(&arena);
}

static void test_uncleared_memory_is_nan(void)
{
#ifdef GRADUS_POISON
    gr_arena *arena = NULL;
    GR_CHECK_OK(gr_arena_create(1 << 20, &arena));
    for (int turn = 0; turn < 2; turn++) {
        float *a = gr_arena_f32(arena, 77);
        for (int i = 0; i < 77; i++) {
            GR_CHECK(isnan(a[i]));
            a[i] = 0;
        }
        gr_arena_reset(arena, 0);
    }
    gr_arena_destroy(&arena);
#else
    GR_CHECK(true); // only in builds with sanitizers
#endif
}

static void take_too_much(void)
{
    gr_arena *arena = NULL;
    if (gr_arena_create(1 << 21, &arena) == GR_OK) {
        gr_arena_take(arena, 1 << 20);
        gr_arena_take(arena, (1 << 20) + 1);
    }
}

static void test_past_the_end_stops(void)
{
    char text[4096];
    int status = gr_test_child(take_too_much, text, sizeof text);
    GR_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    GR_CHECK(
        strstr(text,
               "out of memory: a step needs 0.001 GiB on top of 0.001 GiB, of 0.002 GiB") !=
        NULL);
    GR_CHECK(strstr(text, "sequence_length") != NULL);
}

#if !defined __SANITIZE_ADDRESS__ &&                                                           \
    !defined GRADUS_TSAN // whose shadow memory alone is beyond any limit
/// Wait status of a child that runs `body`; what it says is not shown.
static int in_child(void (*body)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) {
            _exit(9);
        }
        body();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

/// Exit 5 if a limited process gets a smaller arena when it leaves the size to us, and a clear
/// error when it asks for too much.
static void live_under_a_limit(void)
{
    struct rlimit limit = {.rlim_cur = 1 << 30, .rlim_max = 1 << 30};
    gr_arena *arena = NULL;
    setrlimit(RLIMIT_AS, &limit);
    gr_err large = gr_arena_create(INT64_C(1) << 40, &arena);
    bool clear = large == GR_ERR_MEMORY && strstr(gr_err_message(), "ulimit -v");
    gr_err ours = gr_arena_create(0, &arena);
    bool works = ours == GR_OK && gr_arena_take(arena, 200 << 20);
    gr_arena_destroy(&arena);
    _exit(clear && works ? 5 : 6);
}
#endif

static void test_address_limit(void)
{
#if defined __SANITIZE_ADDRESS__ || defined GRADUS_TSAN
    GR_CHECK(true);
#else
    int status = in_child(live_under_a_limit);
    GR_CHECK(WIFEXITED(status));
    GR_CHECK_INT(WEXITSTATUS(status), 5);
#endif
}

static void test_failing_request(void)
{
    gr_arena *arena = NULL;
    gr_mem_fail_at(1);
    GR_CHECK_ERR(gr_arena_create(1 << 20, &arena), GR_ERR_MEMORY, "out of memory");
    gr_mem_fail_at(0);
    GR_CHECK(arena == NULL);
}

static const gr_test tests[] = {
    {"take, mark, reset, peak", test_take_and_reset},
    {"to the last byte", test_full},
    {"as large as the machine", test_as_large_as_the_machine},
    {"uncleared memory is NaN", test_uncleared_memory_is_nan},
    {"past the end stops", test_past_the_end_stops},
    {"a limit on addresses", test_address_limit},
    {"failing request", test_failing_request},
};

GR_TEST_MAIN("arena", tests)
