#include "tests/check.h"
#include "tests/shard_support.h"

#include "datasets/seen.h"
#include "src/base/mem.h"

/// 130 samples: two whole words of bits and a part of a third.
enum { COUNT = 130 };

static gr_dataset *open_set(const char *name, int64_t count)
{
    gr_dataset *set = NULL;
    char *path = scratch_path(name);
    GR_CHECK_OK(write_set(path, count, 1 << 20));
    GR_CHECK_OK(gr_dataset_open(path, &set));
    GR_FREE(path);
    return set;
}

static void expect_seen(const gr_seen *seen, const gr_dataset *set, const bool *want)
{
    for (int64_t i = 0; i < gr_dataset_count(set); i++) {
        GR_CHECK_INT(gr_seen_has(seen, set, i), want[i]);
    }
}

static void test_nothing_is_seen_at_first(void)
{
    const bool none[COUNT] = {false};
    gr_seen seen = {0};
    gr_dataset *set = open_set("first", COUNT);
    expect_seen(&seen, set, none);
    GR_CHECK_INT(seen.count, 0);
    gr_seen_fini(&seen);
    gr_seen_fini(&seen); // twice is once
    gr_dataset_close(&set);
}

/// Each sample has its own bit: at the ends of words, and in any order.
static void test_each_sample_by_itself(void)
{
    static const int64_t some[] = {129, 0, 63, 64, 127, 128, 65, 1, 62, 63};
    bool want[COUNT] = {false};
    gr_seen seen = {0};
    gr_dataset *set = open_set("single", COUNT);
    for (size_t k = 0; k < sizeof some / sizeof *some; k++) {
        GR_CHECK_OK(gr_seen_add(&seen, set, some[k]));
        want[some[k]] = true;
        expect_seen(&seen, set, want);
    }
    GR_CHECK_INT(seen.count, 1);
    gr_seen_fini(&seen);
    expect_seen(&seen, set, (const bool[COUNT]){false});
    gr_dataset_close(&set);
}

/// The same number in another data set is another sample, also when the set is a smaller one, or the same folder opened again.
static void test_data_sets_apart(void)
{
    bool want[3][COUNT] = {{false}};
    gr_seen seen = {0};
    gr_dataset *sets[] = {open_set("a", COUNT), open_set("b", 1), open_set("c", 64)};
    for (int s = 0; s < 3; s++) {
        const int64_t last = gr_dataset_count(sets[s]) - 1;
        GR_CHECK_OK(gr_seen_add(&seen, sets[s], last));
        want[s][last] = true;
        for (int t = 0; t < 3; t++) {
            expect_seen(&seen, sets[t], want[t]);
        }
    }
    GR_CHECK_OK(gr_seen_add(&seen, sets[0], 0));
    want[0][0] = true;
    for (int t = 0; t < 3; t++) {
        expect_seen(&seen, sets[t], want[t]);
    }
    GR_CHECK_INT(seen.count, 3);
    gr_seen_fini(&seen);
    for (int s = 0; s < 3; s++) {
        gr_dataset_close(&sets[s]);
    }
}

/// Without memory nothing is seen that was not, and nothing is lost that was.
static void test_out_of_memory(void)
{
    gr_seen seen = {0};
    gr_dataset *a = open_set("held", COUNT), *b = open_set("new", COUNT);
    GR_CHECK_OK(gr_seen_add(&seen, a, 70));
    gr_err err = GR_ERR_MEMORY;
    int64_t failures = 0;
    while (err != GR_OK && failures < 10) {
        gr_mem_fail_at(failures + 1);
        err = gr_seen_add(&seen, b, 70);
        gr_mem_fail_at(0);
        GR_CHECK(gr_seen_has(&seen, a, 70));
        GR_CHECK_INT(gr_seen_has(&seen, b, 70), err == GR_OK);
        failures += err != GR_OK;
        gr_err_clear();
    }
    GR_CHECK_INT(failures, 2); // the list of sets, and the bits of the new one
    gr_seen_fini(&seen);
    gr_dataset_close(&a);
    gr_dataset_close(&b);
}

static const gr_test tests[] = {
    {"nothing is seen at first", test_nothing_is_seen_at_first},
    {"each sample by itself", test_each_sample_by_itself},
    {"data sets apart", test_data_sets_apart},
    {"out of memory", test_out_of_memory},
};
GR_TEST_MAIN("seen", tests)
