#include "tests/check.h"

#include "src/base/mem.h"
#include "src/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_alloc(void)
{
    static const size_t counts[] = {0, 1, 7, 63, 64, 65, 100003};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        int64_t before = gr_mem_used();
        unsigned char *p = gr_mem_alloc(counts[i], 3);
        GR_CHECK(p != NULL);
        GR_CHECK_INT((int64_t)((uintptr_t)p % 64), 0);
        bool zero = true;
        for (size_t k = 0; k < 3 * counts[i]; k++) {
            zero = zero && p[k] == 0;
        }
        GR_CHECK(zero);
        GR_CHECK(gr_mem_used() >= before + 3 * (int64_t)counts[i]);
        GR_CHECK(gr_mem_peak() >= gr_mem_used());
        GR_FREE(p);
        GR_CHECK(p == NULL);
        GR_CHECK_INT(gr_mem_used(), before);
    }
    gr_mem_free(NULL);
}

static gr_err take(size_t count, size_t size)
{
    gr_err err = GR_OK;
    void *p = gr_mem_alloc(count, size);
    if (!p) {
        err = GR_ERR_MEMORY;
    }
    gr_mem_free(p);
    return err;
}

static void test_too_large(void)
{
    GR_CHECK_ERR(take(SIZE_MAX, 2), GR_ERR_MEMORY, "elements of 2 bytes");
    GR_CHECK_ERR(take(SIZE_MAX / 2 + 2, 1), GR_ERR_MEMORY, "out of memory");
}

static void test_resize(void)
{
    int32_t *p = NULL;
    gr_err err = GR_OK;
    GR_RESIZE(p, 0, 3);
    p[2] = 42;
    GR_RESIZE(p, 3, 1000);
    GR_CHECK_INT(p[2], 42);
    GR_CHECK_INT(p[3], 0);
    GR_CHECK_INT(p[999], 0);
    GR_RESIZE(p, 1000, 3);
    GR_CHECK_INT(p[2], 42);
    gr_mem_fail_at(1);
    void *grown = gr_mem_resize(p, 3, 6, sizeof *p);
    GR_CHECK(grown == NULL);
    GR_CHECK_INT(p[2], 42); // still ours
done:
    GR_CHECK_OK(err);
    GR_FREE(p);
}

static void test_strdup(void)
{
    char *copy = gr_mem_strdup("name");
    GR_CHECK_STR(copy, "name");
    gr_mem_free(copy);
}

/// Three requests and what they need for cleaning up.
static gr_err three_requests(void)
{
    gr_err err = GR_OK;
    int *a = NULL;
    double *b = NULL;
    char *c = NULL;
    GR_ALLOC(a, 10);
    GR_RESIZE(b, 0, 20);
    GR_STRDUP(c, "text");
done:
    GR_FREE(a);
    GR_FREE(b);
    GR_FREE(c);
    return err;
}

static void test_chosen_request_fails(void)
{
    int64_t before = gr_mem_used(), requests = gr_mem_requests();
    GR_CHECK_OK(three_requests());
    GR_CHECK_INT(gr_mem_requests() - requests, 3);
    for (int64_t n = 1; n <= 3; n++) {
        gr_mem_fail_at(n);
        GR_CHECK_ERR(three_requests(), GR_ERR_MEMORY, "out of memory");
        GR_CHECK_INT(gr_mem_used(), before);
    }
    gr_mem_fail_at(4);
    GR_CHECK_OK(three_requests());
    gr_mem_fail_at(0);
    GR_CHECK_OK(three_requests());
}

/// The string after growing through many sizes; for the sweep.
static gr_err build_string(void)
{
    gr_err err = GR_OK;
    gr_str s = {0};
    char *line = gr_str_format("%0*d", 300, 7);
    if (!line) {
        GR_TRY(GR_ERR_MEMORY);
    }
    GR_TRY(gr_str_add(&s, line));
    GR_TRY(gr_str_addf(&s, "%s%s%s", line, line, line));
    GR_TRY(gr_str_add_bytes(&s, "a\0b", 3));
    GR_CHECK_INT((int64_t)s.size, 1203);
    GR_CHECK_BYTES(s.data + 1200, "a\0b", 4);
    gr_str_clear(&s);
    GR_CHECK_STR(s.data, "");
    GR_TRY(gr_str_add(&s, ""));
    GR_CHECK_INT((int64_t)s.size, 0);
done:
    GR_FREE(line);
    gr_str_fini(&s);
    gr_str_fini(&s);
    return err;
}

static void test_string_and_sweep(void)
{
    int64_t before = gr_mem_used(), requests = gr_mem_requests();
    GR_CHECK_OK(build_string());
    int64_t count = gr_mem_requests() - requests;
    GR_CHECK(count >= 3);
    for (int64_t n = 1; n <= count; n++) {
        gr_mem_fail_at(n);
        GR_CHECK_ERR(build_string(), GR_ERR_MEMORY, "out of memory");
        GR_CHECK_INT(gr_mem_used(), before);
    }
    gr_mem_fail_at(0);
}

static const char *self;

static void test_environment(void)
{
    char *command = gr_str_format("GR_MEM_FAIL_AT=2 '%s' --child >/dev/null 2>&1", self);
    GR_CHECK(command != NULL);
    int status = command ? system(command) : -1;
    GR_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    gr_mem_free(command);
}

/// 5 if exactly the second request failed.
static int child(void)
{
    gr_err first = take(1, 1), second = take(1, 1), third = take(1, 1);
    return first == GR_OK && second == GR_ERR_MEMORY && third == GR_OK ? 5 : 6;
}

/// Bytes of this process that are in memory.
static int64_t resident(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!GR_CHECK(f && fscanf(f, "%*d %lld", &pages) == 1)) {
        pages = 0;
    }
    if (f) {
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

/// What was forgotten reads as zero, its neighbours are as they were, and a large piece leaves the memory of the process.
static void test_forget(void)
{
    enum { SIZE = 64 << 20, FROM = 12345, TO = SIZE - 777 };
    gr_err err = GR_OK;
    char *bytes = NULL;
    int64_t wrong = 0;
    GR_ALLOC(bytes, SIZE);
    memset(bytes, 7, SIZE);
    int64_t before = resident();
    gr_mem_forget(bytes + FROM, TO - FROM);
    GR_CHECK(before - resident() > SIZE / 2);
    for (int64_t i = 0; i < SIZE; i += i < 20000 || i > SIZE - 20000 ? 1 : 4001) {
        wrong += bytes[i] != (i >= FROM && i < TO ? 0 : 7);
    }
    bytes[SIZE / 2] = 1;
    gr_mem_forget(bytes + 3, 0);
    gr_mem_forget(bytes + 3, 2);
    GR_CHECK_INT(wrong, 0);
    GR_CHECK(bytes[2] == 7 && bytes[3] == 0 && bytes[4] == 0 && bytes[5] == 7);
    GR_CHECK_INT(bytes[SIZE / 2], 1);
done:
    GR_CHECK_OK(err);
    GR_FREE(bytes);
}

static const gr_test tests[] = {
    {"forget", test_forget},
    {"zeroed, aligned, counted", test_alloc},
    {"too large", test_too_large},
    {"resize", test_resize},
    {"strdup", test_strdup},
    {"the chosen request fails", test_chosen_request_fails},
    {"strings, each request failing once", test_string_and_sweep},
    {"GR_MEM_FAIL_AT", test_environment},
};

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1 && strcmp(argv[1], "--child") == 0) {
        return child();
    }
    return gr_test_main("mem", tests, sizeof tests / sizeof tests[0], argc, argv);
}
